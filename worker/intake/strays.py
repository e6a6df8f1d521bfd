"""Finds commands that producers put into other lists of a Redis broker than the queue, where no worker reads them.

A producer's transport options decide under which key kombu puts a message. Workers read the usual ones (`SPELLINGS`).
Commands under any other key, such as one with a `global_keyprefix`, can only be reported: the list might be another
application's queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

from ..protocol.batches import BATCH_TASKS
from ..protocol.operator_actions import TASKS
from ..store.patterns import literal
from .decoder import VERBS, task_of

OURS = frozenset({*VERBS, "worker.submit", *TASKS, *BATCH_TASKS})
DEFAULT_QUEUE = b"celery"
"""Where Celery puts a message if no queue is named."""
PAGE = 1000
"""Keys that Redis scans in one call, in a fraction of a millisecond."""
PAGES = 50
"""Calls of one search; a larger database takes several searches."""
SEPARATORS = ("\x06\x16", ":")
"""Between a queue's name and a priority: kombu's default, and the one in Celery's documentation of Redis."""
SPELLINGS = ("", *(f"{separator}{number}" for number in range(1, 10) for separator in SEPARATORS))
"""The suffixes of a queue's lists in kombu's Redis transport, the most urgent first; the producers' `priority_steps`
decide which of 0 to 9 are in use."""


@dataclass(frozen=True, slots=True)
class Stray:
    """A list that holds commands and that no worker reads."""

    name: str
    length: int

    @property
    def shown(self) -> str:
        """Its name, as a terminal may show it."""
        return self.name.encode("unicode_escape").decode()

    def way_out(self, queue: str) -> str:
        """Say why messages go there, and what to do."""
        move = f"move what lies there with LMOVE {self.shown} {queue} RIGHT LEFT"
        if self.name.encode() == DEFAULT_QUEUE:
            return f'the producer names no queue: set queue="{queue}" or task_routes; {move}'
        if self.name.startswith(queue):
            return f"the producer's broker_transport_options hold a sep or priority_steps: leave them out; {move}"
        read = next(
            (self.name.removesuffix(suffix) for suffix in SPELLINGS[1:] if self.name.endswith(suffix)), self.name
        )
        return (
            f"the producer's broker_transport_options hold a global_keyprefix: leave it out and {move}, "
            f"or run a worker with CANCELLER_QUEUE={read}"
        )


class Lookout:
    """Searches for the strays of one queue, one part of the database at a time."""

    def __init__(self, redis: Redis, queue: str) -> None:
        self._redis = redis
        self._queue = queue
        self._cursor = 0
        self.through = True
        """Whether the last search has reached the end of the database."""

    async def look(self, pages: int = PAGES) -> list[Stray]:
        """Search the next part of the database; the first part follows the last."""
        read = {f"{self._queue}{suffix}".encode() for suffix in SPELLINGS}
        found = {DEFAULT_QUEUE}
        for _ in range(pages):
            self._cursor, names = await self._redis.scan(self._cursor, f"*{literal(self._queue)}*", PAGE, "list")
            found.update(cast("list[bytes]", names))
            self.through = self._cursor == 0
            if self.through:
                break
        unread = sorted(name for name in found - read if b".taken:" not in name)  # those are the consumers' own lists
        return [stray for name in unread if (stray := await self._judged(name)) is not None]

    async def _judged(self, name: bytes) -> Stray | None:
        """Return a list if it holds commands and is not read by workers of another queue; else None."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.lindex(cast("Any", name), 0)
        pipe.lindex(cast("Any", name), -1)
        pipe.llen(cast("Any", name))
        pipe.exists(*(name.removesuffix(suffix.encode()) + b".taken:takers" for suffix in SPELLINGS))
        newest, oldest, length, read = await pipe.execute(raise_on_error=False)
        if read or not isinstance(length, int):
            return None
        if not {task_of(raw) for raw in (newest, oldest) if isinstance(raw, bytes)} & OURS:
            return None
        return Stray(name.decode("utf-8", "backslashreplace"), length)
