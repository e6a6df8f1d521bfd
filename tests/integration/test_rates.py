"""A rate limit with lists: polls that lists show together are cheap, and no class of passes starves another."""

from __future__ import annotations

import pytest
from integration.stored import LATER, LIMITS, claim, command, commit
from msgspec.structs import replace
from redis.asyncio import Redis

from worker.store import Store
from worker.transitions import Claims

LISTS = replace(LIMITS, poll_price=0.1, rate=20.0)
"""A burst of this rate is two calls."""


async def polls(store: Store, count: int, **fields: str) -> None:
    """Have so many records due for a pass that is not their first."""
    await store.accept_all([command(f"poll-{index}", f"p-{index}", **fields) for index in range(count)])
    claims = await claim(store, limits=replace(LIMITS, slots=count, max_in_flight=500, batch_slots=500))
    for one in claims.claims:
        await store.commit(commit(one, "wait", due=claims.now, matters=LATER))
    assert len(claims.claims) == count


async def refill(redis: Redis) -> None:
    """Let the rate limit have all the calls that it can."""
    await redis.hset("{canceller}:limit:ess", mapping={"tokens": 1000})  # type: ignore[misc]


def job_ids(claims: Claims) -> list[str]:
    return [one.record.cancellation.job_id for one in claims.claims]


async def tokens(redis: Redis) -> float:
    return float(await redis.hget("{canceller}:limit:ess", "tokens") or 0)  # type: ignore[misc]


async def test_many_polls_are_charged_as_parts_of_lists(store: Store, redis: Redis) -> None:
    await polls(store, 30)
    claims = await claim(store, limits=LISTS)

    assert (len(claims.claims), claims.cheap) == (20, True)
    assert await tokens(redis) == pytest.approx(0)


async def test_few_polls_are_charged_as_looks(store: Store) -> None:
    await polls(store, 9)
    claims = await claim(store, limits=LISTS)

    assert (len(claims.claims), claims.cheap) == (2, False)


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(replace(LISTS, slots=9), id="few-slots"),
        pytest.param(replace(LISTS, max_in_flight=9), id="few-in-flight"),
        pytest.param(replace(LISTS, batch_slots=9), id="few-of-the-lane"),
        pytest.param(replace(LISTS, own_batch_slots=9), id="few-of-the-lane-here"),
        pytest.param(replace(LISTS, own_batch_slots=-3), id="too-many-of-the-lane-here"),
        pytest.param(replace(LISTS, poll_price=1.0), id="no-lists"),
    ],
)
async def test_so_are_many_of_which_few_may_be_claimed(store: Store, limits: object) -> None:
    await polls(store, 30, lane="batch")
    claims = await claim(store, limits=limits)  # type: ignore[arg-type]

    assert not claims.cheap
    assert len(claims.claims) <= 2


async def test_less_than_a_call_buys_no_list(store: Store, redis: Redis) -> None:
    await polls(store, 30)
    await claim(store, limits=replace(LISTS, slots=1, poll_price=1.0))
    await redis.hset("{canceller}:limit:ess", mapping={"tokens": 0.9})  # type: ignore[misc]
    claims = await claim(store, limits=replace(LISTS, rate=0.001))

    assert (claims.claims, claims.cheap) == ((), False)


async def test_first_passes_are_never_cheap(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}") for index in range(30)])

    assert len((await claim(store, limits=LISTS)).claims) == 2


@pytest.mark.parametrize("price", [1.0, 0.1])
async def test_polls_do_not_starve_first_passes(store: Store, redis: Redis, price: float) -> None:
    """Where the rate allows fewer calls than polls come due, commands must still be begun."""
    await polls(store, 50)
    await store.accept_all([command(str(index), f"c-{index}") for index in range(4)])
    limits, begun = replace(LISTS, poll_price=price), list[str]()
    for _ in range(4):
        begun += [job_id for job_id in job_ids(await claim(store, limits=limits)) if not job_id.startswith("poll")]
        await refill(redis)

    assert len(begun) == 4


@pytest.mark.parametrize("price", [1.0, 0.1])
async def test_first_passes_do_not_starve_polls(store: Store, redis: Redis, price: float) -> None:
    await polls(store, 4)
    await store.accept_all([command(str(index), f"c-{index}") for index in range(50)])
    limits, seen = replace(LISTS, poll_price=price), list[str]()
    for _ in range(4):
        seen += [job_id for job_id in job_ids(await claim(store, limits=limits)) if job_id.startswith("poll")]
        await refill(redis)

    assert len(seen) == 4


async def test_a_list_is_charged_once_and_each_look_beside_it_too(store: Store, redis: Redis) -> None:
    """Over many claims no more is called than was charged: what a list did not show is charged when it is looked at."""
    await polls(store, 20)
    claims = await claim(store, limits=LISTS)
    before = await tokens(redis)
    looked = [commit(one, "wait", due=LATER, matters=LATER, calls=1) for one in claims.claims[:3]]
    for one in looked:
        await store.commit(one)

    assert await tokens(redis) == pytest.approx(before - 3)
