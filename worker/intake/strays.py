"""Finds commands that lie beside the command queue of a Redis broker, where nobody takes them.

A producer's own transport options decide under which key kombu puts a message. The taker knows the usual spellings
(`SPELLINGS`); what lies under another, such as one with a `global_keyprefix`, can only be reported: the list
may as well be another application's queue.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

from ..protocol.operator_actions import TASKS
from ..store.patterns import literal
from .decoder import VERBS, task_of

OURS = frozenset({*VERBS, "worker.submit", *TASKS})
DEFAULT_QUEUE = b"celery"
"""Where Celery puts a message for which no queue is named."""
PAGE = 1000
"""Keys that Redis looks at in one go: a fraction of a millisecond."""
PAGES = 50
"""How often it does so in one look; a larger database takes several."""
SEPARATORS = ("\x06\x16", ":")
"""Between a queue's name and a priority: kombu's default, and that of Celery's page on Redis."""
SPELLINGS = ("", *(f"{separator}{number}" for number in range(1, 10) for separator in SEPARATORS))
"""The suffixes of a queue's lists in kombu's Redis transport, the most urgent first; which of 0 to 9 are in use is
the producers' `priority_steps`."""


@dataclass(frozen=True, slots=True)
class Stray:
    """A list that nobody empties and that holds commands."""

    name: str
    length: int

    @property
    def shown(self) -> str:
        """Its name, as a terminal may show it."""
        return self.name.encode("unicode_escape").decode()

    def way_out(self, queue: str) -> str:
        """Say how messages came there, and what to do."""
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
    """Looks beside one queue, a part of the database at a time."""

    def __init__(self, redis: Redis, queue: str) -> None:
        self._redis = redis
        self._queue = queue
        self._cursor = 0

    @property
    def through(self) -> bool:
        """Whether the last look has come to the end of the database."""
        return self._cursor == 0

    async def look(self, pages: int = PAGES) -> list[Stray]:
        """Return what is found in the next part of the database; the first part follows the last."""
        found = {DEFAULT_QUEUE} - {self._queue.encode()}
        for _ in range(pages):
            self._cursor, names = await self._redis.scan(self._cursor, f"*{literal(self._queue)}*", PAGE, "list")
            found.update(cast("list[bytes]", names))
            if self.through:
                break
        return [stray for name in sorted(self._unknown(found)) if (stray := await self._judged(name)) is not None]

    def _unknown(self, names: Iterable[bytes]) -> set[bytes]:
        """Leave out the lists that the taker reads, and those that takers keep."""
        known = {f"{self._queue}{suffix}".encode() for suffix in SPELLINGS}
        return {name for name in names if name not in known and b".taken:" not in name}

    async def _judged(self, name: bytes) -> Stray | None:
        """Tell a list of commands from another application's, and from one that a taker of another queue reads."""
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
