"""Standard streams that take any text, whatever is in it and whatever a terminal's encoding can show."""

import codecs
import errno
import json
import os
import re
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Final, TextIO

from .os_errors import in_words
from .visible import visible, visible_json

_FAILING: Final = ("strict", "surrogateescape")
"""The default error handlers of streams, which raise for a character that the encoding does not have."""
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]+")


def escape_what_cannot_be_shown() -> None:
    """Let standard output and standard error write a character that they can't encode as a backslash and its number.

    An error handler that was chosen by PYTHONIOENCODING and does not raise stays.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors in _FAILING:
            stream.reconfigure(errors="backslashreplace")


class Unwritable(OSError):
    """Standard output can't be written; the text is the cause. `reader_left` means that its reader has closed it."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(in_words(cause))  # without its number: libraries end a process on a broken pipe by themselves
        self.reader_left = cause.errno == errno.EPIPE


class _Guarded(TextIOWrapper):
    """Standard output that raises `Unwritable` for its errors."""

    def write(self, text: str, /) -> int:
        """Write a text."""
        try:
            return super().write(text)
        except OSError as error:
            raise Unwritable(error) from error

    def flush(self) -> None:
        """Write what is buffered."""
        try:
            super().flush()
        except OSError as error:
            raise Unwritable(error) from error


def guard_standard_output() -> None:
    """Let standard output raise Unwritable, and no other OSError; the caller has to flush it at the end."""
    old = sys.stdout
    if isinstance(old, TextIOWrapper) and not isinstance(old, _Guarded):
        encoding, errors, line_buffering = old.encoding, old.errors, old.line_buffering
        sys.stdout = _Guarded(old.detach(), encoding, errors, line_buffering=line_buffering)
        sys.__stdout__ = sys.stdout  # type: ignore[misc]  # what is detached can't be used


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


def json_for(encoding: str | None, text: str) -> str:
    """Return JSON of one line as a stream can carry it, and as a terminal may show it: with JSON's own escapes.

    `encoding` is that of the stream, None if it does not encode texts.
    """
    seen = visible_json(text)
    if seen.isascii() or encoding is None or codecs.lookup(encoding).name == "utf-8":
        return seen
    return _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], seen)
