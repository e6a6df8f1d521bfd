"""Many cancellations on one simulated backend, worked on by a real engine over a real Redis."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.dialect import CLUSTER, Dialect
from conformance.kit import PATIENT, Bench, bench
from conformance.replies.mrs import MRS_V11
from conformance.replies.oracle_ess import ESS
from conformance.whole import BELIEVE_AFTER, CLOCK_SPEED
from msgspec import structs
from redis.asyncio import Redis

from worker.backends.adapter import Reply, Request
from worker.domain.model import Force, Policy, Poll
from worker.engine.backend import Backend, Calls
from worker.engine.clock import Clock
from worker.engine.engine import Engine
from worker.engine.reconcile import PassInput, Reconciliation
from worker.http.credentials import StaticCredential
from worker.intake.admission import Admission, BackendRules
from worker.protocol.messages import Event
from worker.simulator import Clock as SimClock
from worker.store.store import Store
from worker.store.transitions import Acceptance, Limits, ToClaim

PATIENCE = 30.0
"""Real seconds within which an event must come; usually it takes a fraction of one."""
AT_ONCE = Poll(0.0, 60.0)
NO_DELAY = {"ess.cancel_delay": 0.0, "mrs.cancel_delay": 0.0, "sahara.engine_delay": 0.0}
DELAY = 1.0
"""Simulated seconds that a cancel takes."""
DELAYS = {"ess.cancel_delay": DELAY, "ess.force_window": DELAY, "mrs.cancel_delay": DELAY, "sahara.engine_delay": DELAY}


def params_of(dialect: Dialect) -> dict[str, str]:
    """Return the params that a command needs so that its job can be listed in this dialect."""
    return {"cluster_id": CLUSTER} if dialect.adapter == MRS_V11.adapter else {}


@dataclass
class Crowd:
    """A backend with many jobs, and the engines that work on it."""

    one: Bench
    store: Store
    backend: Backend
    events: list[Event] = field(default_factory=list)
    position: str = "0-0"

    @property
    def dialect(self) -> Dialect:
        return self.one.dialect

    async def accept(self, job_ids: Iterable[str], life: str = "runs", **fields: Any) -> None:
        """Create jobs and take in a command to cancel each."""
        intake = Admission({"b": BackendRules(self.backend.adapter, self.backend.policy, place=self.backend.place)})
        params = params_of(self.dialect)
        for job_id in job_ids:
            self.one.add(life, job_id)
            command = {"verb": "cancel", "backend": "b", "job_id": job_id, "params": params, **fields}
            taken = intake.take(command, f"c-{job_id}")
            assert isinstance(taken, Acceptance), taken
            await self.store.accept(taken)

    async def ask(self, job_ids: Iterable[str], life: str = "runs", **fields: Any) -> None:
        """Ask each job to stop, so that the next pass over each is a poll, due in a moment; forget the calls.

        For stuck jobs the policy assumes a fast backend clock: a force is due once the test advances that clock.
        """
        if life == "stuck":
            self.backend = replace(self.backend, policy=structs.replace(self.backend.policy, clock_speed=CLOCK_SPEED))
        await self.accept(job_ids, life, **fields)
        claims = await self.store.claim(ToClaim("b", "w0", Limits(1000, 60.0, 1000, 0.0, 1000)))
        for claim in claims.claims:
            backend = replace(self.backend, policy=structs.replace(self.backend.policy, poll=Poll(0.001, 0.001)))
            given = PassInput(claim, claims.lost_at)
            await Reconciliation(given, backend, self.store, Clock(claims.now)).run()
        self.one.sim.world.journal.clear()

    def stop_all(self) -> None:
        """Advance the backend's clock by the time that a cancel takes."""
        self.one.sim.clock.advance(DELAY)

    @asynccontextmanager
    async def engine(self, slots: int = 200) -> AsyncIterator[Engine]:
        """Run an engine."""
        engine = Engine(self.store, {"b": self.backend}, slots)
        await engine.start()
        try:
            yield engine
        finally:
            await engine.stop(0.0)

    async def wait_for(self, name: str, count: int) -> list[Event]:
        """Read events until so many of one name have come; return those."""
        while len(found := [event for event in self.events if event.name == name]) < count:
            page = await self.store.events(self.position, block=PATIENCE)
            assert page, f"{len(found)} of {count} {name} in {PATIENCE} s"
            self.events += [event for _, event in page]
            self.position = page[-1][0]
        return found

    async def finish(self, count: int, slots: int = 200) -> Counter[str]:
        """Let an engine work until so many have finished; count their outcomes."""
        async with self.engine(slots):
            finished = await self.wait_for("finished", count)
        assert len(finished) == count
        return Counter(event.outcome or "" for event in finished)

    def asked(self, *verbs: str) -> list[str]:
        """Return the job ids of the requests with these verbs in the simulator's log."""
        return [entry.job_id for entry in self.one.sim.log() if entry.verb in verbs]

    @property
    def looks(self) -> list[str]:
        return self.asked("look", "refresh")

    @property
    def lists(self) -> int:
        return len(self.asked("list"))


class Counting:
    """Makes calls, and counts them: how many were begun, how many are under way, and the most at once."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.begun = self.now = self.most = 0

    async def ready(self) -> None:
        await self._calls.ready()

    async def send(self, request: Request, *, traceparent: str | None = None) -> Reply:
        self.begun += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await self._calls.send(request, traceparent=traceparent)
        finally:
            self.now -= 1


@asynccontextmanager
async def crowd(
    redis: Redis,
    dialect: Dialect = ESS,
    *,
    patience: float = PATIENT,
    hasty: bool = False,
    clock: SimClock | None = None,
    poll: Poll | None = None,
    force: Force = Force.AUTO,
    knobs: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Crowd]:
    """Start a backend of this dialect; `settings` are those of `Backend`.

    `patience` is the timeout of a list in seconds; a call has a longer one. `hasty` is as for `bench`.
    """
    slow = dialect.with_knobs("crowd", **{**DELAYS, **dialect.knobs, **(knobs or {})})
    async with bench(
        slow, hasty=hasty, credential=StaticCredential(lambda: "t1", header="X-Auth-Token"), clock=clock
    ) as one:
        policy = Policy(
            steps=dialect.adapter.steps,
            force=force,
            force_after=DELAY,
            poll=poll or Poll(0.05, 0.05),
            timeout=patience,
            gone_means_stopped=dialect.adapter.steps.gone_means_stopped,
            believe_after=BELIEVE_AFTER,
        )
        given: dict[str, Any] = {"adapter": dialect.adapter, "breaker_failures": 1000, **settings}
        yield Crowd(
            replace(one, dialect=dialect),
            Store(redis, "canceller"),
            Backend("b", policy=policy, calls=one.http, **given),
        )


def numbers(count: int, first: int = 1) -> list[str]:
    return [str(number) for number in range(first, first + count)]
