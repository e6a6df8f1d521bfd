"""What Redis knows of a message beside the cancellations: why it was rejected, how many commands it had."""

from __future__ import annotations

from redis.asyncio import Redis

from ..aio.tasks import unswallowed
from ..protocol.messages import Event
from .dead_letters import REMEMBERED_DAYS
from .redis_client import translated
from .scripts import Script, on_store

FORGOTTEN = "it was rejected; the event that says why is past its retention"


class MessageNotes:
    """The notes of one deployment; `Store.reject` and `Store.count_commands` make them."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._base = f"{{{prefix}}}"
        self._recall = Script(redis, on_store("recall"))

    async def counted(self, message_id: str) -> int | None:
        """Return how many commands a message of several had; None if it is not known.

        It is -1 if some of them have ids of their own.
        """
        with translated():
            found = await unswallowed(self._redis.get(f"{self._base}:submit:{message_id}"))
        return None if found is None else int(found)

    async def rejection(self, command_id: str, after: str = "") -> str:
        """Return why a command was last rejected, if that was behind a position in the events; else nothing."""
        with translated():
            told = await unswallowed(self._recall(keys=[f"{self._base}:events"], args=[REMEMBERED_DAYS, command_id]))
            if not told or told[1]:
                return ""
            at, entry = int(told[2]), told[3].decode()
            if at <= _position(after)[0] and _position(entry) <= _position(after):
                return ""
            found = entry and await unswallowed(
                self._redis.xrange(f"{self._base}:events", min=entry, max=entry, count=1)
            )
        return str(Event.model_validate_json(found[0][1][b"event"]).data.get("error")) if found else FORGOTTEN


def _position(entry: str) -> tuple[int, int]:
    stamp, _, number = entry.partition("-")
    return int(stamp or 0), int(number or 0)
