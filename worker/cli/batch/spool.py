"""JSON objects on their way from one place to another: counted, in order, and not in memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

IN_MEMORY = 4_000_000
"""Bytes from which on they lie in a temporary file."""


class Spool(AbstractContextManager["Spool"]):
    """Objects in their order, read as often as needed. Use it in a `with` block, which ends its file."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - `__exit__` closes it
        self._count = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

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
