"""PURE: which events a sink has read, which are on their way, and which it is still owed."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..store.sink_state import Note, Owed
from ..store.stream_ids import stream_order
from .tries import UNTRIED, Tried

MOST = 10_000
"""The most events that a sink may be owed; beyond that its position waits until some are delivered or given up."""
AHEAD = 1000
"""The most events that are read ahead of their first try."""


@dataclass(slots=True, eq=False)
class Entry:
    """One event on its way to a sink: `id` is that in the stream, or with `replay` in the sink's list of replays.

    `before` is the position of the event read before it. `due` is in milliseconds; `earliest` is how soon the receiver
    wants to be asked again. `owed` means that the position may pass it, `stored` that Redis knows that. One that is
    `outdated` is not tried any more.
    """

    id: str
    order: str
    event_id: str = ""
    body: bytes | None = field(default=None, repr=False)
    before: str = ""
    replay: bool = False
    tried: Tried = UNTRIED
    due: float = 0.0
    earliest: float = 0.0
    error: str = ""
    owed: bool = False
    stored: bool = False
    outdated: bool = False


class Ledger:
    """The book of one sink while one worker delivers to it; `position` is how far it was when that began."""

    def __init__(self, position: str) -> None:
        self.read_to = position
        """The position of the event that was read last."""
        self._noted = position
        self._queues: dict[str, list[Entry]] = {}
        self._ready: deque[Entry] = deque()
        self._later: list[tuple[float, int, Entry]] = []
        self._fresh: dict[str, Entry] = {}
        self._owed: dict[str, Entry] = {}
        self._by_age: list[tuple[tuple[int, int], str]] = []
        self.replays: dict[str, Entry] = {}
        """The replays on their way."""
        self._unsaved: dict[str, Entry] = {}
        self._settled: set[str] = set()
        self._replayed: set[str] = set()
        self._unanswered: Note | None = None
        self._delivered = 0
        self._error = ""
        self._count = 0

    @property
    def room(self) -> int:
        """How many more events may be read now."""
        return min(AHEAD - len(self._fresh), MOST - len(self._fresh) - len(self._owed))

    @property
    def position(self) -> str:
        """The position up to which every event is delivered, given up, or owed."""
        first = next(iter(self._fresh.values()), None)
        return self.read_to if first is None else first.before

    @property
    def changed(self) -> bool:
        """Whether there is anything to note."""
        told = self._unsaved or self._settled or self._replayed or self._error or self._unanswered
        return bool(told) or self.position != self._noted

    def restore(self, entries: Iterable[Entry]) -> None:
        """Take over what was owed before, oldest first."""
        for entry in entries:
            entry.stored = True
            self._owe(entry)
            self._enqueue(entry)

    def read(self, position: str, entry: Entry | None) -> None:
        """Note the next event of the stream, which is None if it needs no delivery."""
        if entry is not None:
            entry.before = self.read_to
            waiting = self._queues.get(entry.order)
            if waiting and waiting[0].owed:
                self._owe(entry)
            else:
                self._fresh[entry.id] = entry
            self._enqueue(entry)
        self.read_to = position

    def replay(self, entry: Entry) -> None:
        """Take an event that is to be delivered again; it neither waits for others nor holds them up."""
        self.replays[entry.id] = entry
        self._ready.append(entry)

    def next(self, now: float, most: int) -> list[Entry]:
        """Return the next events to be tried now, at most `most` of them and one per order."""
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])
        entries: list[Entry] = []
        while self._ready and len(entries) < most:
            entry = self._ready.popleft()
            if not entry.outdated:
                entries.append(entry)
        return entries

    def next_due(self) -> float | None:
        """Return when the next try is due, in milliseconds; None if all is delivered or on its way."""
        if self._ready:
            return 0.0
        return self._later[0][0] if self._later else None

    def hurry(self, now: float) -> None:
        """Make due at once what waits for its next try, unless the receiver has asked for the wait."""
        waiting, self._later = self._later, []
        for _, _, entry in sorted(waiting, key=lambda one: stream_order(one[2].id)):
            entry.due = max(now, entry.earliest)
            self._wait(entry)

    def settled(self, entry: Entry, error: str = "") -> None:
        """Note that an event has arrived, or with an `error` that it became a dead letter and is owed no more."""
        if error:
            self._error = error
        else:
            self._delivered += 1
        if entry.replay:
            del self.replays[entry.id]
            self._replayed.add(entry.id)
            return
        if entry.owed:
            del self._owed[entry.id]
            self._unsaved.pop(entry.id, None)
            if entry.stored:
                self._settled.add(entry.id)
        else:
            del self._fresh[entry.id]
        queue = self._queues[entry.order]
        was_first = queue[0] is entry
        queue.remove(entry)
        if not queue:
            del self._queues[entry.order]
        elif was_first:
            self._wait(queue[0])

    def failed(self, entry: Entry, error: str) -> None:
        """Note that a try failed; the entry says what is known of its tries and when the next one is due."""
        entry.error = self._error = error
        entry.body = None if not entry.replay else entry.body
        if not entry.replay:
            for one in self._queues[entry.order]:
                if not one.owed:
                    del self._fresh[one.id]
                    self._owe(one)
            self._unsaved[entry.id] = entry
        self._wait(entry)

    def outdated(self, before: float) -> list[Entry]:
        """Take out the events that were written before a time (ms) and are not on their way now."""
        idle = {id(one) for one in self._ready} | {id(one) for _, _, one in self._later}
        idle |= {id(one) for queue in self._queues.values() for one in list(queue)[1:]}
        old = [
            entry
            for entry in (*self._owed.values(), *self._fresh.values())
            if stream_order(entry.id)[0] < before and id(entry) in idle
        ]
        for entry in old:
            entry.outdated = True
        return old

    def note(self) -> Note:
        """Return what is to be stored now, including an earlier note that may have been lost: see `stored`."""
        last = self._unanswered or Note(self._noted)
        owed = {
            one.id: Owed(one.tried.tries, int(one.due), one.tried.refused_since, one.order)
            for one in self._unsaved.values()
        }
        note = Note(
            position=self.position,
            oldest=self._oldest(),
            owed={**last.owed, **owed},  # those that were settled since are deleted after they are written
            settled={*last.settled, *self._settled},
            replayed={*last.replayed, *self._replayed},
            delivered=last.delivered + self._delivered,
            error=self._error or last.error,
        )
        for one in self._unsaved.values():
            one.stored = True
        self._unanswered = note
        self._unsaved, self._settled, self._replayed = {}, set(), set()
        self._delivered, self._error = 0, ""
        return note

    def stored(self) -> None:
        """Note that the latest note is stored; until then the next one repeats it."""
        if self._unanswered is not None:
            self._noted = self._unanswered.position
        self._unanswered = None

    def _enqueue(self, entry: Entry) -> None:
        queue = self._queues.get(entry.order)
        if queue is None:
            self._queues[entry.order] = [entry]
            self._wait(entry)
        else:
            queue.append(entry)

    def _wait(self, entry: Entry) -> None:
        if entry.due <= 0:
            self._ready.append(entry)
            return
        self._count += 1
        heapq.heappush(self._later, (entry.due, self._count, entry))

    def _owe(self, entry: Entry) -> None:
        entry.owed = True
        entry.body = None
        self._owed[entry.id] = entry
        heapq.heappush(self._by_age, (stream_order(entry.id), entry.id))
        if not entry.stored:
            self._unsaved[entry.id] = entry

    def _oldest(self) -> str:
        while self._by_age and self._by_age[0][1] not in self._owed:
            heapq.heappop(self._by_age)
        return self._by_age[0][1] if self._by_age else ""
