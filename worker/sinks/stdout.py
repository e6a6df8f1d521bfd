"""Writes events to a worker's standard output, one JSON line each."""

from __future__ import annotations

import os
import select
from collections.abc import Sequence

from ..aio.coalescer import Coalescer
from ..aio.daemon import in_daemon_thread
from ..observability.visible import visible_json
from .tries import Failure

STDOUT = 1
"""The descriptor of standard output: Python's own object may be replaced, and is closed at the end of a process."""


class StandardOutput:
    """Standard output, or another descriptor. A line waits for as long as nobody reads."""

    max_in_flight = 500

    def __init__(self, descriptor: int = STDOUT) -> None:
        self._descriptor = descriptor
        self._lines: Coalescer[bytes, Failure | None] = Coalescer(self._write, self.max_in_flight)

    async def deliver(self, event_id: str, body: bytes) -> Failure | None:  # noqa: ARG002 - the body has the id
        """Write an event's line."""
        line = visible_json(body.decode().replace("\n", " "))  # a terminal may show it
        return await self._lines.add(f"{line}\n".encode())

    async def reach(self) -> str:
        """Say that there is nothing to reach."""
        return "a worker's standard output"

    async def aclose(self) -> None:
        """Write no more."""
        await self._lines.aclose()

    async def _write(self, lines: Sequence[bytes]) -> list[Failure | None]:
        try:
            await in_daemon_thread(lambda: write_all(self._descriptor, b"".join(lines)))
        except OSError as error:
            return [Failure(f"standard output takes nothing: {error.strerror or type(error).__name__}")] * len(lines)
        return [None] * len(lines)


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of it, however long that takes; raises OSError if nobody will ever read it."""
    left = memoryview(content)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:  # another process has set the shared pipe so
            select.select((), (descriptor,), ())
