"""Reads the event stream, and trims it and the dead letters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from ..protocol.messages import Event
from .codec import milliseconds
from .event_entries import readable
from .keyspace import Keyspace
from .retention import DAY, LETTERS

UNREAD_FOR = 30 * DAY
"""Seconds for which a consumer group that does not read holds back the trimming of events."""
NEVER = 1 << 62
"""A time in milliseconds that never comes."""


class EventLog(Keyspace):
    """The events of one deployment, in the order in which they were written."""

    async def last_event_id(self) -> str:
        """Return the stream id of the newest event; a reader that goes on after it sees every later one."""
        newest = await self._interruptible(self._redis.xrevrange(f"{self._base}:events", count=1))
        return newest[0][0].decode() if newest else "0-0"

    async def events(self, after: str, *, block: float | None = None, count: int = 500) -> list[tuple[str, Event]]:
        """Return events after a stream id; wait up to `block` seconds for the first one."""
        milliseconds_ = None if block is None else max(1, int(block * 1000))
        while True:
            call = self._redis.xread({f"{self._base}:events": after}, count=count, block=milliseconds_)
            entries = [entry for _, stream in await self._interruptible(call) or [] for entry in stream]
            found = readable(entries)
            if found or not entries:
                return found
            after = entries[-1][0].decode()

    async def event(self, entry: str) -> Event | None:
        """Return the event with this stream id; None for no id, and once it is past its retention."""
        if not entry:
            return None
        found = await self._interruptible(self._redis.xrange(f"{self._base}:events", min=entry, max=entry, count=1))
        return next((event for _, event in readable(found)), None)

    async def newest_events(self, count: int) -> AsyncIterator[Event]:
        """Walk back through the events, newest first, in pages of `count`."""
        before = "+"
        while True:
            call = self._redis.xrevrange(f"{self._base}:events", max=before, count=count)
            page = await self._interruptible(call)
            for _, event in readable(page):
                yield event
            if len(page) < count:
                return
            before = f"({page[-1][0].decode()}"

    async def trim(self, now: datetime, needed_since: int = NEVER) -> None:
        """Delete events and dead letters that are past their retention.

        An event that a consumer group has not read or not acknowledged yet is kept for up to `UNREAD_FOR`. Whatever was
        written at `needed_since` (in milliseconds) or later is kept in any case.
        """
        kept = {"events": self._retention.events} | dict.fromkeys(LETTERS, self._retention.dead_letters)
        for stream, keep in kept.items():
            oldest = milliseconds(now) - int(keep * 1000)
            if stream == "events":
                unread = max(await self._unread_since(), milliseconds(now) - int(UNREAD_FOR * 1000))
                oldest = min(oldest, needed_since, unread)
            await self._delete_before(f"{self._base}:{stream}", oldest)

    async def _delete_before(self, stream: str, oldest: int) -> None:
        """Delete what is older, in calls that take Redis a few milliseconds each."""
        while await self._call(self._redis.xtrim(stream, minid=oldest, approximate=True)):
            pass  # Redis deletes whole nodes, and only so many in one call
        await self._call(self._redis.xtrim(stream, minid=oldest, approximate=False))

    async def _unread_since(self) -> int:
        """Return when the oldest event was written that a consumer group still needs, in milliseconds."""
        stream = f"{self._base}:events"
        needed = [NEVER]
        if await self._call(self._redis.exists(stream)):
            for group in await self._call(self._redis.xinfo_groups(stream)):
                position = group["last-delivered-id"]
                if group["pending"]:  # unless all has been acknowledged since
                    position = (await self._call(self._redis.xpending(stream, group["name"])))["min"] or position
                needed.append(int(position.partition(b"-")[0]))
        return min(needed)
