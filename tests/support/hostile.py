"""Texts that strangers may send to deceive a reader at a terminal, and texts that only look strange."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import islice

CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]
DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
SEPARATORS = "\u2028\u2029"
SURROGATES = "\ud800\udbff\udc80\udfff"
INVISIBLE = (
    "\xad\u034f\u115f\u1160\u17b4\u180b\u180e\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\u206a\u206f\u3164\ufe00"
    "\ufe0f\ufeff\uffa0\ufff9\ufffa\ufffb\U0001bca0\U0001d173\U0001d17a\U000e0001\U000e0041\U000e007f\U000e0100"
)
UNSEEN = frozenset("".join([*CONTROLS, DIRECTIONS, SEPARATORS, SURROGATES, INVISIBLE])) - {"\n"}

FORGED = "2026-11-22T10:00:00.000Z  ess 300100  finished  cancelled; reported; safe to run again"
SEQUENCES = [
    "\x1b[31m",
    "\x1b[2J\x1b[H",
    "\x1b[8m",
    "\x1b[1A\x1b[2K",
    "\x1b[?1049h",
    "\x1b[6n",
    "\x1b[c",
    "\x1bc",
    "\x1b(0",
    "\x1b]0;title\x07",
    "\x1b]2;title\x1b\\",
    "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;cm0gLXJmIH4=\x07",
    "\x1b]1337;SetMark\x07",
    "\x1bP+q544e\x1b\\",
    "\x1b_Ga=q\x1b\\",
    "\x1b^private\x1b\\",
    "\x9b31m",
    "\x9d0;title\x9c",
    "\x90q\x9c",
    "\x1b[31",
    "\x1b]0;",
]
LINES = [
    f"\n{FORGED}",
    f"\r\n{FORGED}",
    f"\r{FORGED}",
    f"\x0b{FORGED}",
    f"\x0c{FORGED}",
    f"\x1e{FORGED}",
    f"\x85{FORGED}",
    f"\u2028{FORGED}",
    f"\u2029{FORGED}",
    "\n" * 50,
    "\n\n\x1b[2K",
    "\tcancelled\treported",
    "\t\t\t",
    "harmless\rcancelled",
    "cancelled\x08\x08\x08\x08\x08\x08\x08\x08\x08refused",
    "x\x7f\x7f\x7f",
    "a\x00b",
]
MARKUP = [
    "[red]stopped[/red]",
    "[bold]",
    "[/]",
    "[/red]",
    "[link=http://evil.example]here[/link]",
    "[@click=app.quit]x[/]",
    "[[red]]",
    r"\[red]x",
    "[red",
    ":warning: :smile:",
    "[blink reverse]x[/blink reverse]",
    "*x* **x** `x` [x](http://evil.example)",
]
FLOODS = [
    "Z" + "\u0300\u0315\u0489\u035f" * 60,
    "\u0e01" + "\u0e49" * 200,
    "\u0627" + "\u064b" * 300,
    "x" * 10_000,
    "\u202e" * 500,
    "\u200b" * 1000,
    "\x1b[31m" * 300,
    "\U0001f3f4" + "\U000e0061" * 100 + "\U000e007f",
    "\U0001f469" + "\u200d" * 20 + "\U0001f469",
    "wide \u6f22\u5b57 " * 400,
]

LEGITIMATE = {
    "German": "Gr\u00fc\u00dfe aus K\u00f6ln",
    "decomposed": "Cafe\u0301 au lait",
    "Vietnamese": "Vie\u0323\u0302t Nam",
    "Chinese": "\u9884\u7b97\u8d85\u652f",
    "a Japanese name": "\u845b\U000e0100\u98fe\u533a",
    "Korean": "\uc608\uc0b0",
    "Russian": "\u0431\u044e\u0434\u0436\u0435\u0442",
    "Hebrew": "\u05ea\u05e7\u05e6\u05d9\u05d1 42",
    "pointed Hebrew": "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd",
    "Arabic": "\u0645\u064a\u0632\u0627\u0646\u064a\u0629",
    "Persian": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "Hindi": "\u0930\u094d\u200d\u092f \u0915\u094d\u200c\u0937",
    "Sinhala": "\u0dc1\u0dca\u200d\u0dbb\u0dd3",
    "Thai": "\u0e07\u0e1a\u0e1b\u0e23\u0e30\u0e21\u0e32\u0e13\u0e19\u0e35\u0e49",
    "Tibetan": "\u0f56\u0f66\u0f92\u0fb2\u0f7c",
    "an emoji": "done \U0001f600",
    "a family": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "a skin": "\U0001f9d1\U0001f3fd\u200d\U0001f4bb",
    "a rainbow": "\U0001f3f3\ufe0f\u200d\U0001f308",
    "a nod": "\U0001f642\u200d\u2194\ufe0f",
    "a heart": "\u2764\ufe0f\u200d\U0001f525",
    "a flag": "\U0001f1e9\U0001f1ea",
    "England": "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "a keycap": "1\ufe0f\u20e3",
    "a warning": "\u26a0\ufe0f ok \u2713",
    "a new emoji": "\U0001fae8",
    "a trademark": "\u2122\ufe0f \xa9 \xae",
    "mathematics": "\u2200x \u2229\ufe00 y",
    "a path": "C:\\jobs\\new",
    "an escape in letters": "\\x1b[31m",
    "spaces": "a\xa0b\u3000c",
    "private use": "\ue0b0 \uf8ff",
}


def corpus(size: int = 500) -> list[str]:
    """Generate the texts, always the same: each invisible character at three places, then all others, then mixtures."""
    return list(islice(_texts(), size))


def deceptions(shown: str) -> list[str]:
    """Return the characters of a text that a terminal acts on or hides; a line feed ends a line, so it is not one."""
    acting = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    found = [char for char in set(shown) - {"\n"} if char in UNSEEN or unicodedata.category(char) in acting]
    return sorted({*map(ascii, found), *_flooded(shown)})


def _texts() -> Iterator[str]:
    for char in (*CONTROLS, *DIRECTIONS, *SEPARATORS, *SURROGATES, *INVISIBLE):
        yield from _placed(char)
    for text in SEQUENCES:
        yield from _placed(text)
    yield from LINES
    yield from MARKUP
    yield from FLOODS
    chance = random.Random(13)  # noqa: S311 - the same texts each time
    parts = [*UNSEEN, *SEQUENCES, *LINES, *MARKUP, "stop", " ", "\xfc"]
    while True:
        yield "".join(chance.choices(sorted(parts), k=chance.randint(2, 12)))


def _placed(text: str) -> Iterable[str]:
    return f"{text}stop it", f"stop {text}it", f"stop it{text}"


def _flooded(shown: str) -> Iterator[str]:
    for run in re.findall(r"[^\w\s\x00-\x7f]{11,}", shown):
        if {unicodedata.category(char) for char in run[:11]} <= {"Mn", "Me"}:
            yield f"a flood of {run[0]!a}"
