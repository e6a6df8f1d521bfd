"""A command that was sent by the client for asyncio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..store.codec import Snapshot
from .ends import Result

if TYPE_CHECKING:
    from .async_client import AsyncClient


@dataclass(frozen=True, slots=True)
class AsyncCancellation:
    """A command that was sent; `after` is the position in the event stream before it was sent.

    `digest` identifies its content if the producer chose its id, because another command may have had that id before.
    """

    client: AsyncClient
    command_id: str
    after: str
    digest: str

    async def wait(self, timeout: float | None = None) -> Result:  # noqa: ASYNC109 - as `Client` has it
        """Wait for the end, `timeout` seconds at most.

        Raises:
            StillOpen: it has not ended in time.
            Rejected: the command was rejected.

        """
        return await self.client.ends.wait(self.command_id, timeout, self.digest, self.after)

    async def get(self) -> Snapshot:
        """Return what is known of it now; raises UnknownCancellation while no worker has taken the command in."""
        return await self.client.ends.get(self.command_id, self.digest, self.after)
