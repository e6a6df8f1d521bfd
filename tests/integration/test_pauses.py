"""A paused backend, a rate, a newer version, a broker that can't be rung: nothing is forgotten."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from support.commands import LATER, LIMITS, claim, claim_one, command, commit

from worker.domain.errors import StoreUnavailable
from worker.store.store import Store
from worker.store.transitions import Limits


async def pause(store: Store, milliseconds: int) -> None:
    """Let the backend fail once, which pauses it for this time."""
    one = await claim_one(store)
    await store.commit(commit(one, "wait", due=LATER, matters=LATER, verdict=f"bad:1:{milliseconds}", calls=1))


async def test_all_that_was_parked_comes_back(store: Store) -> None:
    await store.accept(command("first", "c-first"))
    await pause(store, 60_000)
    await store.accept_all([command(str(index), f"c-{index}") for index in range(130)])
    for _ in range(2):
        assert (await claim(store)).paused
    await store._redis.hset("{canceller}:breaker:ess", mapping={"until": 0, "open": 0})  # type: ignore[misc]
    taken = 0
    for _ in range(3):
        claims = await claim(store, limits=replace(LIMITS, slots=500, max_in_flight=500))
        taken += len(claims.claims)

    assert taken == 130


async def test_a_claim_says_that_more_is_parked(store: Store) -> None:
    await store.accept(command("first", "c-first"))
    await pause(store, 60_000)
    await store.accept_all([command(str(index), f"c-{index}") for index in range(60)])
    await claim(store)
    await store._redis.hset("{canceller}:breaker:ess", mapping={"until": 0, "open": 0})  # type: ignore[misc]
    claims = await claim(store)

    assert len(claims.claims) == 50
    assert claims.next_due == claims.now
    now, due = await store.beat("w1", 5.0, ["ess"])
    assert due == [now]


async def test_interactive_records_come_back_first(store: Store) -> None:
    await store.accept(command("first", "c-first"))
    await pause(store, 60_000)
    await store.accept_all([command(str(index), f"c-{index}", lane="batch") for index in range(80)])
    await claim(store)
    await store.accept(command("urgent", "c-urgent"))
    await claim(store)
    await store._redis.hset("{canceller}:breaker:ess", mapping={"until": 0, "open": 0})  # type: ignore[misc]
    claims = await claim(store, limits=replace(LIMITS, slots=1))

    assert [one.record.cancellation.job_id for one in claims.claims] == ["urgent"]


async def test_every_call_counts_against_the_rate(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}") for index in range(3)])
    rated = replace(LIMITS, rate=0.1)
    (one,) = (await claim(store, limits=rated)).claims
    await store.commit(commit(one, "wait", due=LATER, matters=LATER, calls=4))
    after = await claim(store, limits=rated)

    assert not after.claims
    assert after.next_due is not None
    assert (after.next_due - after.now).total_seconds() >= 35


async def test_the_batch_lane_leaves_slots_free_in_each_worker(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}", lane="batch") for index in range(20)])
    limits = Limits(8, 40.0, 100, 0.0, 75, own_batch_slots=6)

    assert len((await claim(store, limits=limits)).claims) == 6


async def newer(redis: Redis, cancellation_id: str) -> None:
    """Turn a record into one of a newer version."""
    key = f"{{canceller}}:hot:{cancellation_id}"
    hot = await redis.get(key)
    await redis.set(key, hot.replace(b'"f":1', b'"f":9'))


async def due(redis: Redis) -> int:
    """Return how many records are scheduled."""
    return sum([await redis.zcard(f"{{canceller}}:due:ess:{class_}") for class_ in ("ip", "if", "bp", "bf")])


async def test_a_newer_record_stays_due_when_its_lease_ends(store: Store, redis: Redis) -> None:
    accepted = await store.accept(command())
    await claim(store, limits=replace(LIMITS, lease=0.0))
    await newer(redis, accepted.cancellation_id)
    await claim(store, "w2")

    assert await due(redis) == 1


async def test_a_newer_record_stays_due_while_the_backend_is_paused(store: Store, redis: Redis) -> None:
    await store.accept(command("first", "c-first"))
    await pause(store, 60_000)
    accepted = await store.accept(command())
    await newer(redis, accepted.cancellation_id)
    await claim(store)

    assert await due(redis) == 2


async def test_a_join_of_a_newer_record_is_left_to_newer_workers(store: Store, redis: Redis) -> None:
    accepted = await store.accept(command())
    await newer(redis, accepted.cancellation_id)
    second = await store.accept(command(command_id="c-2"))

    assert (second.verdict, second.cancellation_id) == ("newer", accepted.cancellation_id)


async def test_a_script_that_rejects_its_arguments_is_no_outage(store: Store) -> None:
    with pytest.raises(Exception, match="script") as raised:
        await store._run(store._scripts.accept, 8, "this is no JSON")

    assert not isinstance(raised.value, StoreUnavailable)
