"""The jobs that are looked at after the end of their cancellations."""

from __future__ import annotations

from datetime import datetime

import structlog
from msgspec import Struct

from ..domain.errors import NewerFormat, UnreadableRecord
from ..domain.event_drafts import EventDraft
from .codec import Snapshot, fragment, milliseconds, moment, read
from .keyspace import Keyspace

log = structlog.get_logger(__name__)


class ToWatch(Struct, frozen=True):
    """A request for jobs that are due for a look; `lease` is in seconds, `rate` in calls per second, 0 for no limit."""

    backend: str
    most: int
    lease: float
    max_in_flight: int
    rate: float


class Watched(Struct, frozen=True):
    """The ended cancellations whose jobs are to be looked at now; `next_due` is None if no other look is planned."""

    now: datetime
    next_due: datetime | None
    ended: tuple[Snapshot, ...]


class Seen(Struct, frozen=True):
    """The result of a look: what follows, in the words of `lua/watched.lua`; when to look next; the event to emit."""

    follows: str
    due: datetime | None = None
    event: EventDraft | None = None
    calls: int = 0
    verdict: str = ""


class WatchList(Keyspace):
    """The schedule of looks after the end. A claim is a lease: what a dead worker claimed comes due again."""

    async def claim(self, one: ToWatch) -> Watched:
        """Claim jobs that are due for a look. One whose record can't be read is left to other workers."""
        arguments = (one.backend, one.most, int(one.lease * 1000), one.max_in_flight, one.rate)
        now, due, *found = await self._run(self._scripts.watch, *arguments)
        parts = (found[index : index + 3] for index in range(0, len(found), 3))
        ended = [seen for seen in (self._read(*part) for part in parts) if seen is not None]
        return Watched(moment(now), moment(due) if due >= 0 else None, tuple(ended))

    async def settle(self, backend: str, cancellation_id: str, seen: Seen) -> bool:
        """Note the result of a look; return whether it is the first to report that the job is alive again."""
        due = milliseconds(seen.due) if seen.due else 0
        data = fragment(seen.event.data) if seen.event else ""
        arguments = (cancellation_id, backend, seen.follows, due, seen.calls, seen.verdict, data)
        return bool(await self._run(self._scripts.watched, *arguments))

    def _read(self, cancellation_id: bytes, hot: bytes, cold: bytes) -> Snapshot | None:
        try:
            return read(cancellation_id.decode(), hot, cold)
        except (NewerFormat, UnreadableRecord) as error:
            log.warning("record.unreadable", cancellation_id=cancellation_id.decode(), error=str(error))
            return None
