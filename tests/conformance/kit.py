"""What the tests of the adapters share: a simulator over real HTTP, the real client, and a way to drive an exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from conformance.dialect import CLUSTER, PROJECT, Dialect
from msgspec.structs import replace

from worker.aio.tasks import cancel_all
from worker.backends.adapter import NoReply, Reply, Request, call
from worker.domain.errors import CallUnanswered
from worker.domain.model import Action, Answer, Job, Observation, unanswered
from worker.engine.backend import Calls
from worker.http.client import Http
from worker.http.credentials import Credential
from worker.http.transport import Call
from worker.http.transport_aiohttp import AiohttpTransport
from worker.simulator import Clock, Entry, Fault, Simulator

START = 1_763_899_200.0
MAX_REPLY = 100_000
PATIENT = 30.0
"""The timeout of a call in seconds: longer than a simulator that answers takes on any machine."""
HASTY = 0.1
"""Seconds after which a `HastyWire` checks whether the answer that it waits for can still come."""
ASKED = timedelta(seconds=40)
"""The `Retry-After` of a busy backend."""
READS = frozenset({"look", "refresh", "list"})
ENDLESS = frozenset({"hang", "slow_drip"})


def spoiled(sim: Simulator, kind: str, **rule: Any) -> Fault:
    """Add a fault that fits our small limits; one of `refresh`, a look that asks an engine, also hits its fallback."""
    if rule.get("verb") == "refresh":
        spoiled(sim, kind, **{**rule, "verb": "look"})
    sizes = {"size": 2 * MAX_REPLY} if kind == "big_body" else {}
    gaps = {"gap": 0.1} if kind == "slow_drip" else {}
    return sim.add_fault(kind, **{**sizes, **gaps, **rule})


@dataclass(frozen=True)
class Bench:
    """One dialect, one simulated backend, one client."""

    dialect: Dialect
    sim: Simulator
    http: Http

    def add(self, life: str = "runs", job_id: str = "1", **script: Any) -> Job:
        """Create a job there."""
        self.sim.add_job(self.dialect.system, job_id, life, project=PROJECT, cluster=CLUSTER, **script)
        return Job(job_id)

    async def look(self, job: Job) -> Observation | Answer:
        """Look at a job."""
        return await drive(self.http, self.dialect.adapter.look(job))

    async def call(self, action: Action, job: Job) -> Answer:
        """Make a changing call."""
        said = await drive(self.http, call(self.dialect.adapter, action, job))
        assert isinstance(said, Answer)
        return said

    async def do(self, action: Action, job: Job) -> Observation | Answer:
        """Make any call."""
        return await (self.look(job) if action is Action.LOOK else self.call(action, job))

    def asked(self, action: Action) -> list[Entry]:
        """Return the requests of one action that came in; a batch's path names no job."""
        return self.sim.log(self.dialect.system, verb=self.dialect.verbs[action])


@dataclass
class Busy:
    """The real client of a backend that answers each look and list, and adds a `Retry-After` to the reply."""

    one: Bench
    calls: Calls

    async def ready(self) -> None:
        await self.calls.ready()

    async def send(self, request: Request, *, traceparent: str | None = None) -> Reply:
        reply = await self.calls.send(request, traceparent=traceparent)
        if self.one.sim.log()[-1].verb not in READS:
            return reply
        asked = str(int(ASKED.total_seconds()))
        return replace(reply, headers={**reply.headers, "retry-after": asked})


class HastyWire:
    """The real wire, on which a call times out soon after it has met an endless fault.

    A short timeout for all calls would also hit calls that a busy machine answers late.
    """

    through = to_proxy = ""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        self._wire = AiohttpTransport()

    async def exchange(self, call: Call, limit: int) -> Reply:
        before = len(self._sim.log())
        making = asyncio.ensure_future(self._wire.exchange(call, limit))
        try:
            while not (await asyncio.wait([making], timeout=HASTY))[0]:
                asked = (entry for entry in self._sim.log()[before:] if call.url.endswith(entry.raw_path))
                if any(entry.fault in ENDLESS for entry in asked):
                    raise TimeoutError
            return making.result()
        finally:
            await cancel_all([making])

    async def aclose(self) -> None:
        await self._wire.aclose()


@asynccontextmanager
async def bench(
    dialect: Dialect, *, hasty: bool = False, credential: Credential | None = None, clock: Clock | None = None
) -> AsyncIterator[Bench]:
    """Start a backend of this dialect; its clock stands still unless one is given.

    If `hasty`, a call that meets an endless fault goes unanswered soon, not only after its timeout.
    """
    async with Simulator(clock=clock or Clock(0, start=START), knobs=dialect.knobs) as sim:
        http = Http(
            sim.base_url(dialect.system),
            credential=credential,
            timeout=PATIENT,
            max_reply=MAX_REPLY,
            wire=HastyWire(sim) if hasty else None,
        )
        try:
            yield Bench(dialect, sim, http)
        finally:
            await http.aclose()


async def drive(
    http: Http, exchange: Generator[Request, Reply, Observation | Answer] | Generator[Request, Reply, Answer]
) -> Observation | Answer:
    """Make the calls of an exchange; one that gets no answer ends it, as unanswered."""
    try:
        request = next(exchange)
        while True:
            try:
                reply = await http.send(request)
            except CallUnanswered as error:
                request = exchange.throw(NoReply(str(error)))
            else:
                request = exchange.send(reply)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    except NoReply as error:
        return unanswered(str(error))
