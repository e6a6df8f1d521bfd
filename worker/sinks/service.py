"""Delivers events to one sink for as long as this worker has the sink's lease."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from ..aio.tasks import cancel_all
from ..domain.errors import StoreUnavailable
from ..observability.outage import Seldom
from ..store.event_entries import report
from ..store.sink_state import Lease
from ..store.sinks import Sinks
from ..store.stream_ids import stream_order
from .clock import Clock
from .event import Filter, read
from .health import Health
from .ledger import Entry, Ledger
from .receiver import Message, Receiver
from .tries import Failure, Limits, Tried, pause

log = structlog.get_logger(__name__)

LIFE = 4.0
"""Seconds that a lease lasts: a dead worker's sink is taken over a little later."""
RENEW_EVERY = 1.0
NOTE_EVERY = 0.25
"""Seconds from one note to the next while there is something to note."""
GATHER, LONGEST_GATHER, GATHER_EACH = 0.02, 0.1, 0.001
"""Seconds from one read to the next, in which events gather: a read costs more than an event.

The least, the most, and in between the seconds for each event that was read.
"""
PAGE = 500
REPLAYS_EVERY = 1.0
MOST_REPLAYS = 200
OUTDATED_EVERY = 10.0
CLOSE_TIMEOUT = 1.0
"""Seconds that giving the lease back may take."""


class LeaseLost(Exception):
    """Another worker delivers to the sink, or may by now."""


@dataclass(frozen=True, slots=True)
class Sink:
    """A sink as it is configured, and the receiver behind it."""

    name: str
    kind: str
    filter: Filter
    limits: Limits
    receiver: Receiver


class Service:
    """One lease of a sink: reads, delivers and notes until the lease is lost or Redis is away."""

    def __init__(
        self,
        sink: Sink,
        sinks: Sinks,
        lease: Lease,
        clock: Clock,
        chance: Callable[[], float] = random.random,  # noqa: S311 - spreads tries over time
    ) -> None:
        self._sink = sink
        self._sinks = sinks
        self._lease = lease
        self._clock = clock
        self._chance = chance
        self._ledger = Ledger(lease.position)
        self._health = Health()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()
        self._grace = 0.0
        self._ended_by: Exception | None = None
        self._seldom = Seldom()
        self._last_replay = "0-0"
        self._keep = sink.limits.keep_at_most * 1000
        """Milliseconds from the writing of an event until its delivery is given up."""
        days = sink.limits.keep_at_most / 86400
        self._kept_for = f"{days:g} day{'s' if days != 1 else ''}"

    def stop(self, grace: float) -> None:
        """Start no delivery, and end once those on their way have ended, or after `grace` seconds."""
        self._grace = grace
        self._stopping.set()

    async def run(self) -> None:
        """Deliver.

        Raises:
            LeaseLost: another worker may deliver to the sink.
            StoreUnavailable: Redis is away.

        """
        log.info("sink.taken", sink=self._sink.name, position=self._lease.position)
        tasks: list[asyncio.Task[object]] = []
        await self._restore()  # without that, leaving would note that nothing is owed
        try:
            loops = (self._read_events(), self._read_replays(), self._send(), self._note(), self._give_up_outdated())
            tasks = [asyncio.create_task(loop) for loop in (*loops, self._stopping.wait())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended = [task for task in tasks if task.done()]
            await cancel_all(tasks)
            if self._in_flight and self._grace:
                await asyncio.wait(self._in_flight, timeout=self._grace)
            await cancel_all(self._in_flight)
            await self._leave()
        for task in ended:
            task.result()

    async def _restore(self) -> None:
        owed = await self._sinks.owed(self._sink.name)
        self._ledger.restore(
            Entry(id_, owed[id_].order, tried=Tried(owed[id_].tries, owed[id_].refused_since), due=owed[id_].due)
            for id_ in sorted(owed, key=stream_order)
        )

    async def _read_events(self) -> None:
        """Read events as long as there is room for them."""
        while True:
            room = min(PAGE, self._ledger.room)
            if room <= 0:
                self._room.clear()
                await self._room.wait()
                continue
            page = await self._sinks.entries(self._ledger.read_to, room, RENEW_EVERY)
            if page:
                await self._take(page)
                self._wake.set()
                if len(page) < room:
                    await asyncio.sleep(min(LONGEST_GATHER, max(GATHER, GATHER_EACH * len(page))))

    async def _take(self, page: list[tuple[str, bytes]]) -> None:
        """Put events into the ledger; a run of those that are too old to be delivered becomes one dead letter."""
        oldest = self._clock.now() - self._keep
        may_be_lost = stream_order(page[0][0])[0] < oldest
        lost: list[str] = []
        for id_, body in page:
            head = read(body)
            if head is None:
                report(id_, "it can't be read")
            entry = None
            if head is not None and self._sink.filter.wants(head):
                if may_be_lost and stream_order(id_)[0] < oldest:
                    lost.append(id_)
                else:
                    entry = Entry(id_, head.order, head.id, body)
            if not lost:
                self._ledger.read(id_, entry)
            elif entry is not None:
                await self._lose(lost)
                self._ledger.read(lost[-1], None)
                lost = []
                self._ledger.read(id_, entry)
        if lost:
            await self._lose(lost)
            self._ledger.read(page[-1][0], None)

    async def _lose(self, lost: list[str]) -> None:
        count = f"{len(lost)} event{'s' if len(lost) != 1 else ''} from {lost[0]} to {lost[-1]}"
        reason = f"sink {self._sink.name}: lost {count}, which could not be delivered within {self._kept_for}"
        raw = json.dumps({"lost": len(lost), "first": lost[0], "last": lost[-1]}).encode()
        if not await self._sinks.give_up(self._lease, reason, raw, ""):
            raise LeaseLost

    async def _read_replays(self) -> None:
        """Read what is to be delivered again."""
        while True:
            room = MOST_REPLAYS - len(self._ledger.replays)
            found = await self._sinks.replays(self._sink.name, self._last_replay, room) if room > 0 else ()
            for id_, body in found:
                self._last_replay = id_
                head = read(body)
                self._ledger.replay(Entry(id_, id_, head.id if head else "", body, replay=True))
            if found:
                self._wake.set()
            await asyncio.sleep(REPLAYS_EVERY)

    async def _send(self) -> None:
        """Start deliveries as they become due."""
        while True:
            self._wake.clear()
            wait = self._start_due(self._clock.now())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)

    def _start_due(self, now: float) -> float | None:
        """Start what is due; return the seconds until something else may be, None if nothing waits."""
        if self._ended_by is not None:
            raise self._ended_by
        if self._clock.since_asked() > LIFE:
            raise LeaseLost
        down = self._health.down
        if down and now < self._health.probe_at:
            return (self._health.probe_at - now) / 1000
        limit, at_once = (1, 1) if down else (self._sink.receiver.max_in_flight, self._sink.receiver.at_once)
        while len(self._in_flight) < limit and (entries := self._ledger.next(now, at_once)):
            task = asyncio.create_task(self._try(entries))
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)
        due = self._ledger.next_due()
        if due is None or len(self._in_flight) >= limit:
            return None
        return max(0.001, (due - now) / 1000)

    async def _try(self, entries: list[Entry]) -> None:
        """Deliver events once, and note what came of it."""
        try:
            known = [entry for entry in entries if (entry.event_id and entry.body) or await self._read(entry)]
            for entry, failure in zip(known, await self._deliver(known), strict=True):
                if failure is None:
                    self._delivered(entry)
                else:
                    await self._failed(entry, failure)
        except Exception as error:  # noqa: BLE001 - it is raised where deliveries are started
            self._ended_by = error
        asyncio.get_running_loop().call_soon(self._wake.set)  # after this task has left those in flight
        self._room.set()

    async def _read(self, entry: Entry) -> bool:
        """Read an event whose body is not in memory; give the event up if it no longer exists."""
        try:
            body = entry.body or await self._sinks.entry(entry.id)
            head = read(body or b"")
            if head is not None:
                entry.event_id, entry.body = head.id, body
                return True
            reason = f"sink {self._sink.name}: the event at {entry.id} is no longer in the stream"
            await self._give_up(entry, reason, body or b"")
        except StoreUnavailable as error:
            self._plan(entry, Failure(str(error)))
        return False

    async def _deliver(self, entries: list[Entry]) -> Sequence[Failure | None]:
        if self._clock.since_asked() > LIFE:
            raise LeaseLost  # while this worker stood still another one may have delivered what follows
        messages = [Message(entry.event_id, entry.body or b"") for entry in entries]
        try:
            return await self._sink.receiver.deliver(messages) if messages else ()
        except Exception as error:
            log.exception("sink.delivery_broken", sink=self._sink.name, event_id=messages[0].id)
            return [Failure(type(error).__name__)] * len(messages)

    def _delivered(self, entry: Entry) -> None:
        self._ledger.settled(entry)
        if self._health.delivered():
            self._ledger.hurry(self._clock.now())

    async def _failed(self, entry: Entry, failure: Failure) -> None:
        """Plan the next try of an event, or give it up."""
        now = self._clock.now()
        self._health.failed(entry.order, now, failure.retry_after)
        if self._seldom.due():
            log.warning("sink.delivery_failed", sink=self._sink.name, event_id=entry.event_id, error=failure.reason)
        entry.tried = entry.tried.after(failure, now)
        hopeless = entry.tried.hopeless(self._sink.limits, now, self._clock.speed)
        if not hopeless:
            self._plan(entry, failure)
            return
        reason = f"sink {self._sink.name}: {hopeless}; last error: {failure.reason}"
        try:
            await self._give_up(entry, reason, entry.body or b"")
        except StoreUnavailable as error:
            self._plan(entry, Failure(str(error)))

    def _plan(self, entry: Entry, failure: Failure) -> None:
        """Plan the next try of an event."""
        wait = pause(max(1, entry.tried.tries), failure.retry_after, self._chance())
        now, second = self._clock.now(), 1000 / self._clock.speed
        entry.earliest = now + (failure.retry_after or 0.0) * second
        entry.due = now + wait * second
        self._ledger.failed(entry, failure.reason)

    async def _give_up_outdated(self) -> None:
        """Give up events that are too old to be delivered, however many tries are left."""
        while True:
            for entry in self._ledger.outdated(self._clock.now() - self._keep):
                body = entry.body or await self._sinks.entry(entry.id) or b""
                head = read(body)
                entry.event_id = head.id if head else ""
                last = f"; last error: {entry.error}" if entry.error else ""
                await self._give_up(entry, f"sink {self._sink.name}: not delivered within {self._kept_for}{last}", body)
                self._room.set()
            await asyncio.sleep(OUTDATED_EVERY / self._clock.speed)

    async def _give_up(self, entry: Entry, reason: str, body: bytes) -> None:
        which = {"replay": entry.id} if entry.replay else {"entry": entry.id}
        if not await self._sinks.give_up(self._lease, reason, body, entry.event_id, **which):
            raise LeaseLost
        self._ledger.settled(entry, reason)
        log.warning("sink.dead_letter", sink=self._sink.name, event_id=entry.event_id, reason=reason)

    async def _note(self) -> None:
        """Note what has come of the deliveries, and renew the lease."""
        while True:
            await asyncio.sleep(NOTE_EVERY)
            if self._ledger.changed or self._clock.since_asked() > RENEW_EVERY:
                asked_at = asyncio.get_running_loop().time()
                now, held = await self._sinks.note(self._lease, self._ledger.note(), LIFE)
                if not held:
                    raise LeaseLost
                self._ledger.stored()
                self._clock = Clock(now.timestamp() * 1000, asked_at, self._clock.speed)

    async def _leave(self) -> None:
        """Note what is left to note, and give the lease back."""
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._sinks.note(self._lease, self._ledger.note(), 0)
