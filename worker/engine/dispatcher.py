"""Works on what is due on one backend: claims records and starts a pass over each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import structlog

from ..aio.tasks import cancel_all
from ..backends.adapter import CALLS_SAVED
from ..domain.errors import StoreUnavailable
from ..domain.escalation import matters
from ..domain.model import Lane
from ..observability.log_fields import context
from ..observability.observer import Claimed, PassEnded
from ..observability.outage import Outage
from ..store.store import Store
from ..store.transitions import Acceptance, Accepted, Claim, Claims, Commit, Limits, ToClaim
from .alarm import Alarm
from .backend import Backend
from .clock import Clock
from .look_groups import ENOUGH, LookGroup
from .look_many import ListReader, SharedList
from .next_claim import BLOCKED, next_claim
from .reconcile import PassInput, Reconciliation
from .window import Window

log = structlog.get_logger(__name__)

RETRY_STORE = 0.5
"""Seconds until the next claim after one that failed."""
GATHER = 0.01
"""Seconds to wait for more free slots before the next claim, so that one claim returns many records."""
APART, LISTS_APART = 0.02, 0.1
"""The fewest seconds between two claims that are made only because records come due, so that one claim returns many;
the second figure applies if a list can show many jobs at once."""
PARTS, PARTS_ALONE, SMALL_PART = 4, 2, ENOUGH
"""A claim takes one in `PARTS` of the slots, or one in `PARTS_ALONE` while no other worker is alive, though at least
`SMALL_PART`: while Redis works on one part, this worker works on another, and a second worker finds permits left."""


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """What a claim asks for, when it was made (monotonic clock), and whether lists may be read for it."""

    claim: ToClaim
    at: float
    lists: bool


class Dispatcher:
    """Claims what is due on one backend, and works on it."""

    def __init__(self, backend: Backend, store: Store, worker: str, slots: int, outage: Outage) -> None:
        self._backend = backend
        self._store = store
        self._worker = worker
        self._outage = outage
        self.alarm = Alarm()
        """When to claim next; woken at once for anything that must not wait."""
        self._window = Window(min(slots, backend.max_in_flight), self._pass_ended)
        self._lists = ListReader(backend)
        self._look_group = LookGroup(self._lists, lambda: len(self._window.passes), self._window.slots)
        self._claimed_at = 0.0
        self._busy_then = 0
        """How many slots were taken once the passes of the latest claim had been started."""
        self._more = False
        """Whether more is due than could be claimed."""
        self._blocked = BLOCKED
        self._stopping = False

    def wake_in(self, seconds: float) -> None:
        """Claim in this many seconds, or a moment later to claim more at once, unless something asks for it earlier."""
        apart = LISTS_APART if self._lists.ready else APART
        self.alarm.wake(seconds, not_before=self._claimed_at + apart)

    async def run(self) -> None:
        """Claim whenever something is due, until stopped."""
        while not self._stopping:  # redis-py may swallow a cancellation
            await self.alarm.sleep()
            try:
                if not self._stopping:
                    await self._claim()
            except StoreUnavailable as error:
                self._outage.goes_on(str(error), error.hint)
                self.wake_in(RETRY_STORE)
            except Exception:
                log.exception("engine.claim_failed", backend=self._backend.name)
                self.wake_in(RETRY_STORE)

    async def stop(self, grace: float) -> None:
        """Claim nothing more; give passes in flight `grace` seconds to end, then leave the rest to other workers."""
        self._stopping = True
        self.alarm.wake()
        late = await self._window.drain(grace)
        await self._look_group.aclose()  # before the passes that wait for its list release their permits
        await cancel_all(late)
        await cancel_all(self._lists.reading)

    async def accept(self, acceptances: Sequence[Acceptance]) -> list[Accepted]:
        """Accept a few commands and claim what is due then, in one step.

        Raises:
            StoreUnavailable: it is not known what was stored; accepting the commands again is harmless.

        """
        free = min(self._window.free, len(acceptances))
        if free <= 0 or self._stopping:
            taken = await self._store.accept_all(acceptances)
            self.alarm.wake()
            return taken
        asked = self._ask(free)
        with self._window.claiming():
            accepted, claims = await self._store.accept_and_claim(acceptances, asked.claim)
            await self._begin(asked, claims)
        if claims.claims:
            await asyncio.sleep(0)  # their first calls go out before whatever else is to be done for these commands
        else:
            self.alarm.wake()
        return accepted

    async def _claim(self) -> None:
        self._more = self._window.free <= 0
        if self._more:
            return
        parts = PARTS_ALONE if self._store.alone else PARTS
        asked = self._ask(min(self._window.free, max(SMALL_PART, self._window.slots // parts)))
        with self._window.claiming():
            await self._begin(asked, await self._store.claim(asked.claim))

    def _ask(self, free: int) -> ClaimRequest:
        backend, lists = self._backend, self._lists.ready
        self._claimed_at = asyncio.get_running_loop().time()
        limits = Limits(
            free,
            backend.lease,
            backend.max_in_flight,
            backend.rate,
            max(1, backend.max_in_flight * 3 // 4),  # a quarter stays free for the interactive lane
            max(1, self._window.slots * 3 // 4) - self._window.batch,
            CALLS_SAVED if lists else 1,
        )
        return ClaimRequest(
            ToClaim(backend.name, self._worker, limits, not backend.policy.steps.look_before_cancel),
            time.monotonic(),
            lists,
        )

    async def _give_back(self, claims: Claims) -> None:
        """Withdraw the intents noted with these claims; all other records become due again once this worker is gone."""
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
        late = [claim.late for claim in claims.claims if claim.late is not None]
        if late:
            self._backend.observer(Claimed(self._backend.name, late))
        clock = Clock(claims.now, asked.at)
        shared = self._lists.share(claims.claims, claims.lost_at) if asked.lists and not claims.paused else None
        listed = shared is not None and any(claim.piggy_backed for claim in claims.claims)
        for claim in claims.claims:
            paid = 0 if listed and claim.record.polled else 1
            self._window.start(self._pass(claim, claims, clock, shared, paid), piggy_backed=claim.piggy_backed)
        self._busy_then = self._window.busy
        again = next_claim(
            free=self._window.free,
            due_in=(claims.next_due - claims.now).total_seconds() if claims.next_due else inf,
            brought=len(claims.claims),
            asked=asked.claim.limits.slots,
            blocked=self._blocked,
        )
        self._more, self._blocked = again.more, again.blocked
        if again.more:
            self.alarm.wake(again.after)
        else:
            self.wake_in(again.after)

    def _pass_ended(self) -> None:
        if self._more:
            enough = self._window.busy <= self._busy_then * 3 // 4
            self.alarm.wake(0.0 if enough else GATHER)

    async def _pass(self, claim: Claim, claims: Claims, clock: Clock, shared: SharedList | None, paid: int) -> None:
        cancellation = claim.record.cancellation
        in_batch = cancellation.spec.lane is Lane.BATCH and not claim.piggy_backed
        self._window.batch += in_batch
        began = time.monotonic()
        try:
            listed = await shared.of(claim) if shared else None
            given = PassInput(claim, claims.lost_at, claims.paused, listed, paid)
            due = await Reconciliation(given, self._backend, self._store, clock, self._look_group).run()
        except StoreUnavailable as error:
            log.warning("cancellation.dropped", **context(cancellation), error=str(error))
        except Exception:
            log.exception("cancellation.pass_failed", **context(cancellation))
        else:
            if due is not None:
                self.wake_in((due - clock.now()).total_seconds())
        finally:
            self._window.batch -= in_batch
            self._backend.observer(PassEnded(cancellation, time.monotonic() - began))
