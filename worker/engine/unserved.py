"""Ends open cancellations of backends that no living worker serves: a deadline and an abort need no call."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime

import structlog
from msgspec.structs import replace

from ..domain import event_drafts, evolve
from ..domain.cancellation import FAR
from ..domain.decision import Finish
from ..domain.errors import StoreUnavailable
from ..domain.escalation import decide, matters, warn_at
from ..domain.model import Policy, Steps, unanswered
from ..observability.log_fields import context
from ..observability.outage import Outage, Seldom
from ..store.serving import GRACE, LIFE, Serving
from ..store.store import Store
from ..store.transitions import Claim, Commit, Limits, Silence, ToClaim
from .emitted import report

log = structlog.get_logger(__name__)

EVERY = 1.0
LIMITS = Limits(slots=100, lease=40.0, max_in_flight=100, rate=0.0, batch_slots=100)
UNCALLED = "it was ended without a call: no living worker knows its backend"
NOBODY = unanswered("no living worker knows this backend")
POLICY = Policy(Steps(look_before_cancel=True))
"""Used because the backend's own is not known; no call and no conclusion depends on it."""


def without_backend(claim: Claim, now: datetime) -> Commit:
    """Return what to commit for a claimed cancellation whose backend can't be called."""
    cancellation, new = claim.record.cancellation, []
    # If something is due before the deadline, it is the warning; otherwise the warning's time is not known.
    matters_at = claim.record.matters_at
    warned_at = matters_at if matters_at < cancellation.spec.give_up_at else FAR
    policy = replace(POLICY, warn_after=(warned_at - cancellation.begins_at).total_seconds())
    left_open = evolve.recovered(cancellation, policy)
    if left_open is not None:
        cancellation, send = left_open
        new.append(event_drafts.sent(send, evolve.UNANSWERED))
    decision = decide(cancellation, NOBODY, policy, now)
    if isinstance(decision, Finish):
        decision = replace(decision, detail=f"{decision.detail}; {UNCALLED}")
        new.append(event_drafts.finished(cancellation, decision, None, policy))
        return Commit(claim.token, claim.record, "finish", cancellation.progress, new)
    if now >= warn_at(cancellation, policy):
        cancellation = evolve.progress(cancellation, overdue=True)
        new.append(event_drafts.overdue(cancellation, policy))
    due = max(now, cancellation.begins_at)  # so that the next worker to serve the backend finds it due
    return Commit(claim.token, claim.record, "wait", cancellation.progress, new, due, matters(cancellation, policy))


class Unserved:
    """Checks every second for cancellations to end on backends that no worker serves; this worker serves `mine`."""

    def __init__(self, store: Store, worker: str, mine: Collection[str], serving: Serving, outage: Outage) -> None:
        self._store = store
        self._worker = worker
        self._mine = mine
        self._serving = serving
        self._outage = outage
        self._warned: dict[str, Seldom] = {}
        self._stopping = False
        self._woken = asyncio.Event()
        self.wake = self._woken.set
        """Checks at once."""

    def stop(self) -> None:
        """End after the round under way."""
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        """Check until stopped."""
        while not self._stopping:  # redis-py may swallow a cancellation
            self._woken.clear()
            try:
                await self.look()
            except StoreUnavailable as error:
                self._outage.goes_on(str(error), error.hint)
            except Exception:
                log.exception("engine.unserved_failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._woken.wait()

    async def look(self) -> None:
        """Make one round over all backends with open cancellations."""
        open_, announced = await self._store.backends(), await self._store.peers.announced()
        self._serving.see({**dict.fromkeys(open_, 0.0), **announced})
        for name in open_:
            if name not in self._mine and self._serving.silence(name) >= LIFE:
                self._warn(name)
                await self._end(name)

    def _warn(self, backend: str) -> None:
        if self._warned.setdefault(backend, Seldom()).due():
            hint = "add it to the backends file again, or abort its open cancellations: they wait until their deadline"
            log.warning("backend.unserved", backend=backend, hint=hint)

    async def _end(self, backend: str) -> None:
        """End what has to end; while a worker may be about to come back, only what an operator has withdrawn."""
        withdrawn = self._serving.silence(backend) < GRACE
        silence = Silence(self._serving.announced[backend], withdrawn_only=withdrawn)
        while not self._stopping:
            claims = await self._store.claim(ToClaim(backend, self._worker, LIMITS, silence=silence))
            await asyncio.gather(*(self._commit(one, claims.now) for one in claims.claims))
            if not claims.claims and (claims.next_due is None or claims.next_due > claims.now):
                return

    async def _commit(self, claim: Claim, now: datetime) -> None:
        try:
            commit = without_backend(claim, now)
        except Exception:
            log.exception("cancellation.pass_failed", **context(claim.record.cancellation))
            return
        if await self._store.commit(commit) == 1:
            report(claim.record.cancellation, commit.facts, self._store.observer)
