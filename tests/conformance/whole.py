"""Shared by the tests of whole passes: takes one cancellation to its end, one pass at a time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from conformance.dialect import Dialect
from conformance.kit import PATIENT, Bench, bench
from msgspec import structs
from redis.asyncio import Redis

from worker.domain.model import Action, Force, Policy, Poll
from worker.engine.backend import Backend
from worker.engine.clock import Clock
from worker.engine.reconcile import PassInput, Reconciliation
from worker.http.credentials import StaticCredential
from worker.intake.admission import Admission, BackendRules
from worker.protocol.messages import Event
from worker.simulator import Clock as SimClock
from worker.simulator import Entry
from worker.store.store import Store
from worker.store.transitions import Acceptance, Claims, Limits, ToClaim

DELAYS = {
    "ess.cancel_delay": 0.03,
    "ess.force_window": 3.0,
    "mrs.cancel_delay": 0.03,
    "sahara.engine_delay": 0.03,
    "sahara.refresh_every": 0.04,
}
TICK = 0.02
"""Simulated seconds from pass to pass: a job is first seen stopping, then stopped."""
LONG = 60.0
"""Real seconds within which the next pass must come due; usually it takes a few hundredths at most."""
PASSES = 60
"""How many passes a cancellation may take; most take five."""
CLOCK_SPEED = 200.0
"""The assumed speed of the backend's clock in tests of a force: they advance the simulated clock, which stands still
otherwise, by seconds at a time, as no clock of normal speed moves.

Other tests assume normal speed. At this speed the hundredths of a second between a look and its call would count as
seconds of the backend's clock, so a job's end could seem to be before the call.
"""
BELIEVE_AFTER = 0.05
LOOKS = frozenset({"look", "refresh"})
FORCE_AFTER = 3.0


@dataclass
class Whole:
    """One cancellation from its command to its end, and the backend that it is about."""

    one: Bench
    store: Store
    backend: Backend
    tick: float = TICK

    async def accept(self, command: str, job_id: str = "1", **fields: Any) -> str:
        """Take in one command as a worker would; return the cancellation's id."""
        intake = Admission({"b": BackendRules(self.backend.adapter, self.backend.policy)})
        verb = "cancel" if command == "force" else command
        taken = intake.take({"verb": verb, "backend": "b", "job_id": job_id, **fields}, "c-1")
        assert isinstance(taken, Acceptance), taken
        return (await self.store.accept(taken)).cancellation_id

    async def step(
        self,
        worker: str = "w1",
        backend: Backend | None = None,
        store: Store | None = None,
        lease: float | None = None,
        *,
        unseen: bool = False,
    ) -> bool:
        """Claim what is due and make one pass over it; False when nothing is open any more."""
        deadline = time.monotonic() + LONG
        while time.monotonic() < deadline:
            claims = await self.claim(worker, lease, unseen=unseen)
            await self.run(claims, backend, store)
            if claims.claims or claims.next_due is None:
                return bool(claims.claims)
        raise TimeoutError(f"nothing came due in {LONG} s")

    async def claim(self, worker: str, lease: float | None = None, *, unseen: bool = False) -> Claims:
        """Claim what is due; `lease` in seconds replaces the backend's own.

        `unseen` is as in `ToClaim`, if the backend allows it.
        """
        limits = Limits(10, self.backend.lease if lease is None else lease, 64, 0.0, 48)
        unseen = unseen and not self.backend.policy.steps.look_before_cancel
        return await self.store.claim(ToClaim("b", worker, limits, unseen))

    async def run(
        self, claims: Claims, backend: Backend | None = None, store: Store | None = None, late: float = 0.0
    ) -> None:
        """Make one pass over each claimed record, `late` seconds after they were claimed."""
        for claim in claims.claims:
            clock = Clock(claims.now, time.monotonic() - late)
            given = PassInput(claim, claims.lost_at, claims.paused)
            await Reconciliation(given, backend or self.backend, store or self.store, clock).run()

    async def finish(self, worker: str = "w1") -> Event:
        """Make passes until the cancellation has ended; return its last event."""
        for _ in range(PASSES):
            if not await self.step(worker) or (await self.events())[-1].name == "finished":
                break
            self.one.sim.clock.advance(self.tick)
        return (await self.events())[-1]

    async def events(self) -> list[Event]:
        """Return all events so far."""
        return [event for _, event in await self.store.events("0-0")]

    async def check(self, command: str) -> Event:
        """Check what must be true at every end, whatever went wrong before; return the `finished` event."""
        events = await self.events()
        assert [f"{number + 1:010}" for number in range(len(events))] == [event.sequence for event in events]
        assert ["finished"] == [event.name for event in events if event.name == "finished"]
        assert "finished" == events[-1].name
        self.check_calls()
        assert self.truth(command) == events[-1].outcome, (events[-1].data, self.journal)
        assert {} == await self.left_over()
        return events[-1]

    def check_calls(self) -> None:
        """Check that each changing call had one effect at most, and that none was repeated without a look between."""
        for verb in set(self.one.dialect.verbs.values()) - LOOKS:
            made = [entry for entry in self.journal if entry.verb == verb]
            assert sum(entry.effect for entry in made) <= 1, made
            assert all(self._may_follow(first, second) for first, second in pairwise(made)), made

    def _may_follow(self, first: Entry, second: Entry) -> bool:
        """Say whether a look was answered between two equal calls, or the first one was a 401 before a renewal."""
        between = self.journal[first.number : second.number - 1]
        return first.http == 401 or any(entry.verb in LOOKS and not entry.fault for entry in between)

    def truth(self, command: str) -> str:
        """Work out from the simulator alone how the cancellation ended."""
        dialect, job = self.one.dialect, self.one.sim.job(self.one.dialect.system, "1")
        changed = any(entry.effect for entry in self.journal)
        if not changed and not job.visible:
            return "not_found"
        if any(entry.http in {401, 403} for entry in self.journal[-1:]):
            return "refused"
        if command == "delete":
            return "still there" if job.visible else "deleted"
        if job.state == dialect.stopped:
            forced = any(entry.verb == "force" and entry.effect for entry in self.journal)
            return "force_cancelled" if forced else "cancelled"
        assert job.ended_at is not None, job
        return "completed_anyway" if changed else "already_finished"

    def made(self, action: Action) -> Sequence[Entry]:
        """Return the requests of one action that came in."""
        return self.one.asked(action)

    @property
    def journal(self) -> list[Entry]:
        """All requests that the simulator received."""
        return self.one.sim.log()

    async def left_over(self) -> dict[str, int]:
        """Return the keys of the schedule that are not empty."""
        redis: Any = self.store._redis
        keys = [key async for key in redis.scan_iter("{canceller}:*")]
        busy = (b":due:", b":lease:", b":claims:", b":open:", b":park:")
        return {key.decode(): 1 for key in keys if any(part in key for part in busy)}


@asynccontextmanager
async def whole(
    redis: Redis,
    dialect: Dialect,
    *,
    hasty: bool = False,
    poll: Poll | None = None,
    clock: SimClock | None = None,
) -> AsyncIterator[Whole]:
    """Start a backend of this dialect with quick cancels, and a store for its cancellations."""
    quick = dialect.with_knobs("quick", **{**DELAYS, **dialect.knobs})
    async with bench(
        quick, hasty=hasty, credential=StaticCredential(lambda: "t1", header="X-Auth-Token"), clock=clock
    ) as one:
        policy = Policy(
            steps=dialect.adapter.steps,
            force=Force.AUTO,
            force_after=FORCE_AFTER,
            poll=poll or Poll(first=0.0, max=0.0),
            timeout=PATIENT,
            gone_means_stopped=dialect.adapter.steps.gone_means_stopped,
            believe_after=BELIEVE_AFTER,
        )
        backend = Backend("b", dialect.adapter, policy, one.http, breaker_failures=1000)
        yield Whole(one, Store(redis, "canceller"), backend)


def prepare(one: Whole, command: str, life: str = "runs") -> None:
    """Create a job on which a command of this name goes through all its steps."""
    one.one.add("stuck" if command == "force" else life)
    one.one.sim.clock.advance(10)
    if command == "force":
        policy = structs.replace(one.backend.policy, clock_speed=CLOCK_SPEED)
        one.backend = replace(one.backend, policy=policy)
        one.tick = FORCE_AFTER
