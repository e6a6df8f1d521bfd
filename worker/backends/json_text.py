"""JSON as backends, and proxies in front of them, send it, including what only a lenient reader can read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache

import msgspec

CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.-]+)", re.IGNORECASE)
CHARSETS: Mapping[str, str] = {
    **{f"iso-8859-{part}": f"iso-8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)},
    **{f"windows-{page}": f"cp{page}" for page in range(1250, 1259)},
    **dict.fromkeys(("latin1", "latin-1"), "iso-8859-1"),
    **dict.fromkeys(("shift-jis", "windows-31j", "ms932"), "cp932"),
    **dict.fromkeys(("gb2312", "gbk", "gb18030"), "gb18030"),
    **{name: name for name in ("cp1252", "koi8-r", "koi8-u", "tis-620", "euc-jp", "big5", "big5-hkscs", "euc-kr")},
}
"""Python's codec for each charset that is read if a `Content-Type` names it.

A reply must not be able to choose any codec that Python can load: some are slow.
"""
LONGEST_INTEGER = 640
"""The most digits that Python always turns into an int; its limit is 4,300, or lower if it is configured so."""
SPACE = b" \t\r\n"
"""White space of JSON, which may also stand before a colon."""
NAME_ENDS = b'":'
"""What follows each name in an object, apart from white space. It also occurs in texts, but as often in a copy of the
same JSON, unless one of its characters or a space between them is written as `ESCAPED`."""
ESCAPED = b"\\u00"
GUARDS = (")]}',", ")]}'", "while(1);", "for(;;);")
"""Prefixes of JSON that keep a browser from running it as a script."""


@lru_cache(maxsize=1)  # an adapter reads one reply several times, one reply after the other
def parsed(body: bytes, content_type: str = "") -> object:
    """Read JSON, None if it is none.

    What only a lenient reader accepts is read too: a BOM, NaN, a lone surrogate, a guard in front, a character in
    another charset. A whole number that is too long for Python is read as infinite. An object that gives one name two
    values can mean either, so it is not read.
    """
    try:
        value = msgspec.json.decode(body)
        if ESCAPED not in body and names_ended(msgspec.json.encode(value)) == names_ended(body):
            return value  # with all its names, and else it is read again, more slowly
    except (ValueError, ArithmeticError, RecursionError):
        pass
    written = text_of(body, content_type).lstrip(" \t\r\n\ufeff")
    guard = next((guard for guard in GUARDS if written.startswith(guard)), "")
    try:
        return json.loads(written.removeprefix(guard), parse_int=integer, object_pairs_hook=unambiguous)
    except (ValueError, RecursionError):
        return None


def names_ended(body: bytes) -> int:
    """Count what may be the end of a name, whatever white space is before its colon."""
    return body.translate(None, SPACE).count(NAME_ENDS)


def text_of(body: bytes, content_type: str) -> str:
    """Decode a body: as Unicode if it is that, else by the charset that is named, else with replacement characters."""
    named = CHARSET.search(content_type)
    codec = CHARSETS.get(named[1].lower().replace("_", "-"), "utf-8") if named else "utf-8"
    for encoding, errors in ((json.detect_encoding(body), "surrogatepass"), (codec, "strict")):
        with suppress(UnicodeDecodeError):
            return body.decode(encoding, errors)
    return body.decode("utf-8", "replace")


def integer(digits: str) -> float:
    """Read a whole number, as a float if it is long: Python reads a float of any length, in linear time."""
    return int(digits) if len(digits) <= LONGEST_INTEGER else float(digits)


def unambiguous(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """Return an object's names and values; raises ValueError if a name has two values."""
    found = dict(pairs)
    if len(found) < len(pairs) and any(
        (type(found[name]), found[name]) != (type(value), value) for name, value in pairs
    ):
        raise ValueError("a name has two values")
    return found
