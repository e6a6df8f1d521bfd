"""Standard streams that take any text, whatever is in it and whatever a terminal's encoding can show."""

import codecs
import json
import os
import re
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Final, Protocol, TextIO

from .visible import visible, visible_json

_FAILING: Final = ("strict", "surrogateescape")
"""How streams by default meet a character that their encoding does not have: they raise."""
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]+")


def escape_what_cannot_be_shown() -> None:
    """Let standard output and standard error write a character that they can't encode as a backslash and its number.

    Another way of not failing, chosen by PYTHONIOENCODING, stays.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors in _FAILING:
            stream.reconfigure(errors="backslashreplace")


def discard(stream: TextIO) -> None:
    """Write no more to a standard stream whose reader is gone.

    Python would try once more at its exit to write what is left in the buffer, and end with exit code 120.
    """
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def shown(*lines: str) -> str:
    """Return lines as they may be shown: each stays one; what belongs to the first is indented."""
    return "\n  ".join(map(visible, lines))


def complain(*lines: str) -> None:
    """Write an error of several lines."""
    sys.stderr.write(f"{shown(*lines)}\n")


class Encoded(Protocol):
    """Something that may say in what encoding it writes."""

    @property
    def encoding(self) -> str | None:
        """Its name; None where texts stay texts."""


def json_for(stream: Encoded, text: str) -> str:
    """Return JSON of one line as this stream can carry it, and as a terminal may show it: with JSON's own escapes."""
    seen = visible_json(text)
    if seen.isascii() or stream.encoding is None or codecs.lookup(stream.encoding).name == "utf-8":
        return seen
    return _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], seen)
