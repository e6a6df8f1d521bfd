"""Limits with lists: among many polls, few pay and hold permits, and no class of passes starves another."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from support.commands import FINISHED, LATER, LIMITS, claim, command, commit

from worker.store.store import Store
from worker.store.transitions import Claims, Limits
from worker.store.watch_list import ToWatch

LISTS = replace(LIMITS, per_list=10, rate=20.0)
"""This rate allows a burst of two calls."""
FREE = replace(LIMITS, per_list=10)


async def polls(store: Store, count: int, **fields: str) -> None:
    """Create so many records that are due for a pass that is not their first."""
    marks = [f"{fields.get('lane', '')}{index}" for index in range(count)]
    await store.accept_all([command(f"poll-{mark}", f"p-{mark}", **fields) for mark in marks])
    claims = await claim(store, limits=replace(LIMITS, slots=count, max_in_flight=500, batch_slots=500))
    for one in claims.claims:
        await store.commit(commit(one, "wait", due=claims.now, matters=LATER))
    assert len(claims.claims) == count


async def refill(redis: Redis) -> None:
    """Fill the rate limit with as many calls as it can hold."""
    await redis.hset("{canceller}:limit:ess", mapping={"tokens": 1000})  # type: ignore[misc]


def job_ids(claims: Claims) -> list[str]:
    return [one.record.cancellation.job_id for one in claims.claims]


async def tokens(redis: Redis) -> float:
    return float(await redis.hget("{canceller}:limit:ess", "tokens") or 0)  # type: ignore[misc]


def riders(claims: Claims) -> int:
    return sum(one.piggy_backed for one in claims.claims)


async def test_many_polls_are_charged_as_parts_of_lists(store: Store, redis: Redis) -> None:
    await polls(store, 30)
    claims = await claim(store, limits=LISTS)

    assert (len(claims.claims), riders(claims)) == (20, 18)
    assert await tokens(redis) == pytest.approx(0)


async def test_few_polls_are_charged_as_looks(store: Store) -> None:
    await polls(store, 9)
    claims = await claim(store, limits=LISTS)

    assert (len(claims.claims), riders(claims)) == (2, 0)


@pytest.mark.parametrize(
    ("lane", "limits"),
    [
        pytest.param("interactive", replace(FREE, max_in_flight=2), id="in-flight"),
        pytest.param("interactive", replace(FREE, slots=2), id="slots"),
        pytest.param("batch", replace(FREE, batch_slots=2), id="of-the-lane"),
        pytest.param("batch", replace(FREE, own_batch_slots=2), id="of-the-lane-here"),
    ],
)
async def test_a_permit_is_held_by_one_poll_of_ten(store: Store, lane: str, limits: Limits) -> None:
    await polls(store, 50, lane=lane)
    first = await claim(store, limits=limits)
    taken = sum(not one.piggy_backed for one in first.claims)
    second = await claim(store, limits=replace(limits, slots=2 - taken, own_batch_slots=2 - taken))

    assert (len(first.claims), riders(first)) == (20, 18)
    assert second.claims == ()


async def test_polls_of_both_lanes_ride_together(store: Store) -> None:
    await polls(store, 8, lane="batch")
    await polls(store, 8)
    claims = await claim(store, limits=FREE)

    assert (len(claims.claims), riders(claims)) == (16, 14)


@pytest.mark.parametrize(
    ("count", "limits"),
    [
        pytest.param(30, replace(FREE, per_list=1), id="no-lists"),
        pytest.param(9, FREE, id="few-polls"),
        pytest.param(30, replace(FREE, batch_slots=0), id="none-of-the-lane"),
        pytest.param(30, replace(FREE, own_batch_slots=-3), id="too-many-of-the-lane-here"),
    ],
)
async def test_else_none_rides(store: Store, count: int, limits: Limits) -> None:
    await polls(store, count, lane="batch")
    claims = await claim(store, limits=limits)

    assert riders(claims) == 0


async def test_none_rides_while_the_backend_is_probed(store: Store, redis: Redis) -> None:
    await polls(store, 30)
    await redis.hset("{canceller}:breaker:ess", mapping={"fails": 3, "open": 1, "until": 0})  # type: ignore[misc]
    claims = await claim(store, limits=FREE)

    assert (len(claims.claims), riders(claims)) == (1, 0)


async def test_one_claim_takes_a_bounded_number_of_polls(store: Store) -> None:
    await polls(store, 300)

    assert len((await claim(store, limits=FREE)).claims) == 64


@pytest.mark.parametrize("mode", ["wait", "alone"])
async def test_a_rider_that_is_given_back_holds_nothing(store: Store, redis: Redis, mode: str) -> None:
    await polls(store, 10)
    claims = await claim(store, limits=FREE)
    results = [await store.commit(commit(one, mode, due=LATER, matters=LATER)) for one in claims.claims]

    assert set(results) == {1}
    assert await redis.exists(*(f"{{canceller}}:lease:ess:{lane}" for lane in "ibrx"), "{canceller}:claims:ess") == 0


async def test_what_is_given_back_to_be_alone_is_due_at_once_and_rides_no_more(store: Store) -> None:
    await polls(store, 20)
    claims = await claim(store, limits=FREE)
    for one in claims.claims:
        await store.commit(commit(one, "alone" if one.piggy_backed else "wait", due=LATER, matters=LATER))
    again = await claim(store, limits=FREE)

    assert (len(again.claims), riders(again)) == (18, 0)
    assert not any(one.record.polled for one in again.claims)


async def steadily(store: Store, limits: Limits, rounds: int, unseen: AbstractSet[str]) -> list[str]:
    """Work on polls that are always due, of which a list shows all but `unseen`; return which were looked at alone."""
    alone = []
    for _ in range(rounds):
        claims = await claim(store, limits=limits)
        for one in claims.claims:
            job_id = one.record.cancellation.job_id
            leaves = one.piggy_backed and job_id in unseen
            alone += [job_id] if not one.piggy_backed and (job_id in unseen or not one.record.polled) else []
            await store.commit(commit(one, "alone" if leaves else "wait", due=claims.now, matters=LATER))
    return alone


async def test_polls_that_lists_do_not_show_do_not_starve_first_passes(store: Store) -> None:
    await polls(store, 60)
    limits = replace(FREE, max_in_flight=4)
    await steadily(store, limits, 20, {f"poll-{index}" for index in range(30)})
    await store.accept_all([command(str(index), f"c-{index}") for index in range(10)])
    seen = await steadily(store, limits, 20, {f"poll-{index}" for index in range(30)})

    assert {str(index) for index in range(10)} <= set(seen)


@pytest.mark.parametrize("slots", [1, 2, 3])
async def test_each_poll_that_lists_do_not_show_has_its_turn(store: Store, slots: int) -> None:
    await polls(store, 40)
    unseen = {f"poll-{index}" for index in range(10)}
    limits = replace(FREE, max_in_flight=slots)

    assert unseen <= set(await steadily(store, limits, 120, unseen))


async def test_one_permit_serves_polls_and_first_passes_by_turns(store: Store) -> None:
    await polls(store, 40)
    await store.accept(command("new"))

    assert "new" in await steadily(store, replace(FREE, max_in_flight=1), 500, set())


async def test_the_other_lane_fills_up_a_list(store: Store) -> None:
    await polls(store, 5, lane="batch")
    await polls(store, 5)
    found = [await claim(store, limits=replace(FREE, max_in_flight=1)) for _ in range(20)]

    assert [(len(one.claims), riders(one)) for one in found if one.claims] == [(10, 9)]


async def test_an_order_never_makes_a_pass_come_later(store: Store, redis: Redis) -> None:
    await polls(store, 1)
    (cancellation_id,) = [one.decode() for one in await redis.zrange("{canceller}:due:ess:ip", 0, 0)]
    await redis.zadd("{canceller}:due:ess:ip", {cancellation_id: 1.0})
    await store.act("abort", cancellation_id, "ops", "not that one")

    assert await redis.zscore("{canceller}:due:ess:ip", cancellation_id) == 1.0


async def test_a_dead_workers_riders_come_back(store: Store) -> None:
    await polls(store, 10)
    await claim(store, "dead", limits=FREE)
    await store.beat("w2", 60.0, ["ess"])

    assert len((await claim(store, "w2", limits=FREE)).claims) == 10


async def test_less_than_a_call_buys_no_list(store: Store, redis: Redis) -> None:
    await polls(store, 30)
    await claim(store, limits=replace(LISTS, slots=1, per_list=1))
    await redis.hset("{canceller}:limit:ess", mapping={"tokens": 0.9})  # type: ignore[misc]
    claims = await claim(store, limits=replace(LISTS, rate=0.001))

    assert claims.claims == ()


async def test_first_passes_never_ride(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}") for index in range(30)])

    assert len((await claim(store, limits=LISTS)).claims) == 2


@pytest.mark.parametrize("per_list", [1, 10])
async def test_polls_do_not_starve_first_passes(store: Store, redis: Redis, per_list: int) -> None:
    """If the rate allows fewer calls than polls come due, work on new commands must still begin."""
    await polls(store, 50)
    await store.accept_all([command(str(index), f"c-{index}") for index in range(4)])
    limits, begun = replace(LISTS, per_list=per_list), list[str]()
    for _ in range(4):
        begun += [job_id for job_id in job_ids(await claim(store, limits=limits)) if not job_id.startswith("poll")]
        await refill(redis)

    assert len(begun) == 4


@pytest.mark.parametrize("per_list", [1, 10])
async def test_first_passes_do_not_starve_polls(store: Store, redis: Redis, per_list: int) -> None:
    await polls(store, 4)
    await store.accept_all([command(str(index), f"c-{index}") for index in range(50)])
    limits, seen = replace(LISTS, per_list=per_list), list[str]()
    for _ in range(4):
        seen += [job_id for job_id in job_ids(await claim(store, limits=limits)) if job_id.startswith("poll")]
        await refill(redis)

    assert len(seen) == 4


async def test_a_list_is_charged_once_and_each_look_beside_it_too(store: Store, redis: Redis) -> None:
    """Over many claims, all calls are charged: a look at a job that a list did not show is charged when it is made."""
    await polls(store, 20)
    claims = await claim(store, limits=LISTS)
    before = await tokens(redis)
    looked = [commit(one, "wait", due=LATER, matters=LATER, calls=1) for one in claims.claims[:3]]
    for one in looked:
        await store.commit(one)

    assert await tokens(redis) == pytest.approx(before - 3)


async def looks_due(store: Store, redis: Redis, count: int) -> None:
    """Make looks due at so many jobs whose cancellations have ended."""
    await store.accept_all([command(f"ended-{index}", f"e-{index}") for index in range(count)])
    for one in (await claim(store)).claims:
        await store.commit(commit(one, "finish", facts=FINISHED, watch_after=(3600.0,)))
    for member in await redis.zrange("{canceller}:watch:ess", 0, -1):
        await redis.zadd("{canceller}:watch:ess", {member: 1})


async def looks(store: Store, rate: float) -> int:
    """Claim looks after the end; return how many."""
    return len((await store.watch_list.claim(ToWatch("ess", 10, 40.0, 100, rate))).ended)


@pytest.mark.parametrize(
    ("rate", "waiting", "expected"),
    [(1.0, 1, 0), (20.0, 5, 0), (40.0, 3, 1), (40.0, 0, 3), (0.0, 50, 3)],
    ids=["one-call", "too-few-calls", "what-is-left", "nothing-waits", "no-rate"],
)
async def test_stops_go_before_looks_after_the_end(
    store: Store, redis: Redis, rate: float, waiting: int, expected: int
) -> None:
    await looks_due(store, redis, 3)
    if waiting:
        await store.accept_all([command(str(index), f"c-{index}") for index in range(waiting)])

    assert await looks(store, rate) == expected
    stops = await claim(store, limits=replace(LIMITS, rate=rate))
    assert len(stops.claims) == min(waiting, int(max(1, rate / 10)) if rate else waiting)


async def test_while_stops_take_all_calls_one_in_twenty_is_a_look_after_the_end(store: Store, redis: Redis) -> None:
    await looks_due(store, redis, 3)
    await store.accept_all([command(str(index), f"c-{index}") for index in range(50)])
    first = await looks(store, 10.0)
    now = int(await redis.hget("{canceller}:limit:ess", "looked") or 0)  # type: ignore[misc]
    await redis.hset("{canceller}:limit:ess", "looked", str(now - 2000))  # type: ignore[misc]
    later = [await looks(store, 10.0) for _ in range(2)]
    await refill(redis)

    assert (first, later, await looks(store, 10.0)) == (0, [1, 0], 0)
