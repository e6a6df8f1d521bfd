"""What may be shown of a text from outside."""

from __future__ import annotations

import json

import pytest
from support.hostile import LEGITIMATE, corpus, deceptions

from worker.observability.visible import visible, visible_json


@pytest.mark.parametrize("text", corpus(), ids=ascii)
def test_nothing_of_a_hostile_text_acts_or_hides(text: str) -> None:
    shown = visible(text)

    assert not deceptions(shown)
    assert "\n" not in shown


@pytest.mark.parametrize("text", LEGITIMATE.values(), ids=LEGITIMATE)
def test_what_only_looks_strange_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize("text", [*corpus(), *LEGITIMATE.values()], ids=ascii)
def test_what_is_visible_stays_as_it_is(text: str) -> None:
    assert visible(visible(text)) == visible(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("two\nlines\r\n", r"two\nlines\r\n"),
        ("a\tb", r"a\tb"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),
        ("\u202elatot", r"\u202elatot"),
        ("a\u2028b", r"a\u2028b"),
        ("pay\u200bpal", r"pay\u200bpal"),
        ("\udc80", r"\udc80"),
        ("\U000e0041", r"\U000e0041"),
        ("a\ufe0f", r"a\ufe0f"),
        ("x\u200d\U0001f469", "x\\u200d\U0001f469"),
        ("o" + "\u0301" * 12, "o" + "\u0301" * 10 + r"\u0301\u0301"),
        ("[red]x[/]", "[red]x[/]"),
    ],
    ids=ascii,
)
def test_an_escape_is_written_as_python_writes_it(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize("text", [*corpus(), *LEGITIMATE.values()], ids=ascii)
def test_json_hides_nothing_and_says_the_same(text: str) -> None:
    shown = visible_json(json.dumps({text: text}, ensure_ascii=False))

    assert json.loads(shown) == {text: text}
    assert text in LEGITIMATE.values() or not deceptions(shown)


@pytest.mark.parametrize("text", LEGITIMATE.values(), ids=LEGITIMATE)
def test_json_keeps_what_only_looks_strange(text: str) -> None:
    plain = json.dumps(text, ensure_ascii=False)

    assert visible_json(plain) == plain
