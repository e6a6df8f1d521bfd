"""Finds the events of one job. The stream has no index: its newest entries are searched, as many as asked for."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from ..protocol.messages import Event
from .codec import milliseconds, moment
from .event_entries import readable
from .keyspace import Keyspace

PAGE = 1000
Page = Sequence[tuple[bytes, Mapping[bytes, bytes]]]
"""Entries of the stream: the id of each, and its fields."""
OF_BREAKER = "canceller.backend."
"""How the types of events about a backend's breaker begin."""
EARLIER = 2000
"""Milliseconds by which an entry's id may be earlier than the time of its event: ids are by Redis's own clock."""


class Search(Struct, frozen=True):
    """What a search has found, the oldest first.

    `searched` is how many entries were read, `back_to` the time of the oldest of them; `whole` says that the stream has
    no older ones.
    """

    events: tuple[Event, ...]
    searched: int
    back_to: datetime | None
    whole: bool


class EventSearch(Keyspace):
    """Searches in the stream of events, page by page."""

    async def kept_events(self) -> int:
        """Return how many entries the stream has."""
        return int(await self._interruptible(self._redis.xlen(f"{self._base}:events")))

    async def search_back(self, backend: str, job_id: str, limit: int | None, report: Callable[[int], None]) -> Search:
        """Search the newest `limit` entries, all for None, for events about a job and its backend's breaker.

        `report` is called with the number of entries in each page.
        """
        found: list[Event] = []
        searched = 0
        back_to: datetime | None = None
        async for page in self._pages_back(limit):
            found += self._picked(page, backend, job_id)
            searched += len(page)
            report(len(page))
            if page:
                back_to = moment(int(page[-1][0].partition(b"-")[0]))
        return Search(tuple(reversed(found)), searched, back_to, whole=limit is None or searched < limit)

    async def last_end(
        self, backend: str, job_id: str, limit: int | None, report: Callable[[int], None]
    ) -> Event | None:
        """Search the newest `limit` entries, all for None, for the end of a job's last cancellation, dry runs excepted.

        `report` is called as in `search_back`.
        """
        async for page in self._pages_back(limit):
            report(len(page))
            for event in self._picked(page, backend, job_id):
                if event.name == "finished" and event.cancellationid and event.outcome != "planned":
                    return event
        return None

    async def _pages_back(self, limit: int | None) -> AsyncIterator[Page]:
        """Read the newest `limit` entries, in pages, the newest first; a last page may be empty."""
        searched, before = 0, "+"
        while limit is None or searched < limit:
            count = PAGE if limit is None else min(PAGE, limit - searched)
            page = await self._interruptible(self._redis.xrevrange(f"{self._base}:events", max=before, count=count))
            yield page
            if len(page) < count:
                return
            searched += len(page)
            before = f"({page[-1][0].decode()}"

    async def search_from(self, backend: str, job_id: str, since: datetime, limit: int) -> tuple[Event, ...]:
        """Search up to `limit` entries from a time on."""
        found: list[Event] = []
        searched, after = 0, str(max(0, milliseconds(since) - EARLIER))
        while searched < limit:
            count = min(PAGE, limit - searched)
            page = await self._interruptible(self._redis.xrange(f"{self._base}:events", min=after, count=count))
            found += self._picked(page, backend, job_id)
            searched += len(page)
            if len(page) < count:
                break
            after = f"({page[-1][0].decode()}"
        return tuple(found)

    @staticmethod
    def _picked(page: Page, backend: str, job_id: str) -> list[Event]:
        """Return the events about a job, or about the breaker of its backend.

        Only likely entries are parsed: parsing takes far longer than a text search.
        """
        marks = [f'"subject":{json.dumps(text, ensure_ascii=False)},'.encode() for text in (job_id, backend)]
        likely = [entry for entry in page if any(mark in entry[1].get(b"event", b"") for mark in marks)]
        return [
            event
            for _, event in readable(likely)
            if event.backend == backend
            and (event.subject == job_id or (event.type.startswith(OF_BREAKER) and event.subject == backend))
        ]
