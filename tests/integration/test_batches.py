"""Batches in Redis: parts come in, members start once each, ends are counted."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis
from support.batches import Stage, cancel, cancels, check_sums
from support.stepped_redis import SteppedRedis

from worker.domain.errors import InvalidCommand, UnknownBatch
from worker.protocol.batches import BatchState
from worker.store.store import Store


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(SteppedRedis(connection_pool=redis.connection_pool))


@pytest.fixture
def store(stage: Stage) -> Store:
    return stage.store


async def test_every_member_starts_once_and_is_in_the_report(stage: Stage) -> None:
    await stage.send(cancels(120))
    await stage.feed()
    await stage.end()

    report = await stage.report()
    assert [(one.index, one.job_id, one.outcome) for one in report] == [
        (index, str(index), "cancelled") for index in range(120)
    ]
    accepted = [event for event in await stage.events() if event.name == "accepted"]
    assert [event.command_ids for event in accepted] == [[f"b:{index}"] for index in range(120)]
    assert {event.data["batch_id"] for event in accepted} == {"b"}


async def test_a_batch_ends_with_a_last_progress_and_finished(stage: Stage) -> None:
    await stage.send(cancels(3))
    await stage.feed()
    await stage.end(2)
    await stage.end(1, outcome="refused")

    events = await stage.events("b")
    assert [event.name for event in events] == ["started", "progress", "finished"]
    assert events[-1].data["counts"]["finished"] == {"cancelled": 2, "refused": 1}
    assert (events[-1].source, events[-1].id) == ("/canceller/batches", "b-3")
    assert (await stage.status()).state is BatchState.FINISHED
    check_sums(events)


async def test_progress_is_told_once_a_second_at_most(stage: Stage) -> None:
    await stage.send(cancels(20))
    await stage.feed()
    for _ in range(10):
        await stage.end(1)
    assert [event.name for event in await stage.events("b")] == ["started"]
    stage.pass_time(1.1)
    await stage.end(5)
    await stage.feed()

    events = await stage.events("b")
    assert [event.name for event in events] == ["started", "progress"]
    check_sums(events)


async def test_the_end_of_a_batch_is_told_without_another_progress_within_a_second(stage: Stage) -> None:
    await stage.send(cancels(3))
    await stage.feed()
    stage.pass_time(1.1)
    await stage.end(2)
    await stage.end(1)

    events = await stage.events("b")
    assert [event.name for event in events] == ["started", "progress", "finished"]
    assert [event.data["counts"]["finished"] for event in events[1:]] == [{"cancelled": 1}, {"cancelled": 3}]


async def test_progress_is_told_by_the_feeder_if_nothing_more_ends(stage: Stage) -> None:
    await stage.send(cancels(20))
    await stage.feed()
    await stage.end(1)
    stage.pass_time(1.1)
    await stage.feed()

    assert [event.name for event in await stage.events("b")] == ["started", "progress"]


async def test_a_part_counts_once(stage: Stage) -> None:
    assert await stage.send(cancels(3), parts=2)
    assert not await stage.send(cancels(3), parts=2)

    assert (await stage.status()).counts.selected == 3


@pytest.mark.parametrize(
    ("commands", "parts", "wrong"),
    [(cancels(4), 2, "different content"), (cancels(3), 3, "different content")],
    ids=["other commands", "another number of parts"],
)
async def test_a_repeated_part_with_another_content_is_rejected_and_the_first_stays(
    commands: list[object], parts: int, wrong: str, stage: Stage
) -> None:
    await stage.send(cancels(3), parts=2)

    with pytest.raises(InvalidCommand, match=wrong):
        await stage.send(commands, parts=parts)
    assert (await stage.status()).counts.selected == 3


async def test_a_further_part_with_another_number_of_parts_is_rejected(stage: Stage) -> None:
    await stage.send(cancels(3), parts=2)

    with pytest.raises(InvalidCommand, match="a different number of parts"):
        await stage.send(cancels(3), part=2, parts=3)


async def test_a_batch_starts_once_all_its_parts_are_there_in_any_order(stage: Stage) -> None:
    await stage.send([cancel("c"), cancel("d")], part=2, parts=2)
    await stage.feed()
    assert (await stage.status()).state is BatchState.RECEIVING
    assert await stage.events() == []
    await stage.send([cancel("a"), cancel("b"), cancel("x")], parts=2)
    await stage.feed()
    await stage.end()

    report = await stage.report()
    assert [(one.command_id, one.job_id) for one in report] == [
        ("b:0", "a"), ("b:1", "b"), ("b:2", "x"), ("b:3", "c"), ("b:4", "d")
    ]  # fmt: skip


async def test_a_batch_whose_parts_do_not_come_expires_after_a_day_with_an_event(stage: Stage) -> None:
    await stage.send(cancels(3), parts=2)
    stage.pass_time(86_401)
    await stage.feed()

    assert (await stage.status()).state is BatchState.INCOMPLETE
    assert [event.name for event in await stage.events("b")] == ["progress", "finished"]
    assert (await stage.events("b"))[-1].data["reason"] == "1 of 2 parts arrived within a day"
    with pytest.raises(InvalidCommand, match="has ended"):
        await stage.send(cancels(3), part=2, parts=2)


async def test_at_most_max_open_members_are_open(stage: Stage) -> None:
    await stage.send(cancels(50), max_open=7)
    await stage.feed()
    assert await stage.counts() == {"open": 7, "waiting": 43}
    await stage.end(3)
    stage.pass_time(0.1)
    await stage.feed()

    assert await stage.counts() == {"open": 7, "waiting": 40, "cancelled": 3}


@pytest.mark.parametrize(("rate", "seconds", "least", "most"), [(10, 10, 80, 120), (0.5, 10, 4, 6)], ids=["10", "0.5"])
async def test_a_rate_limits_member_starts_a_second(
    rate: float, seconds: int, least: int, most: int, stage: Stage
) -> None:
    await stage.send(cancels(500), rate=rate)
    feeder = stage.feeder()
    for _ in range(4 * seconds):
        await stage.feed(feeder)
        stage.pass_time(0.25)

    assert least <= (await stage.counts())["open"] <= most


async def test_a_rate_allows_a_seconds_worth_at_once(stage: Stage) -> None:
    await stage.send(cancels(500), rate=20)
    stage.pass_time(60)
    await stage.feed()

    assert (await stage.counts())["open"] == 20


async def test_no_more_first_passes_wait_on_a_backend_than_it_has_room_for(stage: Stage) -> None:
    await stage.send(cancels(500))
    await stage.feed(stage.feeder(ess=40))

    assert (await stage.counts())["open"] == 80


async def test_two_batches_on_one_backend_share_it(stage: Stage) -> None:
    feeder = stage.feeder(ess=25)
    for batch_id in "ab":
        await stage.send([cancel(f"{batch_id}{index}") for index in range(1000)], batch_id)
    for _ in range(20):
        stage.pass_time(0.1)
        await stage.feed(feeder)
        await stage.end(50)

    started = [1000 - (await stage.counts(one))["waiting"] for one in "ab"]
    assert sum(started) >= 1000
    assert min(started) >= 0.7 * max(started)


async def test_two_feeders_with_the_same_members_start_each_once(stage: Stage, redis: Redis) -> None:
    await stage.send(cancels(200))
    feeders = [stage.feeder(f"w{number}") for number in range(3)]

    async def feed_along(feeder: object) -> None:
        for _ in range(12):
            await redis.delete("{canceller}:feeder:b")
            await feeder.round()  # type: ignore[attr-defined]

    await asyncio.gather(*map(feed_along, feeders))
    await stage.feed()

    assert await stage.counts() == {"open": 200}
    assert len(await stage.events()) == 200


async def test_a_batch_of_a_dead_feeder_is_fed_by_another_within_seconds(stage: Stage, redis: Redis) -> None:
    await stage.send(cancels(3))
    await stage.batches.feed("dead")
    await stage.feed()
    assert await stage.counts() == {"waiting": 3}
    assert 0 < await redis.pttl("{canceller}:feeder:b") <= 2000
    await redis.delete("{canceller}:feeder:b")  # as if its lease had run out
    await stage.feed()

    assert await stage.counts() == {"open": 3}


async def test_an_id_may_come_again_once_its_batch_is_past_its_retention(stage: Stage, redis: Redis) -> None:
    feeder = stage.feeder()
    for job_id in ("old", "new"):
        await stage.send([cancel(job_id)])
        await stage.feed(feeder)
        await stage.end()
        assert [one.job_id for one in await stage.report()] == [job_id]
        await redis.delete(*(f"{{canceller}}:{kind}:b" for kind in ("batch", "batchparts", "batchsizes", "batchends")))
        stage.pass_time(30 * 86_400)

    assert {event.subject for event in await stage.events() if event.name == "accepted"} == {"old", "new"}


async def test_a_batch_is_kept_as_long_as_records_are(stage: Stage, redis: Redis) -> None:
    await stage.send(cancels(3))
    await stage.feed()
    await stage.end()

    for kind in ("batch", "batchparts", "batchsizes", "batchends"):
        assert 6 * 86_400 < await redis.ttl(f"{{canceller}}:{kind}:b") <= 7 * 86_400
    assert not await redis.exists("{canceller}:batchopen:b", "{canceller}:feeding")


async def test_members_that_wait_cost_at_most_150_bytes(stage: Stage, redis: Redis) -> None:
    whole = {"reason": "clean-up after the incident", "requested_by": "ann", "expect": {"raw_state": "BLOCKED"}}
    commands = [cancel(300_000 + index, **whole) for index in range(20_000)]
    before = (await redis.info("memory"))["used_memory"]
    for part in range(20):
        await stage.send(commands[1000 * part :][:1000], part=part + 1, parts=20)

    assert (await redis.info("memory"))["used_memory"] - before <= 150 * 20_000


async def test_nothing_starts_while_redis_is_nearly_full(stage: Stage, redis: Redis) -> None:
    await stage.send(cancels(3))
    used = (await redis.info("memory"))["used_memory"]
    await redis.config_set("maxmemory", int(used / 0.95))
    try:
        await stage.feed()
        assert await stage.counts() == {"waiting": 3}
    finally:
        await redis.config_set("maxmemory", 0)
    stage.pass_time(0.1)
    await stage.feed()

    assert await stage.counts() == {"open": 3}


async def test_nothing_starts_beside_an_older_worker(stage: Stage, store: Store, redis: Redis) -> None:
    await store.beat("new", 4.0, ["ess"])
    await redis.zadd("{canceller}:workers", {"old": 4e12})
    await stage.send(cancels(3))
    await stage.feed()
    assert await stage.counts() == {"waiting": 3}
    await redis.zrem("{canceller}:workers", "old")
    stage.pass_time(0.1)
    await stage.feed()

    assert await stage.counts() == {"open": 3}


async def test_the_newest_batches_are_listed_first(stage: Stage) -> None:
    for name in "abc":
        await stage.send(cancels(1), name)
        stage.pass_time(1)

    assert [one.id for one in await stage.batches.list(2)] == ["c", "b"]


async def test_a_batch_that_nobody_knows_is_an_error(stage: Stage) -> None:
    with pytest.raises(UnknownBatch):
        await stage.status()
    with pytest.raises(UnknownBatch):
        await stage.report()


async def test_a_worker_is_woken_by_its_beat_while_there_is_something_to_do(stage: Stage, store: Store) -> None:
    await store.beat("w1", 4.0, ["ess"])
    assert not store.batches_wait
    await stage.send(cancels(1))
    await store.beat("w1", 4.0, ["ess"])
    assert store.batches_wait
    await stage.feed()
    await stage.end()
    await store.beat("w1", 4.0, ["ess"])

    assert not store.batches_wait
