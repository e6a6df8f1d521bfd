"""A gateway in front of every kind for a while: nothing ends early, operators are told, all end right afterwards."""

from __future__ import annotations

from pathlib import Path

from tests.liars.gateway import backends, outage, wrong
from tests.support.cell import cell

JOBS = 12


def test_a_gateway_that_knows_no_way_ends_nothing(tmp_path: Path) -> None:
    keys = 'poll = { first = "200ms", max = "1s" }\nbreaker = { failures = 10, pause = "500ms" }'
    with cell(tmp_path, backends(2.0, 20.0, keys)) as one:
        seen = outage(one, JOBS, 5.0)

    assert not list(wrong(seen, JOBS)), seen
