"""Counts what is open in a whole deployment. Redis is read in slices, so that none of them holds it up."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from itertools import product
from typing import Any

import msgspec
from msgspec import Struct

from ..domain.cancellation import sent_key
from ..domain.decision import read_reason
from ..domain.model import Action, JobState, Lane
from . import compression
from .codec import FORMAT, LANE_OF, moment
from .guard import GUARD_LETTERS
from .keyspace import Keyspace

SLICE = 500
"""Records that are read in one call, which takes Redis about half a millisecond."""
UNSEEN, UNREADABLE = "unseen", "unreadable"
"""The state of a job that was not looked at yet, and that of a record that this version can't read."""
STATES, LANES = (*map(str, JobState), UNSEEN), tuple(map(str, Lane))


class Totals(Struct, frozen=True):
    """What is open, held and late, by backend. Times are in seconds.

    `open` is by backend, state of the job, and lane. `breaker_open` is 1 for a paused backend. `memory` is the share of
    Redis's memory limit that is used, 0 without a limit. `waiting` is how many commands no worker has taken in yet,
    None if the broker can't say. `TotalsReader` reads neither `waiting` nor `sink_lags`.
    """

    open: Mapping[tuple[str, str, str], int]
    oldest_cancelling: Mapping[str, float]
    gates_held: Mapping[str, int]
    overdue: Mapping[str, int]
    breaker_open: Mapping[str, int]
    workers: int
    dead_letters: int
    memory: float
    waiting: int | None = None
    sink_lags: Mapping[str, float] = {}


class GuardPart(Struct, frozen=True, rename={**GUARD_LETTERS, "format": "f"}):
    """The part of a guard that is counted."""

    format: int
    lane: str


class SightingPart(Struct, frozen=True):
    """When a job was first seen in CANCELLING."""

    at: datetime


class ProgressPart(Struct, frozen=True):
    """The part of a progress that is counted."""

    state: str = UNSEEN
    overdue: bool = False
    held: tuple[str, ...] = ()
    sent: dict[str, msgspec.Raw] = {}
    cancelling: dict[str, SightingPart] = {}


GUARD = msgspec.json.Decoder(GuardPart)
PROGRESS = msgspec.msgpack.Decoder(ProgressPart)
NOTHING = ProgressPart()


class TotalsReader(Keyspace):
    """Reads one deployment's totals."""

    async def read(self) -> Totals:
        """Count everything; this takes seconds if a hundred thousand cancellations are open.

        Raises:
            StoreUnavailable: Redis can't be read.

        """
        _, _, now, workers, *serving = await self._run(self._scripts.now)
        tally = _Tally(moment(now))
        names = await self._names() | {name.decode() for name in serving}
        for name in sorted(names):
            await self._count(name, tally)
        pipe = self._redis.pipeline(transaction=False)
        for name in sorted(names):
            pipe.hget(f"{self._base}:breaker:{name}", "open")
        for stream in self._letters:
            pipe.xlen(stream)
        pipe.info("memory")
        *found, memory = await self._interruptible(pipe.execute())
        letters = found[len(names) :]
        limit = float(memory.get("maxmemory", 0))
        return Totals(
            open={**dict.fromkeys(product(names, STATES, LANES), 0), **tally.open},
            oldest_cancelling={name: tally.oldest.get(name, 0.0) for name in names},
            gates_held={name: tally.held[name] for name in names},
            overdue={name: tally.overdue[name] for name in names},
            breaker_open={name: int(value == b"1") for name, value in zip(sorted(names), found, strict=False)},
            workers=int(workers),
            dead_letters=sum(letters),
            memory=float(memory["used_memory"]) / limit if limit else 0.0,
        )

    async def _names(self) -> set[str]:
        """Return all backends that the workers' files name, or that have ever had a cancellation."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.hkeys(f"{self._base}:at")
        pipe.smembers(f"{self._base}:backends")
        told, had = await self._interruptible(pipe.execute())
        return {name.decode() for name in {*told, *had}}

    async def _count(self, backend: str, tally: _Tally) -> None:
        cursor, seen = 0, set[bytes]()
        while True:
            scan: Any = self._redis.hscan(f"{self._base}:open:{backend}", cursor, count=SLICE)
            cursor, page = await self._interruptible(scan)
            new = [one for one in page.values() if one not in seen]  # a scan may return one twice
            seen.update(new)
            for start in range(0, len(new), SLICE):
                keys = [f"{self._base}:hot:{one.decode()}" for one in new[start : start + SLICE]]
                for hot in await self._interruptible(self._redis.mget(keys)):
                    if hot is not None:
                        tally.add(backend, hot)
            if not cursor:
                return


class _Tally:
    """Counts records."""

    def __init__(self, now: datetime) -> None:
        self.open: Counter[tuple[str, str, str]] = Counter()
        self.oldest: dict[str, float] = {}
        self.held: Counter[str] = Counter()
        self.overdue: Counter[str] = Counter()
        self._now = now

    def add(self, backend: str, hot: bytes) -> None:
        """Count the hot part of a record."""
        head, _, packed = hot.partition(b"\n")
        try:
            guard = GUARD.decode(head)
            lane = str(LANE_OF[guard.lane])
            readable = guard.format <= FORMAT
            progress = PROGRESS.decode(compression.unpack(packed)) if packed and readable else NOTHING
        except (LookupError, ValueError, msgspec.MsgspecError, zlib.error):
            self.open[backend, UNREADABLE, UNREADABLE] += 1
            return
        self.open[backend, progress.state if readable else UNREADABLE, lane] += 1
        self.overdue[backend] += progress.overdue
        self.held[backend] += any(
            sent_key(Action.FORCE, read_reason(reason)[0]) not in progress.sent for reason in progress.held
        )
        if progress.cancelling:
            since = min(one.at for one in progress.cancelling.values())
            age = (self._now - since).total_seconds()
            self.oldest[backend] = max(self.oldest.get(backend, 0.0), age)
