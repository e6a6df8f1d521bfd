"""Looks that take longer than a worker may hold a record."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from conformance.crowd import crowd
from redis.asyncio import Redis

from worker.backends.adapter import Reply, Request
from worker.domain.model import Poll
from worker.engine.backend import Calls
from worker.engine.clock import Clock
from worker.engine.reconcile import PassInput, Reconciliation
from worker.store.transitions import Limits, ToClaim


class Slow:
    """Makes calls, each of which takes so many seconds of a pass's lease."""

    def __init__(self, calls: Calls, clock: Clock, seconds: float) -> None:
        self._calls = calls
        self._clock = clock
        self._seconds = seconds

    async def ready(self) -> None:
        await self._calls.ready()

    async def send(self, request: Request, *, traceparent: str | None = None) -> Reply:
        self._clock.started -= self._seconds
        return await self._calls.send(request, traceparent=traceparent)


async def test_a_call_that_no_longer_fits_into_the_lease_is_not_begun_and_the_next_pass_is_later(redis: Redis) -> None:
    async with crowd(redis, poll=Poll(20.0, 60.0)) as one:
        await one.accept(["1"], expect={"raw_state": "RUNNING"})
        one.one.add("runs", "1", children=[{"id": 2}])
        claims = await one.store.claim(ToClaim("b", "w1", Limits(1, one.backend.lease, 100, 0.0, 100)))
        (claim,) = claims.claims
        clock = Clock(claims.now)
        backend = replace(one.backend, calls=Slow(one.backend.calls, clock, one.backend.lease * 0.75))
        due = await Reconciliation(PassInput(claim), backend, one.store, clock).run()
        seen = (await one.store.get(claim.record.cancellation.id)).record.cancellation.progress

    assert (one.asked("look"), one.asked("cancel")) == (["1"], [])
    assert (seen.raw, seen.intent, seen.sent) == ("RUNNING", None, {})
    assert due is not None
    assert due - claims.now > timedelta(seconds=10)
