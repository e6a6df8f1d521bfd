"""Events arrive at a webhook's receiver, in order for each cancellation, whatever happens on the way."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise
from time import monotonic
from typing import Any

import pytest
from aiohttp import web
from redis.asyncio import Redis
from support.webhooks import body, crash, emit, found, pumping, receiving, sink, until

from worker.sinks.event import Filter
from worker.sinks.pump import CLAIM_EVERY
from worker.sinks.webhook import Webhook
from worker.store.dead_letters import DeadLetter, DeadLetters
from worker.store.sink_state import Note, SinkState
from worker.store.store import Store

FAST = 100.0
"""How much faster the clock of the deliveries is: a wait of a second takes 10 ms."""
LONGEST_PAUSE = 1.2
"""The most multiples of `CLAIM_EVERY` after which a worker tries again for a lease that it does not have."""


@pytest.fixture
def letters(redis: Redis) -> DeadLetters:
    return DeadLetters(redis, "canceller")


async def state(store: Store) -> SinkState:
    (one,) = await store.sinks.states()
    return one


async def dead(letters: DeadLetters, count: int) -> list[DeadLetter]:
    """Wait for so many dead letters."""

    async def look() -> list[DeadLetter]:
        listed = [letter async for letter in letters.list()]
        return listed if len(listed) >= count else []

    return await found(look)


async def settled(store: Store) -> None:
    """Wait until nothing is left to deliver."""

    async def look() -> bool:
        one = await state(store)
        return not (one.owed or one.lag or one.replays)

    await found(look)


async def test_an_event_arrives_as_it_was_written_and_within_a_second(store: Store, redis: Redis) -> None:
    async with receiving() as receiver, pumping(store, receiver):
        await emit(redis, "c", 1, data={"reason": "ünd"})
        await until(lambda: bool(receiver.taken))

    assert receiver.taken == [{**receiver.taken[0], "id": "c-1", "data": {"reason": "ünd"}}]
    assert receiver.requests[0].headers["Content-Type"] == "application/cloudevents+json"


async def test_a_new_sink_starts_now(store: Store, redis: Redis) -> None:
    await emit(redis, "before", 1)
    async with receiving() as receiver, pumping(store, receiver):
        await emit(redis, "after", 1)
        await until(lambda: bool(receiver.taken))

    assert receiver.ids == ["after-1"]


async def test_a_sink_goes_on_where_it_was(store: Store, redis: Redis) -> None:
    async with receiving() as receiver:
        async with pumping(store, receiver):
            await emit(redis, "c", 1)
            await until(lambda: bool(receiver.taken))
        await emit(redis, "c", 2)
        async with pumping(store, receiver, worker="w2"):
            await until(lambda: len(receiver.taken) == 2)

    assert [one["id"] for one in receiver.taken] == ["c-1", "c-2"]


async def test_only_what_the_filter_wants_or_a_command_has_named_arrives(store: Store, redis: Redis) -> None:
    async with receiving() as receiver:
        one = sink(Webhook(receiver.url, [receiver.secret]), filter_=Filter("s", backends=frozenset({"mrs"})))  # type: ignore[list-item]
        async with pumping(store, one):
            await emit(redis, "filtered", 1)
            await emit(redis, "named", 1, data={"reply_to": ["s"]})
            await emit(redis, "wanted", 1, backend="mrs")
            await until(lambda: len(receiver.taken) == 2)
            await settled(store)

    assert receiver.ids == ["named-1", "wanted-1"]


async def test_all_arrive_in_order_though_a_third_of_the_tries_fails(store: Store, redis: Redis) -> None:
    chance = random.Random(7)  # noqa: S311 - the same tries fail each time

    def flaky(_event: dict[str, Any], _count: int) -> int:
        return 503 if chance.random() < 0.3 else 200

    async with receiving(flaky) as receiver, pumping(store, receiver, speed=FAST):
        for number in range(1, 4):
            for cancellation in range(100):
                await emit(redis, f"c{cancellation}", number)
        await until(lambda: len(receiver.ids) == 300)
        await settled(store)

    receiver.ordered()


async def test_all_arrive_after_a_receiver_was_down(store: Store, redis: Redis, letters: DeadLetters) -> None:
    up = asyncio.Event()

    def answer(_event: dict[str, Any], _count: int) -> int:
        return 200 if up.is_set() else 500

    async with receiving(answer) as receiver, pumping(store, receiver, speed=FAST):
        for cancellation in range(100):
            await emit(redis, f"c{cancellation}", 1, 2)
        await until(lambda: len(receiver.tries) >= 30)
        up.set()
        await until(lambda: len(receiver.ids) == 200)

    receiver.ordered()
    assert [letter async for letter in letters.list()] == []


async def test_a_receiver_that_is_down_is_tried_about_once_a_second(store: Store, redis: Redis) -> None:
    async with receiving(lambda _event, _count: 500) as receiver, pumping(store, receiver):
        for cancellation in range(100):
            await emit(redis, f"c{cancellation}", 1)

        def seldom() -> bool:
            times = [at for _, at in receiver.tries[-3:]]
            return len(times) == 3 and all(later - sooner >= 0.9 for sooner, later in pairwise(times))

        await until(seldom)  # if each had its own waits, a hundred subjects would leave no such gaps


async def test_a_failing_subject_becomes_dead_letters_and_delays_no_other(
    store: Store, redis: Redis, letters: DeadLetters
) -> None:
    def answer(event: dict[str, Any], _count: int) -> int:
        return 500 if event["cancellationid"] == "bad" else 200

    async with receiving(answer) as receiver, pumping(store, receiver, speed=FAST, max_tries=4):
        await emit(redis, "bad", 1, 2)
        for cancellation in range(50):
            await emit(redis, f"c{cancellation}", 1)
        await until(lambda: len(receiver.ids) == 50)
        two = await dead(letters, 2)
        await settled(store)

    assert [(letter.sink, letter.command_id) for letter in two] == [("s", "bad-1"), ("s", "bad-2")]
    assert two[0].reason == "sink s: 4 tries failed; last error: it answered 500"
    assert two[0].raw == body("bad", 1).decode()
    assert len(receiver.tried("bad-1")) == 4


@pytest.mark.parametrize("status", [401, 403, 404, 410, 422])
async def test_a_refusal_is_believed_once_it_lasts(
    store: Store, redis: Redis, letters: DeadLetters, status: int
) -> None:
    async with receiving(lambda _event, _count: status) as receiver, pumping(store, receiver, speed=FAST):
        before = monotonic()
        await emit(redis, "c", 1)
        (letter,) = await dead(letters, 1)
        after = monotonic()

    assert letter.reason.endswith(f"last error: it answered {status}")
    assert 3 <= len(receiver.tries) < 20
    assert 120 / FAST <= after - before


@pytest.mark.parametrize("status", [302, 400, 429, 500, 503])
async def test_any_other_answer_is_tried_again(store: Store, redis: Redis, status: int) -> None:
    def answer(_event: dict[str, Any], count: int) -> web.Response:
        return web.Response(status=status if count < 10 else 200, headers={"Location": "/elsewhere"})

    async with receiving(answer) as receiver, pumping(store, receiver, speed=1000):
        await emit(redis, "c", 1)
        await until(lambda: bool(receiver.taken))

    assert {request.path for request in receiver.requests} == {"/hooks"}


async def test_the_next_try_is_no_sooner_than_the_receiver_asks(store: Store, redis: Redis) -> None:
    def answer(_event: dict[str, Any], count: int) -> web.Response:
        return web.Response(status=429 if count == 1 else 200, headers={"Retry-After": "200"})

    async with receiving(answer) as receiver, pumping(store, receiver, speed=FAST):
        await emit(redis, "c", 1)
        await until(lambda: bool(receiver.taken))
    first, second = receiver.tried("c-1")

    assert second - first >= 200 / FAST


async def test_what_is_owed_outlives_the_worker(store: Store, redis: Redis) -> None:
    async with receiving(lambda event, _count: 500 if event["cancellationid"] == "bad" else 200) as receiver:
        async with pumping(store, receiver):
            await emit(redis, "bad", 1, 2)
            await emit(redis, "good", 1)
            await until(lambda: receiver.ids == ["good-1"] and bool(receiver.tried("bad-1")))
        owed = await store.sinks.owed("s")
        receiver.answer = lambda _event, _count: 200
        async with pumping(store, receiver, worker="w2"):
            await until(lambda: len(receiver.taken) == 3)
            await settled(store)

    assert sorted(one.tries for one in owed.values()) == [0, len(receiver.tried("bad-1")) - 1]
    receiver.ordered()


async def test_a_killed_workers_sink_is_taken_over_within_six_seconds(store: Store, redis: Redis) -> None:
    async with receiving() as receiver, pumping(store, receiver) as first, pumping(store, receiver, worker="w2"):
        await emit(redis, "c", 1)
        await until(lambda: len(receiver.taken) == 1)
        await crash(first)
        (now,), ends = await store.times(), await redis.hget("{canceller}:sink:s", "until")  # type: ignore[misc]
        await emit(redis, "c", 2)
        await until(lambda: receiver.ids == ["c-1", "c-2"])

        assert float(ends or "nan") / 1000 - now.timestamp() + LONGEST_PAUSE * CLAIM_EVERY <= 6
        assert (await state(store)).worker == "w2"


async def test_a_worker_that_stops_gives_its_sinks_back_at_once(store: Store, redis: Redis) -> None:
    async with receiving() as receiver, pumping(store, receiver, worker="w2") as first:
        await first.stop(1.0)
        assert (await state(store)).worker == ""
        await emit(redis, "c", 1)
        async with pumping(store, receiver, worker="w3"):
            await until(lambda: bool(receiver.taken))


async def test_only_one_worker_delivers(store: Store, redis: Redis) -> None:
    async with receiving() as receiver, pumping(store, receiver), pumping(store, receiver, worker="w2"):
        for cancellation in range(100):
            await emit(redis, f"c{cancellation}", 1)
        await until(lambda: len(receiver.ids) == 100)

    assert len(receiver.tries) == 100


async def test_a_worker_whose_lease_is_anothers_writes_nothing(store: Store, redis: Redis) -> None:
    _, old = await store.sinks.claim("s", "w1", 0.0, "webhook", 60)
    _, new = await store.sinks.claim("s", "w2", 4.0, "webhook", 60)
    assert old is not None
    assert new is not None
    before = await redis.hgetall("{canceller}:sink:s")  # type: ignore[misc]
    _, held = await store.sinks.note(old, Note(position="7-0"), 4.0)

    assert not held
    assert not await store.sinks.give_up(old, "no", b"{}", "c-1", entry="7-0")
    assert await redis.hgetall("{canceller}:sink:s") == before  # type: ignore[misc]


async def test_a_dead_letter_is_delivered_again_under_its_old_id(
    store: Store, redis: Redis, letters: DeadLetters
) -> None:
    async with receiving(lambda _event, _count: 500) as receiver, pumping(store, receiver, max_tries=1):
        await emit(redis, "c", 1)
        (letter,) = await dead(letters, 1)
        await redis.delete("{canceller}:events")
        receiver.answer = lambda _event, _count: 200
        await letters.deliver_again(letter)
        await until(lambda: bool(receiver.taken))
        await settled(store)

    assert receiver.taken == [{**receiver.taken[0], "id": "c-1"}]
    assert await redis.xlen("{canceller}:again:s") == 0


async def test_a_replay_that_fails_becomes_a_dead_letter_again(
    store: Store, redis: Redis, letters: DeadLetters
) -> None:
    async with receiving(lambda _event, _count: 500) as receiver, pumping(store, receiver, max_tries=1):
        await emit(redis, "c", 1)
        (letter,) = await dead(letters, 1)
        await letters.deliver_again(letter)
        two = await dead(letters, 2)
        await settled(store)

    assert [one.command_id for one in two] == ["c-1", "c-1"]


async def test_a_state_says_what_went_wrong_last(store: Store, redis: Redis) -> None:
    async with receiving(lambda _event, _count: 500) as receiver, pumping(store, receiver):
        await emit(redis, "c", 1)
        await until(lambda: bool(receiver.tries))

        async def look() -> SinkState | None:
            one = await state(store)
            return one if one.error else None

        one = await found(look)

    assert one is not None
    assert (one.error, one.owed, one.worker) == ("it answered 500", 1, "w1")


async def test_the_lag_is_the_age_of_the_oldest_event_that_has_not_arrived(store: Store, redis: Redis) -> None:
    def answer(event: dict[str, Any], _count: int) -> int:
        return 500 if event["subject"] == "bad" else 200

    async def all_arrived() -> bool:
        return await store.sinks.lags() == {"s": 0.0}

    async def look() -> bool:
        return (await state(store)).owed == 1 and (await store.sinks.lags())["s"] >= 0.2

    async with receiving(answer) as receiver, pumping(store, receiver):
        await emit(redis, "good", 1)
        await settled(store)
        assert await found(all_arrived)
        await emit(redis, "bad", 1)
        assert await found(look)
