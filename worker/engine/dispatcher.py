"""Drains what is due on one backend: claims records, keeps a window of passes in flight, sleeps until more is due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from typing import Any

import structlog

from ..aio.tasks import cancel_all
from ..backends.adapter import CALLS_SAVED
from ..domain.escalation import matters
from ..domain.model import Job, Lane, Observation
from ..errors import StoreUnavailable
from ..observability.log_fields import context
from ..observability.outage import Outage
from ..store.store import Store
from ..store.transitions import Acceptance, Accepted, Claim, Claims, Commit, Limits, ToClaim
from .backend import Backend
from .clock import Clock
from .look_groups import ENOUGH, LookGroup
from .look_many import ListReader, Sights, is_poll
from .reconcile import Reconciliation

log = structlog.get_logger(__name__)

RETRY_STORE = 0.5
GATHER = 0.01
"""Seconds to wait for more free slots before the next claim, so that one claim brings many records."""
BUNCH = 0.02
"""Seconds between two claims that only time asks for, so that one claim brings many records."""
WIDE_BUNCH = 0.1
"""The same where a list can show many jobs at once."""
PARTS, SMALL_PART = 4, ENOUGH
"""A claim takes one in so many of the slots, though not less than this many: while Redis works on one part, this worker
does on another, and a second worker finds permits left."""
RIDERS = 32
"""Polls that ride along and hold up no claim; more of them count as if they held permits, so that the passes under way
in this process stay few enough for an interactive one to be soon through between them."""
BLOCKED, LONG_BLOCKED = 0.02, 0.05
"""Seconds until the next try where something is due but may not be claimed yet, and no pass of ours ends before: other
workers hold the permits. Twice as long after each claim that brought nothing, up to the second."""


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """What was asked of a claim, when by the monotonic clock, and whether lists may be read for it."""

    claim: ToClaim
    at: float
    lists: bool


@dataclass(frozen=True, slots=True)
class SharedList:
    """A list on its way, and the jobs whose passes wait for it, by their ids."""

    sights: asyncio.Task[Sights]
    jobs: Mapping[str, Job]

    async def of(self, claim: Claim) -> Observation | None:
        """Return what the list shows of a claimed job, None if that has to be looked at alone.

        A poll that is not asked for waits too if it may call: its permit may be the one that the list is read with.
        """
        job = claim.record.cancellation.job
        asked_for = self.jobs.get(job.id) == job
        if not asked_for and (claim.rides or not is_poll(claim)):
            return None
        sights = await asyncio.shield(self.sights)
        return sights.get(job.id) if asked_for else None


class Dispatcher:
    """Works off what is due on one backend."""

    def __init__(self, backend: Backend, store: Store, worker: str, slots: int, outage: Outage) -> None:
        self._backend = backend
        self._store = store
        self._worker = worker
        self._slots = min(slots, backend.max_in_flight)
        self._outage = outage
        self._passes: set[asyncio.Task[None]] = set()
        self._riders: set[asyncio.Task[None]] = set()
        self._surveys: set[asyncio.Task[Sights]] = set()
        self._wake_at = 0.0
        self._claimed_at = 0.0
        self._surveyor = ListReader(backend)
        self._bunch = LookGroup(self._surveyor, lambda: len(self._passes))
        self._batch = 0
        self._more = False
        self._held = 0
        self._blocked = BLOCKED
        self._moved = asyncio.Event()
        self._under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._stopping = False

    def wake(self) -> None:
        """Claim at once."""
        self._wake_at_latest(0.0)

    def wake_in(self, seconds: float) -> None:
        """Claim in so many seconds, or a moment later together with others, if nothing wakes this drain earlier."""
        bunch = WIDE_BUNCH if self._surveyor.ready else BUNCH
        self._wake_at_latest(max(asyncio.get_running_loop().time() + seconds, self._claimed_at + bunch))

    def _wake_at_latest(self, at: float) -> None:
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
                self._outage.goes_on(str(error), error.hint)
                self.wake_in(RETRY_STORE)
            except Exception:
                log.exception("engine.claim_failed", backend=self._backend.name)
                self.wake_in(RETRY_STORE)

    async def settle(self, seconds: float) -> None:
        """Claim no more; let the passes in flight end, and after `seconds` leave them to whoever claims them next."""
        self._stopping = True
        self.wake()
        until = asyncio.get_running_loop().time() + seconds
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._quiet.wait()
        late: set[asyncio.Task[None]] = set()
        if passes := self._passes | self._riders:
            _, late = await asyncio.wait(passes, timeout=max(0.0, until - asyncio.get_running_loop().time()))
        await self._bunch.aclose()  # before those who wait for its list give their permits back
        await cancel_all(late)
        await cancel_all(self._surveys)

    async def _rest(self) -> None:
        loop = asyncio.get_running_loop()
        while self._wake_at > loop.time():
            self._moved.clear()
            try:
                async with asyncio.timeout_at(None if self._wake_at == inf else self._wake_at):
                    await self._moved.wait()
            except TimeoutError:
                return

    @property
    def _busy(self) -> int:
        return len(self._passes) + max(0, len(self._riders) - RIDERS)

    @property
    def _free(self) -> int:
        return self._slots - self._busy

    async def accept(self, acceptances: Sequence[Acceptance]) -> list[Accepted]:
        """Take in a few commands and, on the same way to Redis, claim what is due for them.

        Raises:
            StoreUnavailable: nobody knows what was stored; to take them in again is harmless.

        """
        free = min(self._free, len(acceptances))
        if free <= 0 or self._stopping:
            taken = await self._store.accept_all(acceptances)
            self.wake()
            return taken
        asked = self._ask(free)
        with self._claiming():
            claims, settled = await self._store.accept_and_claim(acceptances, asked.claim)
            if claims:
                await self._begin(asked, claims)
        accepted = await settled
        if not claims or not claims.claims:
            self.wake()
        return accepted

    async def _claim(self) -> None:
        self._more = self._free <= 0
        if self._more:
            return
        asked = self._ask(min(self._free, max(SMALL_PART, self._slots // PARTS)))
        with self._claiming():
            await self._begin(asked, await self._store.claim(asked.claim))

    def _ask(self, free: int) -> ClaimRequest:
        backend, lists = self._backend, self._surveyor.ready
        self._claimed_at = asyncio.get_running_loop().time()
        limits = Limits(
            free,
            backend.lease,
            backend.max_in_flight,
            backend.rate,
            backend.batch_slots,
            max(1, self._slots * 3 // 4) - self._batch,
            CALLS_SAVED if lists else 1,
        )
        return ClaimRequest(
            ToClaim(backend.name, self._worker, limits, not backend.policy.steps.look_before_cancel),
            time.monotonic(),
            lists,
        )

    @contextmanager
    def _claiming(self) -> Iterator[None]:
        self._under_way += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()

    async def _give_back(self, claims: Claims) -> None:
        """Take back the intents that were noted for nothing; all else comes back once this worker is gone."""
        policy = self._backend.policy
        commits = [
            Commit(one.token, one.record, "wait", seen.progress, (), claims.now, matters(seen, policy))
            for one, seen in ((one, one.record.cancellation) for one in claims.claims if one.noted)
        ]
        await asyncio.gather(*map(self._store.commit, commits))

    async def _begin(self, asked: ClaimRequest, claims: Claims) -> None:
        """Start a pass over each claimed record, and plan the next claim."""
        if self._stopping:
            await self._give_back(claims)
            return
        clock = Clock(claims.now, asked.at)
        reading = self._survey(claims) if asked.lists else None
        on_list = reading is not None and any(claim.rides for claim in claims.claims)
        for claim in claims.claims:
            paid = 0 if on_list and is_poll(claim) else 1
            self._start(self._pass(claim, claims, clock, reading, paid), rides=claim.rides)
        self._held = self._busy
        wait = (claims.next_due - claims.now).total_seconds() if claims.next_due else inf
        self._more = self._free <= 0 or wait <= 0
        if self._free <= 0:
            return  # until a pass ends; other workers see by themselves what is due
        if wait > 0:
            self.wake_in(wait)
        elif len(claims.claims) < asked.claim.limits.slots:
            self._blocked = BLOCKED if claims.claims else min(2 * self._blocked, LONG_BLOCKED)
            self._wake_at_latest(asyncio.get_running_loop().time() + self._blocked)
        else:
            self.wake()

    def _survey(self, claims: Claims) -> SharedList | None:
        """Look at the claimed jobs together where that is worth it; their passes wait for what it shows."""
        plan = None if claims.blind else self._surveyor.plan(claims.claims, claims.suspect)
        if plan is None:
            return None
        task = asyncio.create_task(self._surveyor.read(plan))
        self._surveys.add(task)
        task.add_done_callback(self._surveys.discard)
        return SharedList(task, plan.jobs)

    def _start(self, one: Coroutine[Any, Any, None], *, rides: bool) -> None:
        task = asyncio.create_task(one)
        (self._riders if rides else self._passes).add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._passes.discard(task)
        self._riders.discard(task)
        if self._more:
            enough = self._busy <= self._held * 3 // 4
            self._wake_at_latest(asyncio.get_running_loop().time() + (0.0 if enough else GATHER))

    async def _pass(self, claim: Claim, claims: Claims, clock: Clock, reading: SharedList | None, paid: int) -> None:
        cancellation = claim.record.cancellation
        in_batch = cancellation.spec.lane is Lane.BATCH and not claim.rides
        self._batch += in_batch
        try:
            listed = await reading.of(claim) if reading else None
            one = Reconciliation(claim, self._backend, self._store, clock, paid, self._bunch)
            due = await one.run(claims.suspect, blind=claims.blind, listed=listed)
        except StoreUnavailable as error:
            log.warning("cancellation.dropped", **context(cancellation), error=str(error))
        except Exception:
            log.exception("cancellation.pass_failed", **context(cancellation))
        else:
            if due is not None:
                self.wake_in((due - clock.now()).total_seconds())
        finally:
            self._batch -= in_batch
