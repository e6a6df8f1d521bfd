r"""Text from outside as it may be shown: on one line, with nothing in it that a terminal acts on or that hides.

A cell of a table, a line, a note, an error and a value in a log all come through here. What can't stay is written as
its escape: `\x1b`, `\n`, `\u202e`.
"""

import json
import re
from collections.abc import Callable
from typing import Final
from unicodedata import category

_UNSEEN: Final = (
    "\x00-\x1f\x7f-\x9f"  # C0, DEL and C1: line feed, tab and NEL among them
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks of direction
    "\u2028\u2029"  # separators of lines and paragraphs
    "\xad\u034f\u200b-\u200d\u2060-\u2065\u206a-\u206f\ufeff\ufff0-\ufffb"  # of no width
    "\u115f\u1160\u17b4\u17b5\u3164\uffa0"  # fillers
    "\u180b-\u180f\ufe00-\ufe0f"  # variation selectors
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # controls of shorthand and music
    "\U000e0000-\U000e0fff"  # tags, more variation selectors
    "\ud800-\udfff"  # halves of surrogate pairs
)
_SYMBOL: Final = "[\xa9\xae\u203c\u2049\u2100-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001ffff][\ufe00\ufe0e\ufe0f]?"
_ARABIC: Final = "[\u0620-\u065f\u066e-\u06d3\u06fa-\u06ff\u0750-\u077f\u08a0-\u08c9]"
_VIRAMA: Final = "[\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca\u1039\u17d2]"
_HAN: Final = "[\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]"
_NEEDED: Final = (
    "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f",  # the flag of a part of a country
    f"{_SYMBOL}(?:\u200d{_SYMBOL})*",  # emoji, also of several parts
    "[0-9#*]\ufe0f\u20e3",  # keycaps
    f"(?<={_ARABIC})[\u200c\u200d](?={_ARABIC})",  # Persian and others part what they do not join
    f"{_VIRAMA}[\u200c\u200d]",  # the scripts of India choose between forms
    f"{_HAN}[\ufe00-\ufe02\U000e0100-\U000e01ef]",  # names with a character's variant
    "(?<=[\u1820-\u18aa])[\u180b-\u180d\u180f]",  # Mongolian
)
"""Sequences in which writing needs an unseen character."""
_NEEDED_OR_UNSEEN: Final = re.compile(f"({'|'.join(_NEEDED)})|[{_UNSEEN}]")
_MOST_MARKS: Final = 10
"""The most marks on one character: no language needs more, and a pile of them covers the lines around it."""
_PLAIN: Final = bytes(range(0x20, 0x7F))
"""Printable ASCII. Taking it away shows whether a long text holds anything else, sooner than `isprintable` does."""
_PERHAPS_A_FLOOD: Final = re.compile(rf"[^\w\s\x00-\x7f]{{{_MOST_MARKS + 1},}}")


def visible(text: str) -> str:
    """Return a text as one line of characters that can be seen; what is visible already stays as it is.

    Escaped are controls, line breaks, marks of direction, invisible characters that writing does not need, halves
    of surrogate pairs, and marks that pile up. A backslash is not escaped: the result is only to be looked at.
    """
    if text.isascii() and text.isprintable():
        return text
    return _escaped(text, lambda char: char.encode("unicode_escape").decode())


def visible_json(text: str) -> str:
    """Return JSON of one line with the same content and nothing unseen in it, by JSON's own escapes."""
    if text.isascii() and not text.encode().translate(None, _PLAIN):
        return text
    return _escaped(text, lambda char: json.dumps(char)[1:-1])


def _escaped(text: str, write: Callable[[str], str]) -> str:
    def dammed(flood: re.Match[str]) -> str:
        shown, marks = [], 0
        for char in flood[0]:
            marks = marks + 1 if category(char) in {"Mn", "Me"} else 0
            shown.append(char if marks <= _MOST_MARKS else write(char))
        return "".join(shown)

    return _NEEDED_OR_UNSEEN.sub(lambda found: found[1] or write(found[0]), _PERHAPS_A_FLOOD.sub(dammed, text))
