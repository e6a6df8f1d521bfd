"""A batch for code without an asyncio loop."""

from __future__ import annotations

from collections.abc import Iterator

from ..protocol.batches import BatchResult
from .batches import AsyncBatch
from .blocking import Blocking, blocking


class Batch(Blocking[AsyncBatch]):
    """`AsyncBatch` for code without an asyncio loop."""

    status = blocking(AsyncBatch.status)
    wait = blocking(AsyncBatch.wait)
    pause = blocking(AsyncBatch.pause)
    resume = blocking(AsyncBatch.resume)
    abort = blocking(AsyncBatch.abort)

    @property
    def id(self) -> str:
        """The id of the batch."""
        return self.inner.id

    def report(self) -> Iterator[BatchResult]:
        """Go through its members in their order, as `AsyncBatch.report` does."""
        return self.walk(self.inner.report())
