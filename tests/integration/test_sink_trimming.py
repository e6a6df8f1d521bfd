"""Events are deleted soon after their retention, except, up to `keep_at_most`, those that a sink still needs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from support.webhooks import STREAM, body, emit, found, pumping, receiving, until

from worker.store.dead_letters import DeadLetters
from worker.store.retention import Retention
from worker.store.sink_state import Lease, Note, Owed
from worker.store.store import Store

HOUR = 3600
KEPT = Retention(events=HOUR)


@pytest.fixture
def store(redis: Redis) -> Store:
    return Store(redis, "canceller", KEPT, sinks=["s"])


async def written(redis: Redis, store: Store, *hours_ago: float) -> list[str]:
    """Append events that were written so many hours ago; return their ids in the stream."""
    (now, *_) = await store.times()
    ids = [f"{int((now - timedelta(hours=hours)).timestamp() * 1000)}-{index}" for index, hours in enumerate(hours_ago)]
    for index, id_ in enumerate(ids):
        await redis.xadd(STREAM, {"event": body(f"c{index}", 1)}, id=id_)
    return ids


async def left(redis: Redis) -> list[str]:
    return [id_.decode() for id_, _ in await redis.xrange(STREAM)]


async def trim(store: Store) -> None:
    now = (await store.times())[0]
    await store.trim(now, await store.sinks.needed_since(now))


async def sink_at(store: Store, position: str, owed: Sequence[str] = (), keep: float = 30 * 24 * HOUR) -> Lease:
    """Set up a sink `s` at a position, to which some events are still owed."""
    _, lease = await store.sinks.claim("s", "w1", 4.0, "webhook", keep)
    assert lease is not None
    oldest = owed[0] if owed else ""
    await store.sinks.note(lease, Note(position, oldest, {one: Owed(1, 0, 0, one) for one in owed}), 4.0)
    return lease


async def test_old_events_are_deleted_one_by_one(store: Store, redis: Redis) -> None:
    ids = await written(redis, store, *[2.0] * 150, 0.5)
    await trim(store)

    assert await left(redis) == ids[-1:]


async def test_however_many_are_old_all_are_deleted(store: Store, redis: Redis) -> None:
    pipe = redis.pipeline(transaction=False)
    for number in range(1, 25_001):
        pipe.xadd(STREAM, {"e": "1"}, id=f"{number}-0")
    await pipe.execute()
    await trim(store)

    assert await left(redis) == []


async def test_what_a_sink_has_not_read_stays(store: Store, redis: Redis) -> None:
    ids = await written(redis, store, 5, 4, 3, 2)
    await sink_at(store, ids[1])
    await trim(store)

    assert await left(redis) == ids[2:]


async def test_what_a_sink_has_read_keeps_nothing(store: Store, redis: Redis) -> None:
    ids = await written(redis, store, 5, 4, 3)
    await sink_at(store, ids[-1])
    await trim(store)

    assert await left(redis) == []


async def test_what_is_owed_to_a_sink_stays(store: Store, redis: Redis) -> None:
    ids = await written(redis, store, 5, 4, 3)
    await sink_at(store, ids[-1], owed=[ids[1]])
    await trim(store)

    assert await left(redis) == ids[1:]


async def test_nothing_stays_longer_than_it_is_kept_at_most(store: Store, redis: Redis) -> None:
    ids = await written(redis, store, 50, 40, 10, 2)
    await sink_at(store, "0-0", owed=[ids[0]], keep=24 * HOUR)
    await trim(store)

    assert await left(redis) == ids[2:]


async def test_a_sink_that_is_in_no_file_keeps_nothing_after_a_day(redis: Redis) -> None:
    removed = Store(redis, "canceller", KEPT)
    ids = await written(redis, removed, 5, 2)
    await sink_at(removed, "0-0")
    await trim(removed)
    assert await left(redis) == ids
    await redis.hset("{canceller}:sink:s", "seen", 1)  # type: ignore[misc]
    await trim(removed)

    assert await left(redis) == []


async def test_a_sink_in_this_file_keeps_its_events_however_long_all_workers_were_down(
    store: Store, redis: Redis
) -> None:
    ids = await written(redis, store, 5, 2)
    await sink_at(store, "0-0")
    await redis.hset("{canceller}:sink:s", "seen", 1)  # type: ignore[misc]
    await trim(store)

    assert await left(redis) == ids


async def test_what_was_kept_for_long_enough_becomes_one_dead_letter_that_counts_it(store: Store, redis: Redis) -> None:
    ids = await written(redis, store, 50, 40, 30, 2)
    lease = await sink_at(store, "0-0")
    await store.sinks.note(lease, Note("0-0"), 0)
    async with receiving() as receiver, pumping(store, receiver, keep_at_most=24 * HOUR):
        await until(lambda: bool(receiver.taken))
    (letter,) = [one async for one in DeadLetters(redis, "canceller").list()]

    assert receiver.ids == ["c3-1"]
    assert json.loads(letter.raw) == {"lost": 3, "first": ids[0], "last": ids[2]}
    assert "3 events" in letter.reason


async def test_what_is_lost_is_passed_though_the_next_event_has_not_arrived(store: Store, redis: Redis) -> None:
    ids = await written(redis, store, 50, 40, 2)
    lease = await sink_at(store, "0-0")
    await store.sinks.note(lease, Note("0-0"), 0)
    goes_on = asyncio.Event()

    async def answer(_event: dict[str, Any], _count: int) -> int:
        await goes_on.wait()
        return 204

    async def passed() -> bool:
        (one,) = await store.sinks.states()
        return one.position == ids[1]

    async with receiving(answer) as receiver, pumping(store, receiver, keep_at_most=24 * HOUR):
        assert await found(passed)
        goes_on.set()


async def test_what_was_owed_for_long_enough_becomes_a_dead_letter(store: Store, redis: Redis) -> None:
    ids = await written(redis, store, 50, 2)
    lease = await sink_at(store, ids[-1], owed=[ids[0]])
    due_later = {ids[0]: Owed(3, 1 << 50, 0, "c0")}
    await store.sinks.note(lease, Note(ids[-1], ids[0], due_later), 0)
    letters = DeadLetters(redis, "canceller")
    async with receiving() as receiver, pumping(store, receiver, keep_at_most=24 * HOUR):
        (letter,) = await found(lambda: _listed(letters))
        await emit(redis, "c9", 1)
        await until(lambda: receiver.ids == ["c9-1"])

    assert (letter.command_id, letter.reason) == ("c0-1", "sink s: not delivered within 1 day")
    assert await store.sinks.owed("s") == {}


async def _listed(letters: DeadLetters) -> list[object]:
    return [one async for one in letters.list()]
