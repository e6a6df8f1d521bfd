"""What Redis keeps about a message besides the cancellations: why it was rejected, how many commands it had."""

from __future__ import annotations

from ..domain.errors import UnknownCancellation
from ..protocol.message_ids import kept_id
from ..protocol.messages import Event
from .dead_letters import REMEMBERED_DAYS
from .keyspace import Keyspace
from .stream_ids import stream_order

FORGOTTEN = "it was rejected; the event that says why is past its retention"


class MessageNotes(Keyspace):
    """The notes of one deployment; `Store.reject` and `Store.count_commands` make them."""

    async def counted(self, message_id: str) -> int | None:
        """Return how many commands a `worker.submit` had; None if that is not known.

        Raises:
            UnknownCancellation: some of them have ids of their own, by which they have to be looked up.

        """
        found = await self._interruptible(self._redis.get(f"{self._base}:submit:{kept_id(message_id)}"))
        count = None if found is None else int(found)
        if count is not None and count < 0:
            raise UnknownCancellation(f"the commands of {message_id} have ids of their own: ask for each by its id")
        return count

    async def rejection(self, command_id: str, after: str = "") -> str:
        """Return why a command was last rejected, if that was after a position in the events; else nothing."""
        recall = self._scripts.recall(keys=[f"{self._base}:events"], args=[REMEMBERED_DAYS, kept_id(command_id)])
        known = await self._interruptible(recall)
        if not known or known[1]:
            return ""
        at, entry = int(known[2]), known[3].decode()
        if at <= stream_order(after)[0] and stream_order(entry) <= stream_order(after):
            return ""
        if not entry:
            return FORGOTTEN
        found = await self._interruptible(self._redis.xrange(f"{self._base}:events", min=entry, max=entry, count=1))
        return str(Event.model_validate_json(found[0][1][b"event"]).data.get("error")) if found else FORGOTTEN
