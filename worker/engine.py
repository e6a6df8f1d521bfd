"""Drains what is due: claims records, keeps a window of passes in flight, sleeps until the next thing is due.

One engine runs in each worker process, in one asyncio loop; no engine leads. Each backend has a
drain of its own, so a slow backend costs the others nothing.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from math import inf

import structlog

from worker.connection import ended
from worker.errors import StoreUnavailable
from worker.model import Lane
from worker.reconcile import Backend, Clock, Pass, context
from worker.store import Store
from worker.transitions import Claim, Claims, Limits

log = structlog.get_logger(__name__)

BEAT = 1.0
BEAT_LIFE = 4.0
TRIM_EVERY = 60.0
RETRY_STORE = 0.5
FAREWELL = 1.0
"""Seconds to say goodbye: with Redis away it goes without."""
GATHER = 0.01
"""Seconds to wait for more free slots before the next claim, so that one claim brings many records."""
BLOCKED = 0.1
"""Seconds until the next try where something is due but may not be claimed yet."""

Ring = Callable[[str], Awaitable[None]]


async def silent(_backend: str) -> None:
    """Ring for nobody: one worker alone needs no bell, and others hear of what is due within a beat."""


class Drain:
    """Works off what is due on one backend."""

    def __init__(self, backend: Backend, store: Store, worker: str, slots: int, ring: Ring) -> None:
        self._backend = backend
        self._store = store
        self._worker = worker
        self._slots = min(slots, backend.max_in_flight)
        self._ring = ring
        self._passes: set[asyncio.Task[None]] = set()
        self._wake_at = 0.0
        self._batch = 0
        self._bell: asyncio.Task[None] | None = None
        self._more = False
        self._moved = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Claim at once."""
        self.wake_in(0.0)

    def wake_in(self, seconds: float) -> None:
        """Claim in so many seconds, if nothing wakes this drain earlier."""
        at = asyncio.get_running_loop().time() + max(0.0, seconds)
        if at < self._wake_at:
            self._wake_at = at
            self._moved.set()

    async def run(self) -> None:
        """Drain until stopped."""
        while not self._stopping:  # redis-py may swallow a cancellation
            await self._rest()
            self._wake_at = inf
            try:
                if not self._stopping:
                    await self._claim()
            except StoreUnavailable as error:
                log.warning("engine.store_unavailable", backend=self._backend.name, error=str(error))
                self.wake_in(RETRY_STORE)
            except Exception:
                log.exception("engine.claim_failed", backend=self._backend.name)
                self.wake_in(RETRY_STORE)

    async def settle(self, seconds: float) -> None:
        """Claim no more; let the passes in flight end, and after `seconds` leave them to whoever claims them next."""
        self._stopping = True
        self.wake()
        if self._passes:
            _, late = await asyncio.wait(self._passes, timeout=seconds)
            await ended(late)
        if self._bell is not None:
            await ended([self._bell])

    async def _rest(self) -> None:
        loop = asyncio.get_running_loop()
        while self._wake_at > loop.time():
            self._moved.clear()
            try:
                async with asyncio.timeout_at(None if self._wake_at == inf else self._wake_at):
                    await self._moved.wait()
            except TimeoutError:
                return

    async def _claim(self) -> None:
        free = self._slots - len(self._passes)
        self._more = free <= 0
        if self._more:
            return
        backend = self._backend
        clock_start = Clock(datetime.min)  # noqa: DTZ901 - only its monotonic start is used
        claims = await self._store.claim(
            backend.name,
            self._worker,
            Limits(
                free,
                backend.lease,
                backend.max_in_flight,
                backend.rate,
                backend.batch_slots,
                max(1, self._slots * 3 // 4) - self._batch,
            ),
        )
        if self._stopping:
            return  # what was claimed comes back once this worker says that it is gone
        for claim in claims.claims:
            self._start(claim, claims, Clock(claims.now, clock_start.started))
        self._more = len(claims.claims) >= free
        if self._more:
            self._ring_once()
        elif claims.next_due is not None:
            wait = (claims.next_due - claims.now).total_seconds()
            self.wake_in(wait if wait > 0 else BLOCKED)

    def _ring_once(self) -> None:
        """Tell other workers that there is more, without waiting for the broker: one bell on its way at most."""
        if self._bell is None or self._bell.done():
            self._bell = asyncio.create_task(self._ring_safely())

    async def _ring_safely(self) -> None:
        try:
            await self._ring(self._backend.name)
        except Exception as error:  # noqa: BLE001 - a bell that is not heard costs a second, no more
            log.warning("engine.bell_unheard", backend=self._backend.name, error=type(error).__name__)
        await asyncio.sleep(BEAT)

    def _start(self, claim: Claim, claims: Claims, clock: Clock) -> None:
        task = asyncio.create_task(self._pass(claim, claims, clock))
        self._passes.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._passes.discard(task)
        if self._more:
            enough = len(self._passes) <= self._slots * 3 // 4
            self.wake_in(0.0 if enough else GATHER)

    async def _pass(self, claim: Claim, claims: Claims, clock: Clock) -> None:
        cancellation = claim.record.cancellation
        in_batch = cancellation.orders.lane is Lane.BATCH
        self._batch += in_batch
        try:
            due = await Pass(claim, self._backend, self._store, clock).run(claims.suspect, blind=claims.blind)
        except StoreUnavailable as error:
            log.warning("cancellation.dropped", **context(cancellation), error=str(error))
        except Exception:
            log.exception("cancellation.pass_failed", **context(cancellation))
        else:
            if due is not None:
                self.wake_in((due - clock.now()).total_seconds())
        finally:
            self._batch -= in_batch


class Engine:
    """All drains of one worker process, and its beat."""

    def __init__(self, store: Store, backends: Mapping[str, Backend], slots: int = 200, ring: Ring = silent) -> None:
        self.worker = f"{secrets.token_hex(6)}"
        self._store = store
        self._drains = {name: Drain(backend, store, self.worker, slots, ring) for name, backend in backends.items()}
        self._tasks: Sequence[asyncio.Task[None]] = ()
        self._stopping = False

    def wake(self, backend: str) -> None:
        """Claim on one backend at once; a name that is not ours is somebody else's."""
        if backend in self._drains:
            self._drains[backend].wake()

    async def start(self) -> None:
        """Start beating and draining."""
        await self._beat()
        loops = [drain.run() for drain in self._drains.values()]
        self._tasks = [asyncio.create_task(loop) for loop in (*loops, self._keep_beating(), self._keep_trimming())]
        log.info("engine.started", worker=self.worker, backends=sorted(self._drains))

    async def stop(self, grace: float = 5.0) -> None:
        """Take nothing new, let open calls end for `grace` seconds, and say that this worker is gone."""
        await asyncio.gather(*(drain.settle(grace) for drain in self._drains.values()))
        self._stopping = True
        await ended(self._tasks)
        try:
            async with asyncio.timeout(FAREWELL):
                await self._store.leave(self.worker)
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("engine.store_unavailable", error=str(error))
        log.info("engine.stopped", worker=self.worker)

    async def _keep_beating(self) -> None:
        while not self._stopping:
            await asyncio.sleep(BEAT * random.uniform(0.9, 1.1))  # noqa: S311 - spreads the workers' beats
            await self._beat()

    async def _beat(self) -> None:
        names = list(self._drains)
        try:
            now, due = await self._store.beat(self.worker, BEAT_LIFE, names)
        except StoreUnavailable as error:
            log.warning("engine.store_unavailable", error=str(error))
            return
        except Exception:
            log.exception("engine.beat_failed")
            return
        for name, at in zip(names, due, strict=True):
            if at is not None:
                self._drains[name].wake_in((at - now).total_seconds())

    async def _mind_strangers(self) -> None:
        """Say so where cancellations are open on backends that are not configured here (any more)."""
        for name in set(await self._store.backends()) - set(self._drains):
            log.warning("engine.backend_not_configured", backend=name, hint="its open cancellations wait for a worker")

    async def _keep_trimming(self) -> None:
        while not self._stopping:
            try:
                now, _ = await self._store.beat(self.worker, BEAT_LIFE, ())
                await self._store.trim(now)
                await self._mind_strangers()
            except StoreUnavailable as error:
                log.warning("engine.store_unavailable", error=str(error))
            except Exception:
                log.exception("engine.trim_failed")
            await asyncio.sleep(TRIM_EVERY)
