"""Writes events to a worker's standard output, one JSON line each."""

from __future__ import annotations

import os
import select
from collections.abc import Sequence
from dataclasses import dataclass

from ..aio.daemon import in_daemon_thread
from ..observability.visible import visible_json
from .receiver import Message
from .tries import Failure

STDOUT = 1
"""The descriptor of standard output: Python's own object may be replaced, and is closed at the end of a process."""


@dataclass(slots=True)
class StandardOutput:
    """Standard output, or another descriptor. A line waits for as long as nobody reads."""

    descriptor: int = STDOUT
    max_in_flight: int = 1
    at_once: int = 500

    async def deliver(self, messages: Sequence[Message]) -> Sequence[Failure | None]:
        """Write a line for each event, which a terminal may show."""
        texts = (visible_json(message.body.decode().replace("\n", " ")) for message in messages)
        lines = "".join(f"{text}\n" for text in texts).encode()
        try:
            await in_daemon_thread(lambda: write_all(self.descriptor, lines))
        except OSError as error:
            failure = Failure(f"can't write to standard output: {error.strerror or type(error).__name__}")
            return [failure] * len(messages)
        return [None] * len(messages)

    async def reach(self) -> str:
        """Say that there is nothing to reach."""
        return "a worker's standard output"

    async def aclose(self) -> None:
        """Leave standard output open: it is not ours alone."""


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of it, however long that takes; raises OSError if nobody will ever read it."""
    left = memoryview(content)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:  # another process made the shared pipe non-blocking
            select.select((), (descriptor,), ())
