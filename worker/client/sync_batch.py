"""A batch for code without an asyncio loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..protocol.batches import BatchResult, BatchStatus
from .batches import AsyncBatch

if TYPE_CHECKING:
    from .sync_client import Client


@dataclass(frozen=True, slots=True)
class Batch:
    """`AsyncBatch` for code without an asyncio loop."""

    client: Client
    sent: AsyncBatch

    @property
    def id(self) -> str:
        """The id of the batch."""
        return self.sent.id

    def status(self) -> BatchStatus:
        """Return what is known of it now, as `AsyncBatch.status` does."""
        return self.client.call(self.sent.status())

    def wait(self, timeout: float | None = None) -> BatchStatus:
        """Wait for its end as `AsyncBatch.wait` does."""
        return self.client.call(self.sent.wait(timeout))

    def pause(self, *, by: str, reason: str, hold: bool = False) -> str:
        """Start nothing new until it is resumed; with `hold`, hold what is open, too."""
        return self.client.call(self.sent.pause(by=by, reason=reason, hold=hold))

    def resume(self, *, by: str, reason: str) -> str:
        """Go on after a pause."""
        return self.client.call(self.sent.resume(by=by, reason=reason))

    def abort(self, *, by: str, reason: str) -> str:
        """End it: what has not started ends as aborted without a call, what is open is aborted."""
        return self.client.call(self.sent.abort(by=by, reason=reason))

    def report(self) -> Iterator[BatchResult]:
        """Go through its members in their order, as `AsyncBatch.report` does."""
        return self.client.walk(self.sent.report())
