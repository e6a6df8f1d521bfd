"""JSON objects on their way from one place to another: counted, in order, and not in memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

IN_MEMORY = 4_000_000
"""Bytes from which on they lie in a temporary file."""


@contextmanager
def spool() -> Iterator[Spool]:
    """Open a spool without objects, whose file ends with the block."""
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
        yield Spool(file)


class Spool:
    """Objects in their order, read as often as needed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._count = 0

    def add(self, one: Mapping[str, Any]) -> None:
        """Append an object."""
        self._file.write(json.dumps(one, separators=(",", ":")).encode() + b"\n")
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield each object; one reader at a time."""
        self._file.seek(0)
        for line in self._file:
            yield json.loads(line)
