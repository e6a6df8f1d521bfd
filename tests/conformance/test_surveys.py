"""Lists instead of looks, by a real engine over a real Redis: few calls, the right ends, no harm if lists fail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from conformance.crowd import PATIENCE, Counting, Crowd, crowd, numbers
from conformance.dialect import Dialect
from conformance.dialects import DIALECTS
from conformance.replies.mrs import MRS_V2, MRS_V11
from conformance.replies.oracle_ess import ESS
from conformance.replies.oracle_ml import OML
from conformance.replies.sahara import SAHARA_V11
from redis.asyncio import Redis

from worker.backends.mrs import Mrs
from worker.domain.model import Force, Job, Poll
from worker.engine.clock import Clock
from worker.engine.look_many import ListReader
from worker.engine.reconcile import PassInput, Reconciliation
from worker.simulator import Clock as SimClock
from worker.store.transitions import Claim, Limits, ToClaim

TEN = [Job("1", {"cluster_id": "c1"})] * 10
LISTS_ENDS = [one for one in DIALECTS if next(one.adapter.look_many(TEN), None) and one.system != "oml"]
"""The dialects whose lists show how a job has ended."""
each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


async def claims_of(one: Crowd) -> tuple[Sequence[Claim], Clock]:
    claims = await one.store.claim(ToClaim("b", "w1", Limits(1000, 60.0, 1000, 0.0, 1000)))
    return claims.claims, Clock(claims.now)


# few calls


@pytest.mark.parametrize("dialect", LISTS_ENDS, ids=lambda dialect: dialect.name)
async def test_many_that_are_due_are_seen_in_one_call(redis: Redis, dialect: Dialect) -> None:
    async with crowd(redis, dialect) as one:
        await one.ask(numbers(60))
        one.stop_all()

        assert await one.finish(60) == {"cancelled": 60}
        assert (one.lists, one.looks) == (1, [])
        assert {event.data["calls"]["cancel"] for event in one.events if event.name == "finished"} == {1}


@each_dialect
async def test_every_dialect_ends_right_with_and_without_lists(redis: Redis, dialect: Dialect) -> None:
    for look_many in (True, False):
        async with crowd(redis, dialect, look_many=look_many) as one:
            await redis.flushall()
            await one.ask(numbers(30))
            one.stop_all()

            assert await one.finish(30) == {"cancelled": 30}
            assert look_many or not one.lists


async def test_few_that_are_due_are_looked_at_alone(redis: Redis) -> None:
    async with crowd(redis) as one:
        await one.ask(numbers(9))
        one.stop_all()
        await one.finish(9)

        assert (one.lists, sorted(one.looks)) == (0, numbers(9))


async def test_lists_are_left_out_where_the_backend_may_not_be_asked_for_them(redis: Redis) -> None:
    async with crowd(redis, look_many=False) as one:
        await one.ask(numbers(20))
        one.stop_all()
        await one.finish(20)

        assert (one.lists, len(one.looks)) == (0, 20)


async def test_first_passes_are_no_reason_for_a_list(redis: Redis) -> None:
    """Most of them end in a call, and before a call each job is looked at alone anyway."""
    async with crowd(redis, MRS_V11, poll=Poll(60.0, 60.0)) as one:
        await one.accept(numbers(30))
        async with one.engine():
            await one.wait_for("cancel_sent", 30)

        assert (one.lists, len(one.looks)) == (0, 30)


# what a list does not show


async def test_a_job_that_a_list_does_not_show_is_looked_at_alone_and_ends_right(redis: Redis) -> None:
    async with crowd(redis) as one:
        await one.ask(numbers(20))
        one.stop_all()
        job = one.one.sim.world.jobs["ess", "7"]
        one.one.sim.world.put(replace(job, deleted_at=0.0))

        assert await one.finish(20) == {"cancelled": 20}
        assert (one.lists, one.looks) == (2, ["7"])  # the job might have been on a second page
        (gone,) = [event for event in one.events if event.name == "finished" and event.subject == "7"]
        assert gone.data["job_state"] == "gone"


async def test_a_parent_is_looked_at_alone_with_its_children(redis: Redis) -> None:
    async with crowd(redis) as one:
        await one.ask(numbers(20))
        one.one.sim.add_job("ess", "99", parent="7")
        one.one.sim.set_knobs({"ess.parent_end": "stays"})
        one.stop_all()
        async with one.engine(), asyncio.timeout(PATIENCE):
            finished = await one.wait_for("finished", 19)
            assert "7" not in {event.subject for event in finished}
            while not one.looks:  # noqa: ASYNC110 - a backend tells nobody
                await asyncio.sleep(0)

        assert set(one.looks) == {"7"}


async def test_oracle_mls_ends_are_seen_by_looks(redis: Redis) -> None:
    async with crowd(redis, OML) as one:
        await one.ask(numbers(20))

        assert await one.finish(20) == {"cancelled": 20}
        assert sorted(one.looks) == sorted(numbers(20))


async def test_ended_jobs_that_a_list_shows_end_as_they_truly_did(redis: Redis) -> None:
    async with crowd(redis) as one:
        await one.ask(numbers(10))
        await one.ask(numbers(10, 11), "race")
        one.stop_all()

        assert await one.finish(20) == {"cancelled": 10, "completed_anyway": 10}
        assert one.looks == []


async def test_a_cluster_that_only_the_commands_name_has_a_list_too(redis: Redis) -> None:
    async with crowd(redis, MRS_V11, adapter=Mrs("p1")) as one:
        await one.ask(numbers(20))
        one.stop_all()

        assert await one.finish(20) == {"cancelled": 20}
        assert (one.lists, one.looks) == (1, [])


async def test_jobs_that_share_an_id_in_two_clusters_are_looked_at_alone(redis: Redis) -> None:
    async with crowd(redis, MRS_V2) as one:
        jobs = [Job(job_id) for job_id in numbers(20)]
        plan = ListReader(one.backend).plan_for([*jobs, Job("7", {"cluster_id": "another"})])

        assert plan is not None
        assert sorted(set(numbers(20)) - {"7"}) == sorted(plan.jobs)


async def test_jobs_that_share_an_id_in_two_clusters_are_each_looked_for_in_their_own(redis: Redis) -> None:
    async with crowd(redis, MRS_V2, knobs={"mrs.cancel_delay": 0.0}) as one:
        await one.accept(["1"], command_id="c-1", params={"cluster_id": "another"})
        await one.accept(["1"], command_id="c-2")

        assert await one.finish(2) == {"cancelled": 1, "not_found": 1}


# what a list must not hold up


async def test_a_first_pass_does_not_wait_for_a_list(redis: Redis) -> None:
    async with crowd(redis) as one:
        await one.ask(numbers(20))
        one.stop_all()
        one.one.sim.add_fault("hang", verb="list")
        await one.accept(numbers(3, 100))
        async with one.engine():
            sent = await one.wait_for("cancel_sent", 23)

        assert {event.subject for event in sent[20:]} == set(numbers(3, 100))
        assert not [event for event in one.events if event.name == "finished"]


async def test_a_worker_that_stops_while_a_list_is_on_its_way_leaves_all_to_the_next(redis: Redis) -> None:
    async with crowd(redis) as one:
        await one.ask(numbers(20))
        one.stop_all()
        one.one.sim.add_fault("hang", verb="list")
        await one.accept(numbers(1, 100))
        async with one.engine():
            await one.wait_for("cancel_sent", 21)
        one.one.sim.clear_faults()
        one.stop_all()

        assert await one.finish(21) == {"cancelled": 21}


# a call comes after a look at the job alone


async def test_a_listed_job_whose_force_is_due_is_looked_at_alone_before_the_call(redis: Redis) -> None:
    async with crowd(redis) as one:
        await one.ask(numbers(12), "stuck")
        one.stop_all()

        assert await one.finish(12) == {"force_cancelled": 12}
        journal = one.one.sim.log()
        assert one.lists >= 1
        for job_id in numbers(12):
            verbs = [entry.verb for entry in journal if entry.job_id == job_id]
            assert verbs[:2] == ["look", "force"]
            assert verbs.count("force") == 1


async def test_a_cancel_that_went_unanswered_is_repeated_only_after_a_look_at_the_job_alone(redis: Redis) -> None:
    async with crowd(redis) as one:
        one.one.sim.add_fault("error", verb="cancel", times=12)
        await one.ask(numbers(12))
        async with one.engine():
            await one.wait_for("cancel_sent", 24)
            one.stop_all()
            finished = await one.wait_for("finished", 12)

        assert {event.outcome for event in finished} == {"cancelled"}
        for job_id in numbers(12):
            verbs = [entry.verb for entry in one.one.sim.log() if entry.job_id == job_id]
            assert verbs[verbs.index("cancel") - 1] == "look"


async def test_a_held_force_is_told_after_a_look_and_then_costs_no_more_looks(redis: Redis) -> None:
    async with crowd(redis, force=Force.ATTESTED, poll=Poll(0.0, 0.0)) as one:
        await one.ask(numbers(12), "stuck")
        one.stop_all()
        for _ in range(3):
            claims, clock = await claims_of(one)
            exchange: Any = one.backend.adapter.look_many([claim.record.cancellation.job for claim in claims])
            request = next(exchange)
            with pytest.raises(StopIteration) as end:
                exchange.send(await one.one.http.send(request))
            for claim in claims:
                listed = end.value.value[claim.record.cancellation.job_id]
                given = PassInput(claim, listed=listed, paid=0)
                await Reconciliation(given, one.backend, one.store, clock).run()

        assert sorted(one.looks, key=int) == numbers(12)
        assert len(await one.wait_for("force_held", 12)) == 12


# limits


@pytest.mark.parametrize(("dialect", "lists"), [(ESS, True), (SAHARA_V11, False)], ids=["ess", "sahara-v1.1"])
async def test_polls_may_ride_only_where_there_are_lists(redis: Redis, dialect: Dialect, *, lists: bool) -> None:
    async with crowd(redis, dialect) as one:
        await one.ask(numbers(20))
        one.stop_all()
        async with one.engine() as engine:
            await one.wait_for("finished", 20)
            assert engine._dispatchers["b"]._lists.ready is lists


async def test_a_listed_job_is_a_success_of_its_backend(redis: Redis) -> None:
    """Otherwise a backend that was paused would stay at few calls in flight while it is only asked for lists."""
    async with crowd(redis) as one:
        await one.ask(numbers(10))
        one.stop_all()
        breaker = "{canceller}:breaker:b"
        await redis.hset(breaker, mapping={"fails": 3, "open": 0, "ramp": 10})  # type: ignore[misc]
        await one.finish(10)

        assert (one.lists, one.looks) == (1, [])
        assert await redis.hmget(breaker, "fails", "ramp") == [b"0", b"11"]  # type: ignore[misc]


async def test_a_half_open_backend_is_asked_for_no_list(redis: Redis) -> None:
    async with crowd(redis) as one:
        await one.ask(numbers(10))
        one.stop_all()
        await redis.hset("{canceller}:breaker:b", mapping={"fails": 3, "open": 1, "until": 0})  # type: ignore[misc]
        await one.finish(10)

        assert one.one.sim.log()[0].verb == "look"


@pytest.mark.parametrize("dialect", [ESS, SAHARA_V11], ids=lambda dialect: dialect.name)
async def test_a_rate_is_kept_on_average(redis: Redis, dialect: Dialect) -> None:
    rate, count = 100.0, 80
    async with crowd(redis, dialect, rate=rate, clock=SimClock(), poll=Poll(0.1, 0.1)) as one:
        one.one.sim.set_knobs({"ess.cancel_delay": 0.3, "sahara.engine_delay": 0.3})
        await one.accept(numbers(count))
        assert await one.finish(count) == {"cancelled": count}

        journal = one.one.sim.log()
        burst = rate / 10 + 9  # as many as were claimed to share a list that then was not worth reading
        for start in range(len(journal)):
            assert len(journal) - start <= rate * (journal[-1].at - journal[start].at) + burst


async def test_the_batch_lane_is_counted_while_it_waits_for_a_list(redis: Redis) -> None:
    async with crowd(redis, max_in_flight=40) as one:
        await one.ask(numbers(60), lane="batch")
        one.stop_all()
        one.one.sim.add_fault("hang", verb="list")
        await one.accept(numbers(1, 100))
        async with one.engine(slots=40) as engine:
            await one.wait_for("cancel_sent", 61)
            assert engine._dispatchers["b"]._window.batch == 6
        assert engine._dispatchers["b"]._window.batch == 0


@pytest.mark.parametrize("most", [1, 2, 7])
@pytest.mark.parametrize("fault", ["none", "no-lists", "not-shown"])
async def test_many_ride_on_few_permits_and_never_more_calls_are_in_flight(redis: Redis, most: int, fault: str) -> None:
    async with crowd(redis, max_in_flight=most) as one:
        await one.ask(numbers(60))
        one.stop_all()
        if fault == "no-lists":
            one.one.sim.add_fault("error", verb="list", times=1000)
        if fault == "not-shown":
            for job_id in numbers(60)[::3]:
                one.one.sim.world.put(replace(one.one.sim.world.jobs["ess", job_id], deleted_at=0.0))
        calls = Counting(one.backend.calls)
        one.backend = replace(one.backend, calls=calls)

        assert await one.finish(60) == {"cancelled": 60}
        assert calls.most <= most
        # On a slow machine they come due in parts; small parts are not worth a list.
        least, most_looks = {"none": (0, 59), "no-lists": (60, 60), "not-shown": (20, 59)}[fault]
        assert least <= len(one.looks) <= most_looks


async def test_a_list_that_hangs_holds_few_permits(redis: Redis) -> None:
    async with crowd(redis, max_in_flight=4) as one:
        await one.ask(numbers(20))
        one.stop_all()
        one.one.sim.add_fault("hang", verb="list")
        await one.accept(numbers(10, 100))
        async with one.engine():
            assert len(await one.wait_for("cancel_sent", 30)) == 30


async def test_many_more_than_the_slots_are_seen_in_few_calls(redis: Redis) -> None:
    async with crowd(redis) as one:
        await one.ask(numbers(300))
        one.stop_all()

        assert await one.finish(300) == {"cancelled": 300}
        assert one.lists + len(one.looks) <= 30
