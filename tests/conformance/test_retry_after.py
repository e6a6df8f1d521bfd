"""Looks that succeed but ask for time by `Retry-After`: the cancellation's next look comes no sooner."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from conformance.crowd import crowd, numbers, params_of
from conformance.dialect import Dialect
from conformance.dialects import DIALECTS
from conformance.kit import ASKED, READS, Busy
from conformance.replies.sahara import SAHARA_V11
from conformance.whole import prepare, whole
from msgspec import structs
from redis.asyncio import Redis

from worker.domain.model import Action, Answer, AnswerKind, JobState, Observation, Source
from worker.engine.clock import Clock
from worker.engine.look_many import ListReader
from worker.engine.reconcile import PassInput, Reconciliation
from worker.store.transitions import Limits, ToClaim

each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
each_listed = pytest.mark.parametrize(
    "dialect", [one for one in DIALECTS if one.adapter != SAHARA_V11.adapter], ids=lambda dialect: dialect.name
)


@each_dialect
async def test_a_look_with_or_after_a_call_puts_off_the_next_one(redis: Redis, dialect: Dialect) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, "cancel")
        await one.accept("cancel")
        claims = await one.claim("w1")
        backend = replace(one.backend, calls=Busy(one.one, one.backend.calls))
        due = await Reconciliation(PassInput(claims.claims[0]), backend, one.store, Clock(claims.now)).run()

        assert due is not None
        assert due - claims.now >= ASKED
        assert sorted(entry.verb in READS for entry in one.journal) == [False, True]
        assert sum(entry.effect for entry in one.made(Action.CANCEL)) == 1


@each_dialect
async def test_a_look_that_shows_the_end_still_ends_it_at_once(redis: Redis, dialect: Dialect) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, "cancel", "finished")
        one.one.sim.clock.advance(3600)
        await one.accept("cancel")
        one.backend = replace(one.backend, calls=Busy(one.one, one.backend.calls))

        assert (await one.finish()).outcome == "already_finished"


@each_listed
async def test_a_list_asks_for_each_job_that_it_shows(redis: Redis, dialect: Dialect) -> None:
    async with crowd(redis, dialect) as one:
        jobs = [structs.replace(one.one.add(job_id=number), params=params_of(dialect)) for number in numbers(10)]
        reader = ListReader(replace(one.backend, calls=Busy(one.one, one.backend.calls)))
        plan = reader.plan_for(jobs)
        assert plan is not None
        sightings = await reader.read(plan)

        assert sightings.keys() == set(numbers(10))
        assert {shown.retry_after for shown in sightings.values()} == {ASKED.total_seconds()}


SHOWN = Observation(JobState.ACTIVE, "RUNNING", Source.OWN, "1", retry_after=ASKED.total_seconds())
BUSY = Answer(AnswerKind.BUSY, Source.UNSURE, 429, retry_after=ASKED.total_seconds())


@pytest.mark.parametrize("listed", [SHOWN, BUSY], ids=["shown", "the-list-was-turned-away"])
async def test_a_job_of_a_list_that_asks_for_time_is_looked_at_no_sooner(
    redis: Redis, listed: Observation | Answer
) -> None:
    async with crowd(redis) as one:
        await one.ask(["1"])
        while not (claims := await one.store.claim(ToClaim("b", "w1", Limits(1, 60.0, 1, 0.0, 1)))).claims:
            assert claims.next_due
        given = PassInput(claims.claims[0], listed=listed)
        due = await Reconciliation(given, one.backend, one.store, Clock(claims.now)).run()

        assert due is not None
        assert due - claims.now >= ASKED
        assert one.looks == []


async def test_nothing_is_given_up_because_a_list_asks_for_time(redis: Redis) -> None:
    async with crowd(redis) as one:
        await one.ask(["1"])
        one.stop_all()
        while not (claims := await one.store.claim(ToClaim("b", "w1", Limits(1, 60.0, 1, 0.0, 1)))).claims:
            assert claims.next_due
        late = Clock(claims.now + timedelta(days=2))
        await Reconciliation(PassInput(claims.claims[0], listed=BUSY), one.backend, one.store, late).run()

        assert one.looks == ["1"]
        assert [event.outcome for event in await one.wait_for("finished", 1)] == ["cancelled"]
