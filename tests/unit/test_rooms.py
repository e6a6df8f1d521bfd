"""How rooms, floors, arrows and circles are counted."""

from __future__ import annotations

import pytest
from support.rooms import plan

NONE: list[tuple[str, str]] = []
CASES = {
    "modules of one package are one room": (["p.a", "p.a.x", "p.a.y"], [("p.a.x", "p.a.y")], (1, 1, 0, 0)),
    "a single module is a room": (["p.a", "p.errors"], [("p.a", "p.errors")], (2, 2, 1, 0)),
    "the package itself and __main__ are none": (["p", "p.__main__", "p.a"], [("p.__main__", "p.a")], (1, 1, 0, 0)),
    "imports from one room to another are one arrow": (
        ["p.a.x", "p.a.y", "p.b.x", "p.b.y"],
        [("p.a.x", "p.b.x"), ("p.a.y", "p.b.y")],
        (2, 2, 1, 0),
    ),
    "the longest way counts the floors": (
        ["p.a", "p.b", "p.c"],
        [("p.a", "p.b"), ("p.b", "p.c"), ("p.a", "p.c")],
        (3, 3, 3, 0),
    ),
    "strangers share a floor": (["p.a", "p.b"], NONE, (2, 1, 0, 0)),
    "rooms that import each other are a circle on one floor": (
        ["p.a", "p.b.x", "p.b.y", "p.c"],
        [("p.a", "p.b.x"), ("p.b.y", "p.a"), ("p.b.x", "p.c")],
        (3, 2, 3, 1),
    ),
    "a circle by way of a third one is one": (
        ["p.a", "p.b", "p.c"],
        [("p.a", "p.b"), ("p.b", "p.c"), ("p.c", "p.a")],
        (3, 1, 3, 1),
    ),
    "an empty package has none": (["p"], NONE, (0, 0, 0, 0)),
}


@pytest.mark.parametrize(("modules", "imports", "figures"), CASES.values(), ids=CASES.keys())
def test_counts(modules: list[str], imports: list[tuple[str, str]], figures: tuple[int, int, int, int]) -> None:
    found = plan(modules, imports, "p").figures()

    assert (found["rooms"], found["floors"], found["arrows"], found["circles"]) == figures
