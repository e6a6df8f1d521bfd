"""Gathers what is known of a job: the events about it, and the records of its cancellations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..domain.errors import NewerFormat, UnknownCancellation, UnreadableRecord
from ..protocol.messages import Event
from ..store.codec import Snapshot
from ..store.event_search import Search
from ..store.store import Store
from ..views.story import Known

MORE = 20_000
"""Events that are searched from the beginning of a cancellation if not all of its own were found."""


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a job: its cancellations, events that belong to none, and its backend's breaker."""

    known: Sequence[Known]
    others: Sequence[Event]
    breaks: Sequence[Event]
    searched: Search


async def history_of(
    store: Store, backend: str, job_id: str, only: str, limit: int | None, report: Callable[[int], None]
) -> History:
    """Gather the history of a job, or with `only` that of one of its cancellations.

    The newest `limit` events are searched, or all if it is None; `report` is called with each page's number of events.
    """
    found = await store.search_back(backend, job_id, limit, report)
    events: dict[str, list[Event]] = defaultdict(list)
    ids = [only] if only else await store.open_ids_of(backend, job_id)
    for cancellation_id in ids:
        events[cancellation_id] = []
    for event in found.events:
        if event.cancellationid and only in {"", event.cancellationid}:
            events[event.cancellationid].append(event)
    known = [await _whole(store, cancellation_id, some) for cancellation_id, some in events.items()]
    breaks = [event for event in found.events if event.type.startswith("canceller.backend.")]
    lone = [event for event in found.events if event.cancellationid is None and event not in breaks]
    others = [event for event in lone if only in {"", event.data.get("cancellation_id")}]
    return History(known, others, breaks, found)


async def _whole(store: Store, cancellation_id: str, events: Sequence[Event]) -> Known:
    """Read the record of a cancellation; if events are missing, look at its end and at its beginning."""
    seen: Snapshot | None = None
    with suppress(UnknownCancellation, NewerFormat, UnreadableRecord):
        seen = await store.get(cancellation_id)
    if seen is None or len(events) >= seen.record.sequence:
        return Known(cancellation_id, tuple(events), seen)
    cancellation = seen.record.cancellation
    early = await store.search_from(cancellation.backend, cancellation.job_id, cancellation.accepted_at, MORE)
    last = await store.event(seen.record.last_event)
    more = (*early, *events, *([last] if last else ()))
    ours = {event.sequence or "": event for event in more if event.cancellationid == cancellation_id}
    return Known(cancellation_id, tuple(ours[number] for number in sorted(ours)), seen)
