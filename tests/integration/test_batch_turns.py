"""Batches over several backends: a backend that is slow or down holds up only its own members."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis
from support.batches import Stage, cancel
from support.stepped_redis import SteppedRedis


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(SteppedRedis(connection_pool=redis.connection_pool))


def mixed(count: int) -> list[dict[str, object]]:
    return [cancel(index, backend=("ess", "oml")[index % 2]) for index in range(count)]


@pytest.mark.parametrize(("in_flight", "max_open"), [(25, 1000), (1000, 60)], ids=["no-room", "its-share-is-open"])
async def test_a_backend_that_stops_nothing_holds_up_its_own_members_alone(
    stage: Stage, in_flight: int, max_open: int
) -> None:
    await stage.send(mixed(1000), max_open=max_open)
    for _ in range(30):
        await stage.feed(stage.feeder(ess=in_flight, oml=in_flight))
        await stage.end(50, backend="oml")
        stage.pass_time(0.6)
    stuck = await stage.counts()
    assert stuck == {"cancelled": 500, "open": stuck["open"], "waiting": 500 - stuck["open"]}
    assert 30 <= stuck["open"] <= 60

    for _ in range(30):
        await stage.feed(stage.feeder(ess=in_flight, oml=in_flight))
        await stage.end(50, backend="ess")
        stage.pass_time(0.6)
    assert await stage.counts() == {"cancelled": 1000}
    assert [one.outcome for one in await stage.report()] == ["cancelled"] * 1000
    sent = [
        event.data["job_id"] for event in await stage.events() if event.name == "accepted" and event.backend == "ess"
    ]
    assert sent == [str(index) for index in range(0, 1000, 2)]


async def test_members_that_others_went_before_are_aborted_with_the_rest(stage: Stage, redis: Redis) -> None:
    await stage.send(mixed(400), max_open=100)
    for _ in range(5):
        await stage.feed()
        await stage.end(backend="oml")
        stage.pass_time(0.6)
    await stage.order("abort")
    before = await stage.counts()
    await stage.feed()
    await stage.end(outcome="aborted")

    report = await stage.report()
    assert (before["open"], before.get("waiting", 0)) == (50, 0)
    assert [one.outcome for one in report[:100:2]] == ["aborted"] * 50
    assert {one.outcome for one in report[100::2]} == {"aborted"}
    assert [one.outcome for one in report].count("cancelled") == before["cancelled"]
    assert not [key async for key in redis.scan_iter("{canceller}:batchpassed:*")]


async def test_the_canary_is_made_of_the_first_members_also_if_their_backend_is_full(stage: Stage) -> None:
    await stage.send(mixed(40), canary=10, max_open=4)
    for _ in range(5):
        await stage.feed()
        await stage.end(backend="oml")
        stage.pass_time(0.6)

    accepted = [event.command_ids for event in await stage.events() if event.name == "accepted"]
    assert accepted == [[f"b:{index}"] for index in range(len(accepted))]
    assert len(accepted) < 10
