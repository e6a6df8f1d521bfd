"""Reads batches: their state, and the results of their members."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ..errors import UnknownBatch
from ..protocol.batches import BatchResult, BatchStatus
from .event_log import EventLog


class Batches(EventLog):
    """The batches of one deployment."""

    async def status(self, batch_id: str) -> BatchStatus:
        """Return what is known of a batch.

        Raises:
            UnknownBatch: there is none, or it is past its retention.

        """
        raise UnknownBatch(f"no batch is known as {batch_id!r}")

    async def list(self, limit: int) -> list[BatchStatus]:
        """Return up to `limit` batches, the newest first."""
        return []

    async def report(self, batch_id: str) -> AsyncIterator[BatchResult]:
        """Go through the members of a batch in their order, also those that have not ended.

        Raises:
            UnknownBatch: there is none, or it is past its retention.

        """
        raise UnknownBatch(f"no batch is known as {batch_id!r}")
        yield  # type: ignore[unreachable]
