"""Batches that stop, for a canary, too many failures or an operator, and how they go on."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from support.batches import Stage, cancel, cancels, check_sums
from support.commands import LIMITS, claim, commit
from support.stepped_redis import SteppedRedis

from worker.domain.errors import ActionRejected, UnknownBatch
from worker.protocol.batches import BatchState
from worker.store.store import Store


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(SteppedRedis(connection_pool=redis.connection_pool))


@pytest.fixture
def store(stage: Stage) -> Store:
    return stage.store


ONE = replace(LIMITS, slots=1)


async def names(stage: Stage) -> list[str]:
    return [event.name for event in await stage.events("b")]


async def test_a_canary_has_to_end_before_the_rest_starts(stage: Stage) -> None:
    await stage.send(cancels(30), canary=4)
    await stage.feed()
    assert await stage.counts() == {"open": 4, "waiting": 26}
    await stage.end(3)
    await stage.feed()
    assert await stage.counts() == {"open": 1, "waiting": 26, "cancelled": 3}
    await stage.end(1)
    stage.pass_time(0.1)
    await stage.feed()

    assert await stage.counts() == {"open": 26, "cancelled": 4}


@pytest.mark.parametrize("outcome", ["changed", "aborted", "already_finished", "not_found", "completed_anyway"])
async def test_a_canary_passes_with_what_is_no_failure(outcome: str, stage: Stage) -> None:
    await stage.send(cancels(3), canary=1)
    await stage.feed()
    await stage.end(1, outcome)
    stage.pass_time(0.1)
    await stage.feed()

    assert await stage.counts() == {"open": 2, outcome: 1}


@pytest.mark.parametrize("outcome", ["refused", "timed_out"])
async def test_a_canary_with_one_failure_stops_the_rest_and_says_why(outcome: str, stage: Stage) -> None:
    await stage.send(cancels(30), canary=4)
    await stage.feed()
    await stage.end(1, outcome)
    await stage.end(3)
    stage.pass_time(5)
    await stage.feed()

    status = await stage.status()
    assert (status.state, status.by) == (BatchState.PAUSED, "canceller")
    assert re.fullmatch(rf"canary: member [0-3] ended as {outcome}; the rest has not started", status.reason)
    assert await stage.counts() == {"waiting": 26, outcome: 1, "cancelled": 3}
    (paused,) = [event for event in await stage.events("b") if event.name == "paused"]
    assert (paused.data["by"], paused.data["reason"]) == ("canceller", status.reason)


async def test_a_canary_with_a_bad_member_stops_the_rest(stage: Stage) -> None:
    await stage.send([7, *cancels(29)], canary=4)
    await stage.feed()

    assert (await stage.status()).state is BatchState.PAUSED
    assert await stage.counts() == {"waiting": 29, "rejected": 1}


async def test_a_resume_after_a_failed_canary_starts_the_rest(stage: Stage) -> None:
    await stage.send(cancels(30), canary=4)
    await stage.feed()
    await stage.end(1, "refused")
    await stage.order("resume")
    stage.pass_time(0.1)
    await stage.feed()
    await stage.end(1, "refused")

    assert (await stage.status()).state is BatchState.RUNNING
    assert await stage.counts() == {"open": 28, "refused": 2}


async def test_too_many_failures_pause_from_the_twentieth_end_on(stage: Stage) -> None:
    await stage.send(cancels(40), stop_at="10%", max_open=30)
    await stage.feed()
    await stage.end(3, "refused")
    await stage.end(16)
    assert (await stage.status()).state is BatchState.RUNNING
    await stage.end(1)

    status = await stage.status()
    assert (status.state, status.by) == (BatchState.PAUSED, "canceller")
    assert status.reason == "stop_at: 3 of the last 20 ends were failures, more than 10%"
    await stage.end()
    assert (await stage.counts())["waiting"] == 10


async def test_as_many_failures_as_are_allowed_do_not_pause(stage: Stage) -> None:
    await stage.send(cancels(40), stop_at=0.1, max_open=30)
    await stage.feed()
    await stage.end(2, "timed_out")
    await stage.end(18)

    assert (await stage.status()).state is BatchState.RUNNING


async def test_only_the_latest_hundred_ends_count(stage: Stage) -> None:
    await stage.send(cancels(300), stop_at=0.5, max_open=250)
    await stage.feed()
    await stage.end(120)
    await stage.end(50, "refused")
    assert (await stage.status()).state is BatchState.RUNNING
    await stage.end(1, "refused")

    assert (await stage.status()).reason == "stop_at: 51 of the last 100 ends were failures, more than 50%"


async def test_a_resume_forgets_the_failures_before_it(stage: Stage) -> None:
    await stage.send(cancels(60), stop_at="10%", max_open=50)
    await stage.feed()
    await stage.end(20, "refused")
    await stage.order("resume")
    await stage.end(19, "refused")
    assert (await stage.status()).state is BatchState.RUNNING
    await stage.end(1, "refused")

    assert (await stage.status()).state is BatchState.PAUSED


async def test_nothing_starts_while_it_is_paused_and_what_is_open_goes_on(stage: Stage) -> None:
    await stage.send(cancels(50), max_open=10)
    await stage.feed()
    await stage.order("pause")
    await stage.end(4)
    stage.pass_time(5)
    await stage.feed()

    status = await stage.status()
    assert (status.state, status.by, status.reason, status.hold) == (BatchState.PAUSED, "ann", "because", False)
    assert await stage.counts() == {"open": 6, "waiting": 40, "cancelled": 4}


async def test_a_pause_and_a_resume_are_events_with_who_and_why(stage: Stage) -> None:
    await stage.send(cancels(50), max_open=10)
    await stage.feed()
    await stage.order("pause")
    await stage.order("resume")
    stage.pass_time(0.1)
    await stage.end(1)
    await stage.feed()

    assert (await names(stage))[:3] == ["started", "paused", "resumed"]
    for event in (await stage.events("b"))[1:3]:
        assert (event.data["by"], event.data["reason"]) == ("ann", "because")
    assert await stage.counts() == {"open": 10, "waiting": 39, "cancelled": 1}
    check_sums(await stage.events("b"))


async def test_a_paused_batch_in_which_nothing_is_left_ends(stage: Stage) -> None:
    await stage.send(cancels(5))
    await stage.feed()
    await stage.order("pause")
    await stage.end()

    assert (await stage.status()).state is BatchState.FINISHED


async def test_a_pause_with_a_hold_holds_all_that_is_open_and_then_says_so(stage: Stage) -> None:
    await stage.send(cancels(70), max_open=60)
    await stage.feed()
    await stage.order("pause", hold=True)
    assert "paused" not in await names(stage)
    await stage.feed()

    status = await stage.status()
    assert (status.state, status.hold, status.held) == (BatchState.PAUSED, True, True)
    assert [event.data["hold"] for event in await stage.events("b") if event.name == "paused"] == [True]
    held = [event for event in await stage.events() if event.name == "held"]
    assert len(held) == 60
    assert held[0].data["action"] == {"name": "hold", "by": "ann", "reason": "because"}


async def test_a_pause_with_a_hold_waits_for_a_call_in_flight(stage: Stage, store: Store) -> None:
    await stage.send(cancels(3))
    await stage.feed()
    one = (await claim(store, limits=ONE)).claims[0]
    assert await store.commit(commit(one, "intent")) == 1
    await stage.order("pause", hold=True)
    for _ in range(3):
        stage.pass_time(0.1)
        await stage.feed()
    assert not (await stage.status()).held
    await store.commit(commit(one, "wait", due=one.record.cancellation.accepted_at, matters=None))
    stage.pass_time(0.1)
    await stage.feed()

    assert (await stage.status()).held
    assert await store.commit(commit(one, "intent")) == -1


async def test_a_resume_releases_what_the_pause_has_held_and_nothing_else(stage: Stage, store: Store) -> None:
    await stage.send(cancels(30))
    await stage.feed()
    own = await store.resolve("b:7")
    await store.act("hold", own, "eve", "auditors")
    await stage.order("pause", hold=True)
    await stage.feed()
    await stage.order("resume")
    await stage.feed()

    released = [event.data["cancellation_id"] for event in await stage.events() if event.name == "released"]
    assert len(released) == len(set(released)) == 29
    assert own not in released
    hold = (await store.get(own)).record.cancellation.spec.hold
    assert hold is not None
    assert hold.by == "eve"


async def test_an_abort_ends_what_has_not_started_without_a_call(stage: Stage) -> None:
    await stage.send(cancels(50), max_open=10)
    await stage.feed()
    await stage.order("abort")

    assert await stage.counts() == {"open": 10, "aborted": 40}
    report = await stage.report()
    assert [one.outcome for one in report] == [None] * 10 + ["aborted"] * 40
    assert (report[-1].evidence, report[-1].safe_to_rerun) == ("none", False)
    assert len([event for event in await stage.events() if event.name == "accepted"]) == 10


async def test_an_abort_aborts_what_is_open(stage: Stage, store: Store) -> None:
    await stage.send(cancels(70), max_open=60)
    await stage.feed()
    before = (await claim(store, limits=ONE)).claims[0]
    await stage.order("abort")
    await stage.feed()

    assert await store.commit(commit(before, "intent")) == 0
    for index in range(60):
        spec = (await store.get(await store.resolve(f"b:{index}"))).record.cancellation.spec
        assert spec.withdrawal == {"by": "ann", "reason": "because"}
    await stage.end(outcome="aborted")
    assert (await stage.status()).state is BatchState.FINISHED
    assert (await stage.events("b"))[-1].data["by"] == "ann"
    assert await stage.counts() == {"aborted": 70}


async def test_an_abort_of_a_paused_and_held_batch_aborts_it(stage: Stage) -> None:
    await stage.send(cancels(5))
    await stage.feed()
    await stage.order("pause", hold=True)
    await stage.feed()
    await stage.order("abort")
    await stage.feed()
    await stage.end(outcome="aborted")

    assert (await stage.status()).state is BatchState.FINISHED


async def test_an_abort_before_all_parts_are_there_ends_it_at_once(stage: Stage) -> None:
    await stage.send(cancels(5), parts=2)
    await stage.order("abort")

    assert (await stage.status()).state is BatchState.FINISHED
    assert await stage.counts() == {"aborted": 5}
    assert await stage.events() == []


async def test_an_order_that_comes_again_changes_nothing(stage: Stage) -> None:
    await stage.send(cancels(5))
    for _ in range(2):
        await stage.order("pause", message_id="m-1")
    await stage.order("resume", message_id="m-2")
    await stage.order("pause", message_id="m-1")

    assert await names(stage) == ["started", "paused", "resumed"]


ORDERS = {
    "resume of a running one": ("resume", "it is not paused"),
    "pause of an aborted one": ("abort pause", "it is being aborted"),
    "resume of an aborted one": ("abort resume", "it is not paused"),
}


@pytest.mark.parametrize(("orders", "why"), ORDERS.values(), ids=list(ORDERS))
async def test_an_order_that_its_state_does_not_allow_is_rejected(orders: str, why: str, stage: Stage) -> None:
    await stage.send(cancels(5))
    await stage.feed()
    *before, last = orders.split()
    for order in before:
        await stage.order(order)

    with pytest.raises(ActionRejected, match=why):
        await stage.order(last)


async def test_no_order_is_carried_out_on_what_has_ended_has_not_started_or_is_unknown(stage: Stage) -> None:
    with pytest.raises(UnknownBatch):
        await stage.order("pause")
    await stage.send(cancels(1), parts=2)
    with pytest.raises(ActionRejected, match="it has not started"):
        await stage.order("pause")
    await stage.send([cancel(9)], "c")
    await stage.feed()
    await stage.end()
    with pytest.raises(ActionRejected, match="it has ended already"):
        await stage.order("abort", "c")
