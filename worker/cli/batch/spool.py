"""Keeps JSON objects on their way from one place to another: counted, in order, and beyond a size not in memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

IN_MEMORY = 4_000_000
"""Bytes beyond which the objects are kept in a temporary file."""


@contextmanager
def spool() -> Iterator[Spool]:
    """Open an empty spool, which is deleted at the end of the block."""
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
        yield Spool(file)


@dataclass(slots=True, eq=False)
class Spool:
    """Objects in the order in which they were added, `count` of them, read as often as needed."""

    file: IO[bytes]
    count: int = 0

    def add(self, one: Mapping[str, Any]) -> None:
        """Append an object."""
        self.file.write(json.dumps(one, separators=(",", ":")).encode() + b"\n")
        self.count += 1

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield each object; one reader at a time."""
        self.file.seek(0)
        for line in self.file:
            yield json.loads(line)
