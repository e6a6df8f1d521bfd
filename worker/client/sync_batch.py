"""A batch for code without an asyncio loop."""

from __future__ import annotations

from .batches import AsyncBatch
from .blocking import Blocking, blocking, walking


class Batch(Blocking[AsyncBatch]):
    """`AsyncBatch` for code without an asyncio loop."""

    status = blocking(AsyncBatch.status)
    taken_in = blocking(AsyncBatch.taken_in)
    wait = blocking(AsyncBatch.wait)
    pause = blocking(AsyncBatch.pause)
    resume = blocking(AsyncBatch.resume)
    abort = blocking(AsyncBatch.abort)
    report = walking(AsyncBatch.report)

    @property
    def id(self) -> str:
        """The id of the batch."""
        return self.inner.id
