"""Finds commands that producers put into lists of a Redis broker that no worker reads, instead of into the queue.

A producer's transport options decide under which key kombu puts a message. Workers read the usual ones (`SPELLINGS`).
Commands under any other key, such as one with a `global_keyprefix` or of a queue whose name is mistyped, can only be
reported: the list might be another application's queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

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
MOST_LISTS = 5000
"""Lists of other names that one search looks into."""
AT_ONCE = 100
"""Lists that are looked into in one round trip."""
SEPARATORS = ("\x06\x16", ":")
"""Between a queue's name and a priority: kombu's default, and the one in Celery's documentation of Redis."""
SPELLINGS = ("", *(f"{separator}{number}" for number in range(1, 10) for separator in SEPARATORS))
"""The suffixes of a queue's lists in kombu's Redis transport, the most urgent first; the producers' `priority_steps`
decide which of 0 to 9 are in use."""


def visible_name(name: str) -> str:
    """Return the name of a list as a terminal may show it."""
    return name.encode("unicode_escape").decode()


@dataclass(frozen=True, slots=True)
class Stray:
    """A list that holds commands and that no worker reads."""

    name: str
    length: int

    def way_out(self, queue: str) -> str:
        """Say why messages go there, and what to do."""
        move = f"move its messages with LMOVE {visible_name(self.name)} {queue} RIGHT LEFT"
        if self.name.encode() == DEFAULT_QUEUE:
            return f'the producer names no queue: set queue="{queue}" or task_routes; {move}'
        if self.name.startswith(queue):
            return f"the producer's broker_transport_options set sep or priority_steps: leave them out; {move}"
        read = next(
            (self.name.removesuffix(suffix) for suffix in SPELLINGS[1:] if self.name.endswith(suffix)), self.name
        )
        reason = "the producer's broker_transport_options set a global_keyprefix: leave it out"
        if not read.endswith(queue):
            reason = f'the producer names another queue: set queue="{queue}"'
        return f"{reason} and {move}, or run a worker with CANCELLER_QUEUE={visible_name(read)}"


class StraySearch:
    """Searches for the strays of one queue, one part of the database at a time.

    It looks into lists whose name contains that of the queue; with `everywhere`, into others, too.
    """

    def __init__(self, redis: Redis, queue: str, *, everywhere: bool = False) -> None:
        self._redis = redis
        self._queue = queue
        self._pattern = None if everywhere else f"*{literal(queue)}*"
        self._cursor = 0
        self.through = True
        """Whether the last search has reached the end of the database, and looked into every list."""
        self.denied: set[bytes] = set()
        """Lists into which this Redis user may not look; each is tried once, as Redis logs every denial."""

    async def look(self, pages: int = PAGES) -> list[Stray]:
        """Search the next part of the database; the first part follows the last."""
        read = {f"{self._queue}{suffix}".encode() for suffix in SPELLINGS}
        near, far = {DEFAULT_QUEUE} - read, set[bytes]()
        for _ in range(pages):
            self._cursor, names = await self._redis.scan(self._cursor, self._pattern, PAGE, "list")
            for name in cast("list[bytes]", names):
                if b".taken:" not in name and name not in read:  # those with it are the consumers' own lists
                    (near if self._queue.encode() in name else far).add(name)
            self.through = self._cursor == 0
            if self.through:
                break
        unread = [*sorted(near - self.denied), *sorted(far - self.denied)[:MOST_LISTS]]
        self.through &= len(far) <= MOST_LISTS
        found: list[Stray] = []
        for start in range(0, len(unread), AT_ONCE):
            found += await self._judged(unread[start : start + AT_ONCE])
        return found

    async def _judged(self, names: Sequence[bytes]) -> list[Stray]:
        """Return the lists whose first or last message is a command, and that no other queue's workers read."""
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.lindex(cast("Any", name), 0)
            pipe.lindex(cast("Any", name), -1)
            pipe.llen(cast("Any", name))
            pipe.exists(*(name.removesuffix(suffix.encode()) + b".taken:takers" for suffix in SPELLINGS))
        found = await pipe.execute(raise_on_error=False)
        strays: list[Stray] = []
        for name, newest, oldest, length, read in zip(names, *(found[part::4] for part in range(4)), strict=True):
            if isinstance(length, NoPermissionError):
                self.denied.add(name)
            if read or not isinstance(length, int):
                continue
            if {task_of(raw) for raw in (newest, oldest) if isinstance(raw, bytes)} & OURS:
                strays.append(Stray(name.decode("utf-8", "backslashreplace"), length))
        return strays
