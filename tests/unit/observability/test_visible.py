"""Which characters of an outside text may be shown."""

from __future__ import annotations

import json

import pytest
from support.hostile import LEGITIMATE, corpus, deceptions

from worker.observability.visible import visible, visible_json

TEXTS = corpus()


def test_nothing_of_a_hostile_text_acts_or_hides() -> None:
    assert not [text for text in TEXTS if deceptions(visible(text)) or "\n" in visible(text)]


@pytest.mark.parametrize("text", LEGITIMATE.values(), ids=LEGITIMATE)
def test_what_only_looks_strange_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_what_is_visible_stays_as_it_is() -> None:
    assert not [text for text in (*TEXTS, *LEGITIMATE.values()) if visible(visible(text)) != visible(text)]


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


def in_json(text: str) -> str:
    return visible_json(json.dumps({text: text}, ensure_ascii=False))


def test_json_hides_nothing() -> None:
    assert not [text for text in TEXTS if text not in LEGITIMATE.values() and deceptions(in_json(text))]


def test_json_says_the_same() -> None:
    assert not [text for text in (*TEXTS, *LEGITIMATE.values()) if json.loads(in_json(text)) != {text: text}]


@pytest.mark.parametrize("text", LEGITIMATE.values(), ids=LEGITIMATE)
def test_json_keeps_what_only_looks_strange(text: str) -> None:
    plain = json.dumps(text, ensure_ascii=False)

    assert visible_json(plain) == plain
