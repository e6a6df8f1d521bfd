"""Simultaneous looks that share a list: who waits, for how long, who pays, and what a stop leaves."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from conformance.crowd import AT_ONCE, NO_DELAY, PATIENCE, Counting, Crowd, crowd, numbers
from conformance.replies.mrs import MRS_V11
from redis.asyncio import Redis

from worker.backends.adapter import CALLS_SAVED
from worker.domain.model import Job
from worker.engine.clock import Clock
from worker.engine.engine import Engine
from worker.engine.look_groups import ALONE, ENOUGH, LISTS, ListedObservation, LookGroup
from worker.engine.look_many import ListReader
from worker.engine.reconcile import PassInput, Reconciliation
from worker.store.transitions import Limits, ToClaim


async def a_list_of(one: Crowd) -> None:
    """Wait until a list has been requested."""
    async with asyncio.timeout(PATIENCE):
        while not one.lists:  # noqa: ASYNC110 - a backend announces nothing
            await asyncio.sleep(0)


async def see(one: Crowd, count: int, in_flight: int) -> tuple[int, int]:
    """Look at so many jobs at once; return how many a list showed, and for how many calls their passes pay."""
    group = LookGroup(ListReader(one.backend), lambda: in_flight)
    for job_id in numbers(count):
        one.one.add("runs", job_id)
    shown = await asyncio.gather(*(group.see(Job(job_id)) for job_id in numbers(count)))
    await group.aclose()
    return sum(one.shown is not None for one in shown), sum(one.calls for one in shown)


@pytest.mark.parametrize(
    ("count", "in_flight", "expected"),
    [
        pytest.param(CALLS_SAVED - 1, 100, (0, 0), id="too few for a list"),
        pytest.param(ENOUGH, 100, (ENOUGH, 2), id="a list shows them all"),
        pytest.param(ENOUGH, CALLS_SAVED - 1, (0, 0), id="no in_flight, no wait"),
        pytest.param(60, 100, (60, 6), id="a call is paid for every ten"),
    ],
)
async def test_looks_come_together(redis: Redis, count: int, in_flight: int, expected: tuple[int, int]) -> None:
    async with crowd(redis) as one:
        assert await see(one, count, in_flight) == expected
        assert one.lists == (expected[1] > 0)


async def test_where_no_list_can_be_read_each_looks_alone(redis: Redis) -> None:
    async with crowd(redis) as one:
        one.one.sim.add_fault("error", verb="list", times=1000)

        assert await see(one, ENOUGH, 100) == (0, 2)


async def test_a_list_that_hangs_is_waited_for_once(redis: Redis) -> None:
    """Calls are counted where they begin: a call may time out before the backend has noticed it."""
    async with crowd(redis, patience=0.3) as one:
        one.one.sim.add_fault("hang", verb="list", times=1000)
        calls = Counting(one.backend.calls)
        group = LookGroup(ListReader(replace(one.backend, calls=calls)), lambda: 100)
        first = asyncio.gather(*(group.see(Job(job_id)) for job_id in numbers(ENOUGH)))
        async with asyncio.timeout(PATIENCE):
            while not calls.begun:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0)
        second = asyncio.gather(*(group.see(Job(job_id)) for job_id in numbers(ENOUGH)))

        assert {*await first, *await second} == {ALONE, ListedObservation(None, 1)}
        assert calls.begun == 1


async def test_jobs_that_no_list_fits_do_not_turn_lists_off(redis: Redis) -> None:
    async with crowd(redis, MRS_V11) as one:
        lists = ListReader(one.backend)
        group = LookGroup(lists, lambda: 100)
        shown = await asyncio.gather(*(group.see(Job(job_id)) for job_id in numbers(ENOUGH)))

        assert set(shown) == {ALONE}
        assert lists.ready


async def test_who_waits_for_a_group_that_closes_is_cancelled_after_its_list_has_ended(redis: Redis) -> None:
    async with crowd(redis) as one:
        one.one.sim.add_fault("hang", verb="list", times=1000)
        calls = Counting(one.backend.calls)
        group = LookGroup(ListReader(replace(one.backend, calls=calls)), lambda: 100)
        waiters = [asyncio.create_task(group.see(Job(job_id))) for job_id in numbers(ENOUGH)]
        left: list[int] = []
        for waiter in waiters:
            waiter.add_done_callback(lambda _: left.append(calls.now))
        await a_list_of(one)
        late = asyncio.create_task(group.see(Job("99")))
        await asyncio.sleep(0)
        await group.aclose()
        await asyncio.wait([*waiters, late], timeout=PATIENCE)

        assert all(waiter.cancelled() for waiter in [*waiters, late])
        assert left == [0] * ENOUGH


async def test_a_stop_frees_no_permit_while_a_list_is_on_its_way(redis: Redis) -> None:
    most = ENOUGH
    async with crowd(redis, max_in_flight=most, poll=AT_ONCE, knobs=NO_DELAY) as one:
        one.one.sim.add_fault("hang", verb="list", times=1000)
        calls = Counting(one.backend.calls)
        one.backend = replace(one.backend, calls=calls)
        await one.accept(numbers(4 * most))
        other = Engine(one.store, {"b": replace(one.backend, look_many=False)}, 200)
        async with one.engine(), asyncio.timeout(PATIENCE):
            await a_list_of(one)
            await other.start()
        async with asyncio.timeout(PATIENCE):
            await one.wait_for("cancel_sent", 2 * most)
        await other.stop(0.0)

        assert calls.most <= most


@pytest.mark.parametrize("most", [1, 2, 16, 40])
async def test_never_more_calls_are_in_flight_than_may_be(redis: Redis, most: int) -> None:
    async with crowd(redis, max_in_flight=most, poll=AT_ONCE, knobs=NO_DELAY) as one:
        calls = Counting(one.backend.calls)
        one.backend = replace(one.backend, calls=calls)
        await one.accept(numbers(80))

        assert await one.finish(80) == {"cancelled": 80}
        assert calls.most <= most
        assert sorted(one.asked("cancel")) == sorted(numbers(80))


async def test_looks_at_once_are_paid_for(redis: Redis) -> None:
    rate, count = 1000.0, 20
    async with crowd(redis, rate=rate, poll=AT_ONCE, knobs=NO_DELAY) as one:
        await one.accept(numbers(count))
        claims = await one.store.claim(ToClaim("b", "w1", Limits(count, 60.0, 100, rate, 100)))
        group = LookGroup(ListReader(one.backend), lambda: count)
        passes = [
            Reconciliation(PassInput(claim), one.backend, one.store, Clock(claims.now), group)
            for claim in claims.claims
        ]
        await asyncio.gather(*(each.run() for each in passes))

        left: Any = await redis.hget("{canceller}:limit:b", "tokens")  # type: ignore[misc]
        assert len(passes) == count
        assert len(one.one.sim.log()) <= rate / 10 - float(left)


@pytest.mark.parametrize(("left", "lists"), [(LISTS + 1.5, True), (LISTS + 0.5, False)])
async def test_no_list_is_waited_for_that_would_outlast_the_lease(redis: Redis, left: float, *, lists: bool) -> None:
    async with crowd(redis, poll=AT_ONCE, knobs=NO_DELAY) as one:
        await one.accept(numbers(ENOUGH))
        claims = await one.store.claim(ToClaim("b", "w1", Limits(ENOUGH, 60.0, 100, 0.0, 100)))
        clock = Clock(claims.now)
        clock.started -= one.backend.lease - left * one.backend.policy.timeout
        group = LookGroup(ListReader(one.backend), lambda: ENOUGH)
        passes = [Reconciliation(PassInput(claim), one.backend, one.store, clock, group) for claim in claims.claims]
        await asyncio.gather(*(each.run() for each in passes))

        assert (one.lists > 0) is lists
        assert len(await one.wait_for("finished", ENOUGH)) == ENOUGH
