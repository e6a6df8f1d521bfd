"""The board's one reader of Redis: all pages and streams share what it has read, so that more browsers cost no more.

On each tick it reads the state of the deployment, what has changed according to the events, and a page of what is open,
so that everything is read again from time to time. It reads only while somebody watches.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from ..aio.cached import Cached
from ..aio.tasks import cancel_all
from ..client import BatchStatus, CancellerError
from ..store.batches import Batches
from ..store.codec import EPOCH
from ..store.overview import Deployment, Gates, Overview
from ..views.open_rows import Row, Summary, row_of, summed_up

log = logging.getLogger(__name__)

TICK = 1.0
"""Seconds between two readings."""
IDLE = 30.0
"""Seconds without a watcher after which reading ends."""
PATIENCE = 5.0
"""Seconds that a page waits for the first reading before it is shown without it."""
PAGE = 500
"""About how many open cancellations are read again in one tick."""
MOST_CHANGED = 1000
"""How many changed cancellations are read in one tick; the rest wait for the next one."""
MOST_ROWS = 100_000
"""How many open cancellations are counted by state and listed; of any others, only the number is known."""
NEWEST_BATCHES = 20
"""Batches that are read in each tick."""
SEARCHED = 5000
"""Events that are searched once for details of gates that were shut before reading began."""


class Snapshot(Struct, frozen=True):
    """What the board knows at one moment.

    `complete` says that everything open was read at least once, `capped` that too much is open to list all of it.
    `problem` says why nothing could be read, and `failing_since` since when. `waiting` is how many commands wait in the
    queue, None if the broker can't be asked.
    """

    deployment: Deployment | None = None
    summary: Summary = Summary()
    batches: tuple[BatchStatus, ...] = ()
    waiting: int | None = None
    complete: bool = False
    capped: bool = False
    problem: str = ""
    failing_since: datetime | None = None


class Feed:
    """Reads while it is watched.

    `snapshot` is the latest reading, `tick` its number; `version` changes only when pages must be shown anew.
    """

    def __init__(self, overview: Overview, batches: Batches, waiting: Cached[int | None]) -> None:
        self._overview = overview
        self._batches = batches
        self._waiting = waiting
        self._task: asyncio.Task[None] | None = None
        self._ticked = asyncio.Event()
        self.watchers = 0
        """The number of watchers."""
        self._asked_at = 0.0
        self.closing = asyncio.Event()
        self._forget()

    def _forget(self) -> None:
        self.snapshot = Snapshot()
        self.tick = 0
        self.version = 0
        self.rows: dict[str, Row] = {}
        self.gates: dict[tuple[str, str], object] = {}
        self._read_at = 0.0
        self._position = ""
        self._changed: dict[str, None] = {}
        self._cursors: dict[str, int] = {}
        self._seen: set[str] = set()
        self._touched = False

    async def current(self) -> Snapshot:
        """Return the latest reading, made no more than a tick ago, unless Redis keeps us waiting."""
        self._start()
        if not self.tick:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._ticked.wait()
        return self.snapshot

    def now(self) -> datetime | None:
        """Return the deployment's time, as the latest reading and our own clock tell it; None without a reading."""
        if self.snapshot.deployment is None:
            return None
        return self.snapshot.deployment.now + timedelta(seconds=asyncio.get_running_loop().time() - self._read_at)

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Keep reading for as long as the block runs."""
        self.watchers += 1
        self._start()
        try:
            yield
        finally:
            self.watchers -= 1
            self._asked_at = asyncio.get_running_loop().time()

    async def next_tick(self, seconds: float) -> bool:
        """Wait for the next reading; False if there is none within some seconds, or the board closes."""
        ticked = self._ticked
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await ticked.wait()
                return not self.closing.is_set()
        return False

    def close(self) -> None:
        """End all waits for a reading."""
        self.closing.set()
        self._ticked.set()

    async def aclose(self) -> None:
        """Stop reading."""
        self.close()
        if self._task is not None:
            await cancel_all([self._task])
        await self._waiting.aclose()

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        self._asked_at = loop.time()
        if self._task is None or self._task.done():
            self._forget()
            self._ticked = asyncio.Event()
            self._task = asyncio.create_task(self._read_on())

    async def _read_on(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.closing.is_set() and (self.watchers or loop.time() - self._asked_at < IDLE):
            try:
                await self._read()
            except (CancellerError, OSError, TimeoutError) as error:
                self._note_failure(error)
            ticked, self._ticked = self._ticked, asyncio.Event()
            self.tick += 1
            ticked.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self.closing.wait()

    def _note_failure(self, error: Exception) -> None:
        before = self.snapshot
        if not before.problem:
            log.warning("the board can't read the deployment: %s", error)
        since = before.failing_since or (before.deployment.now if before.deployment else None)
        self.snapshot = replace(before, problem=str(error), failing_since=since)
        self.version += _shown(before) != _shown(self.snapshot)

    async def _read(self) -> None:
        deployment = await self._overview.deployment()
        read_at = asyncio.get_running_loop().time()
        first = not self._position
        if first:
            self._position = deployment.position
        else:
            await self._note_changes()
        await self._refresh(list(self._changed)[:MOST_CHANGED])
        read = 0
        while (step := await self._sweep(deployment)) is not None:
            read += step
            if read >= PAGE and self.snapshot.complete:
                break
            await asyncio.sleep(0)  # The first time everything is read, one page after another.
        if first:
            shut = {row.id for row in self.rows.values() if row.gates}
            self._keep(await self._overview.gates(shut, SEARCHED) if shut else {})
        batches = tuple(await self._batches.list(NEWEST_BATCHES))
        waiting = await self._waiting.get()
        before = self.snapshot
        if self._touched or not before.complete:
            summary = summed_up(self.rows.values())
            self._touched = False
        else:
            summary = before.summary
        self.snapshot = Snapshot(
            deployment, summary, batches, waiting, complete=True, capped=len(self.rows) >= MOST_ROWS
        )
        if _shown(before) != _shown(self.snapshot):
            self.version += 1
        self._read_at = read_at

    async def _note_changes(self) -> None:
        changes = await self._overview.changes(self._position)
        self._position = changes.position
        self._changed.update(dict.fromkeys(changes.ids))
        self._keep(changes.gates)
        if len(self._changed) > MOST_ROWS:
            self._changed.clear()  # The sweep reads them anyway.

    def _keep(self, gates: Gates) -> None:
        self._touched |= bool(gates)
        self.gates.update(gates)
        if len(self.gates) > len(self.rows) + PAGE:
            self.gates = {key: gate for key, gate in self.gates.items() if key[0] in self.rows}

    async def _refresh(self, ids: Iterable[str]) -> None:
        """Read some cancellations again; those that have ended lose their row."""
        wanted = list(ids)
        seen = await self._overview.snapshots(wanted, commands=False)
        found = {one.record.cancellation.id: one.record for one in seen}
        for one in wanted:
            self._changed.pop(one, None)
            record = found.get(one)
            if record is None or record.outcome is not None:
                self._touched |= self.rows.pop(one, None) is not None
            elif one in self.rows or len(self.rows) < MOST_ROWS:
                row = row_of(record)
                self._touched |= self.rows.get(one) != row
                self.rows[one] = row
                self._seen.add(one)

    async def _sweep(self, deployment: Deployment) -> int | None:
        """Read the next page of what is open and return its size; None if all has been read."""
        names = [backend.name for backend in deployment.backends]
        backend = next((name for name in names if self._cursors.get(name, 0) >= 0), None)
        if backend is None:
            for one in self.rows.keys() - self._seen:
                del self.rows[one]
                self._touched = True
            self._seen.clear()
            self._cursors.clear()
            return None
        cursor, ids = await self._overview.open_page(backend, self._cursors.get(backend, 0), PAGE)
        self._cursors[backend] = cursor or -1
        await self._refresh(ids)
        return len(ids)


def _shown(one: Snapshot) -> object:
    """Return the part of a reading that pages show. The summary is a new object whenever anything in it changes."""
    deployment = one.deployment
    if deployment is None:
        return one.problem
    paused = [each.paused_until is not None and each.paused_until > deployment.now for each in deployment.backends]
    steady = replace(deployment, now=EPOCH, position="")
    return steady, paused, id(one.summary), one.batches, one.waiting, one.problem
