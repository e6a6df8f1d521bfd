"""Writes events to a worker's standard output, one JSON line each."""

from __future__ import annotations

import os
import select
from collections.abc import Sequence

from ..aio.daemon import in_daemon_thread
from ..observability.visible import visible_json
from .receiver import Message
from .tries import Failure

STDOUT = 1
"""The descriptor of standard output: Python's own object may be replaced, and is closed at the end of a process."""


class StandardOutput:
    """Standard output, or another descriptor. A line waits for as long as nobody reads."""

    max_in_flight = 1
    at_once = 500

    def __init__(self, descriptor: int = STDOUT) -> None:
        self._descriptor = descriptor

    async def deliver(self, messages: Sequence[Message]) -> Sequence[Failure | None]:
        """Write a line for each event."""
        lines = b"".join(map(line, messages))
        try:
            await in_daemon_thread(lambda: write_all(self._descriptor, lines))
        except OSError as error:
            failure = Failure(f"standard output takes nothing: {error.strerror or type(error).__name__}")
            return [failure] * len(messages)
        return [None] * len(messages)

    async def reach(self) -> str:
        """Say that there is nothing to reach."""
        return "a worker's standard output"

    async def aclose(self) -> None:
        """Leave standard output open: it is not ours alone."""


def line(message: Message) -> bytes:
    """Return an event as one line that a terminal may show."""
    return visible_json(message.body.decode().replace("\n", " ")).encode() + b"\n"


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of it, however long that takes; raises OSError if nobody will ever read it."""
    left = memoryview(content)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:  # another process has set the shared pipe so
            select.select((), (descriptor,), ())
