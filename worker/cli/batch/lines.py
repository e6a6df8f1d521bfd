"""The lines of a text, read one by one from a stream of bytes."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from .mistakes import Mistakes

LONGEST = 65_536
"""Characters of a line: a command at its limits has about 20,000."""
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""UTF-16's byte order marks, which Windows tools write; UTF-8's own mark is dropped by its decoder."""
REPLACED = "\ufffd"


def text_lines(source: BinaryIO, mistakes: Mistakes) -> Iterator[str]:
    """Yield every line without its end; a line that can't be read is noted and replaced by an empty one.

    The line ends of all systems are accepted. The text is UTF-8, or UTF-16 if it begins with that mark.
    """
    stream = io.BufferedReader(source)  # type: ignore[type-var]  # all that it needs is `readinto`
    wide = stream.peek(2)[:2] in UTF_16
    if wide:
        text = io.TextIOWrapper(stream, encoding="utf-16", errors="replace", newline=None)
    else:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline=None)
    try:
        yield from _checked(text, mistakes, wide=wide)
    finally:
        text.detach()
        stream.detach()


def _checked(text: io.TextIOWrapper, mistakes: Mistakes, *, wide: bool) -> Iterator[str]:
    number = 0
    while line := text.readline(LONGEST + 1):
        number += 1
        if len(line) > LONGEST and not line.endswith("\n"):
            while line and not line.endswith("\n"):
                line = text.readline(LONGEST)
            mistakes.add(number, f"is longer than {LONGEST} characters")
            yield ""
        elif _undecoded(line, wide=wide):
            mistakes.add(number, f"is not {'UTF-16' if wide else 'UTF-8'} text")
            yield ""
        else:
            yield line.rstrip("\n")


def _undecoded(line: str, *, wide: bool) -> bool:
    """Whether bytes of a line could not be decoded; in UTF-8 text they have become lone surrogates."""
    if line.isascii():
        return False
    return REPLACED in line if wide else any("\udc80" <= char <= "\udcff" for char in line)
