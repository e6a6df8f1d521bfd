"""Lists that fail, lie, hang or break: the only effect on a pass is that its job is looked at alone."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from conformance.crowd import crowd, numbers
from conformance.kit import ENDLESS, PATIENT, spoiled
from msgspec import structs
from redis.asyncio import Redis

from worker.backends.adapter import LookMany, Reply, Request
from worker.backends.oracle_ess import OracleEss
from worker.domain.model import Job, Observation
from worker.engine.backend import Calls

FAULTS: dict[str, dict[str, Any]] = {
    "error": {},
    "expired_token": {},
    "throttled": {"retry_after": 0},
    "html-200": {"http": 200},
    "html": {},
    "truncated": {},
    "cut_body": {},
    "big_body": {},
    "slow_drip": {},
    "reset": {},
    "hang": {},
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_list_that_fails_costs_one_call_and_lists_are_left_alone(redis: Redis, fault: str) -> None:
    kind = fault.partition("-")[0]
    async with crowd(redis, hasty=kind in ENDLESS) as one:
        await one.ask(numbers(20))
        one.stop_all()
        spoiled(one.one.sim, kind, verb="list", **FAULTS[fault])
        async with one.engine():
            await one.wait_for("finished", 20)
            lists = one.lists
            await one.accept(numbers(20, 21))
            await one.wait_for("cancel_sent", 40)
            one.stop_all()
            finished = await one.wait_for("finished", 40)

        assert {event.outcome for event in finished} == {"cancelled"}
        assert set(one.looks) == set(numbers(40))
        assert one.lists == lists == (2 if fault == "expired_token" else 1)  # the token is renewed once


async def test_an_ess_that_knows_no_or_is_looked_at_job_by_job(redis: Redis) -> None:
    async with crowd(redis, knobs={"ess.or_in_q": False}) as one:
        await one.ask(numbers(20))
        one.stop_all()

        assert await one.finish(20) == {"cancelled": 20}
        assert (one.lists, sorted(one.looks, key=int)) == (1, numbers(20))


@pytest.mark.parametrize(("size", "again"), [(5, True), (1, False)])
async def test_lists_that_spare_next_to_nothing_are_left_alone(redis: Redis, size: int, *, again: bool) -> None:
    async with crowd(redis, knobs={"ess.page_size": size}) as one:
        await one.ask(numbers(20))
        one.stop_all()
        async with one.engine() as engine:
            await one.wait_for("finished", 20)
            assert engine._dispatchers["b"]._lists.ready is again


class Clumsy(OracleEss):
    """An adapter whose lists fail in a way that no adapter's should."""

    def __init__(self, how: str) -> None:
        self.how = how

    def look_many(self, jobs: Sequence[Job]) -> LookMany:
        if self.how == "raises":
            raise KeyError(jobs[0].id)
        return self._survey()

    def _survey(self) -> Generator[Request, Reply, dict[str, Observation]]:
        if self.how == "asks-nothing":
            return {}
        yield Request(
            "GET", ("..",) if self.how == "asks-for-no-path" else ("ess", "rest", "scheduler", "v1", "requests")
        )
        while self.how == "never-ends":
            yield Request("GET", ("ess", "rest", "scheduler", "v1", "requests"))
        raise KeyError("items")


@pytest.mark.parametrize("how", ["raises", "asks-nothing", "asks-for-no-path", "never-ends", "breaks"])
async def test_no_fault_of_an_adapters_list_reaches_a_pass(redis: Redis, how: str) -> None:
    patience = 0.3 if how == "never-ends" else PATIENT
    async with crowd(redis, adapter=Clumsy(how=how), patience=patience) as one:
        await one.ask(numbers(20))
        one.stop_all()

        assert await one.finish(20) == {"cancelled": 20}
        assert sorted(one.looks, key=int) == numbers(20)


async def test_a_list_takes_no_longer_than_a_look_may(redis: Redis) -> None:
    """The passes that wait for the list hold leases, which last for a look and a call."""
    async with crowd(redis, adapter=Clumsy(how="never-ends"), patience=0.3) as one:
        await one.ask(numbers(10))
        one.stop_all()
        async with one.engine():
            finished = await one.wait_for("finished", 10)

        assert {event.data["calls"]["look"] for event in finished} == {1}


class Behind:
    """Makes calls to a backend whose lists are outdated: they show all cancelled jobs as running."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def ready(self) -> None:
        await self._calls.ready()

    async def send(self, request: Request, *, traceparent: str | None = None) -> Reply:
        reply = await self._calls.send(request, traceparent=traceparent)
        lags = "q" in request.query
        return structs.replace(reply, body=reply.body.replace(b'"CANCELLED"', b'"RUNNING"')) if lags else reply


async def test_nothing_is_given_up_on_the_word_of_a_list(redis: Redis) -> None:
    async with crowd(redis) as one:
        await one.ask(numbers(20), give_up_after=1.5)
        one.stop_all()
        one.backend = replace(one.backend, calls=Behind(one.backend.calls))

        assert await one.finish(20) == {"cancelled": 20}
        assert one.lists
