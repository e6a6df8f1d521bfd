"""Pauses of batches that meet other holds, other pauses and failures."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from support.batches import Stage, cancel, cancels
from support.commands import LIMITS, claim, commit
from support.stepped_redis import SteppedRedis

from worker.domain.cancellation import OperatorHold
from worker.protocol.batches import BatchState
from worker.store.store import Store
from worker.store.transitions import Claim


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(SteppedRedis(connection_pool=redis.connection_pool))


@pytest.fixture
def store(stage: Stage) -> Store:
    return stage.store


async def hold_of(store: Store, command_id: str) -> OperatorHold | None:
    return (await store.get(await store.resolve(command_id))).record.cancellation.spec.hold


async def names(stage: Stage) -> list[str]:
    return [event.name for event in await stage.events("b")]


async def end_pass(stage: Stage, store: Store, one: Claim) -> None:
    """End the pass in which a call was made, and let the feeder notice that."""
    await store.commit(commit(one, "wait", due=one.record.cancellation.accepted_at, matters=None))
    stage.pass_time(0.1)
    await stage.feed()


async def pause_over_a_hold_that_ends(stage: Stage, seconds: float) -> None:
    """Hold one of two open members for `seconds`, then pause the batch with a hold until after that."""
    await stage.send(cancels(2))
    await stage.feed()
    await stage.store.act("hold", await stage.store.resolve("b:1"), "eve", "auditors", more={"for": seconds * 1000})
    await stage.order("pause", hold=True)
    await stage.feed()
    stage.pass_time(100)
    await claim(stage.store)


async def test_a_hold_that_ends_by_itself_lasts_as_long_as_the_pause_that_finds_it(stage: Stage, store: Store) -> None:
    await pause_over_a_hold_that_ends(stage, 60)

    assert await hold_of(store, "b:1") is not None
    assert "released" not in [event.name for event in await stage.events()]


async def test_a_hold_whose_time_is_over_during_a_pause_ends_with_that(stage: Stage, store: Store) -> None:
    await pause_over_a_hold_that_ends(stage, 60)
    await stage.order("resume")
    await stage.feed()

    assert await hold_of(store, "b:1") is None


async def test_a_hold_whose_time_is_not_over_outlasts_a_pause(stage: Stage, store: Store) -> None:
    await pause_over_a_hold_that_ends(stage, 200)
    await stage.order("resume")
    await stage.feed()
    assert await hold_of(store, "b:1") is not None
    stage.pass_time(101)
    await claim(store)

    assert await hold_of(store, "b:1") is None


async def test_a_hold_for_a_time_that_replaces_a_pause_lasts_as_long_as_that(stage: Stage, store: Store) -> None:
    await stage.send(cancels(1))
    await stage.feed()
    await stage.order("pause", hold=True)
    await stage.feed()
    await store.act("hold", await store.resolve("b:0"), "eve", "auditors", more={"for": 60_000})
    stage.pass_time(100)
    await claim(store)
    assert await hold_of(store, "b:0") is not None
    await stage.order("resume")
    await stage.feed()

    assert await hold_of(store, "b:0") is None


async def test_a_job_of_two_held_batches_is_held_until_both_are_resumed(stage: Stage, store: Store) -> None:
    for name in "ab":
        await stage.send([cancel(1)], name)
    await stage.feed()
    for name in "ab":
        await stage.order("pause", name, hold=True)
        await stage.feed()
    await stage.order("resume", "a")
    await stage.feed()
    assert await hold_of(store, "a:0") is not None
    await stage.order("resume", "b")
    await stage.feed()

    assert await hold_of(store, "a:0") is None


async def test_a_plain_pause_does_not_announce_a_hold_that_does_not_hold_yet(stage: Stage, store: Store) -> None:
    await stage.send(cancels(3))
    await stage.feed()
    one = (await claim(store, limits=LIMITS)).claims[0]
    assert await store.commit(commit(one, "intent")) == 1
    await stage.order("pause", hold=True)
    await stage.order("pause")
    await stage.feed()
    assert "paused" not in await names(stage)
    await end_pass(stage, store, one)

    assert (await names(stage)).count("paused") == 1
    assert (await stage.status()).held


async def test_a_pause_that_holds_waits_for_the_call_of_a_member_that_is_aborted(stage: Stage, store: Store) -> None:
    await stage.send(cancels(2))
    await stage.feed()
    one = (await claim(store, limits=replace(LIMITS, slots=1))).claims[0]
    assert await store.commit(commit(one, "intent")) == 1
    await store.act("abort", one.record.cancellation.id, "eve", "wrong job")
    await stage.order("pause", hold=True)
    await stage.feed()
    assert "paused" not in await names(stage)
    await end_pass(stage, store, one)

    assert (await names(stage)).count("paused") == 1


async def test_a_batch_that_ends_during_a_pause_does_not_name_it_as_the_reason(stage: Stage) -> None:
    await stage.send(cancels(3))
    await stage.feed()
    await stage.order("pause", hold=True)
    await stage.feed()
    await stage.end()

    status = await stage.status()
    assert (status.state, status.by, status.reason, status.hold) == (BatchState.FINISHED, "", "", False)
    assert "by" not in (await stage.events("b"))[-1].data


async def test_an_abort_goes_on_behind_a_record_that_can_not_be_read(stage: Stage, store: Store, redis: Redis) -> None:
    await stage.send(cancels(3))
    await stage.feed()
    await redis.set(f"{{canceller}}:hot:{await store.resolve('b:1')}", b"no record\n")
    await stage.order("abort")
    await stage.feed()

    for command_id in ("b:0", "b:2"):
        record = (await store.get(await store.resolve(command_id))).record
        assert record.cancellation.spec.withdrawal == {"by": "ann", "reason": "because"}


async def test_a_canary_that_fails_during_a_pause_pauses_the_batch_again_on_resume(stage: Stage) -> None:
    await stage.send(cancels(5), canary=1)
    await stage.feed()
    await stage.order("pause")
    await stage.end(1, "refused")
    await stage.order("resume")

    status = await stage.status()
    assert (status.state, status.by) == (BatchState.PAUSED, "canceller")
    assert status.reason == "canary: member 0 ended as refused; the rest has not started"
    await stage.order("resume")
    stage.pass_time(0.1)
    await stage.feed()
    assert await stage.counts() == {"open": 4, "refused": 1}


async def test_exactly_the_share_of_failures_that_is_allowed_does_not_pause(stage: Stage) -> None:
    await stage.send(cancels(200), stop_at="29%", max_open=150)
    await stage.feed()
    await stage.end(71)
    await stage.end(29, "refused")

    assert (await stage.status()).state is BatchState.RUNNING
