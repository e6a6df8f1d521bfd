"""Members of batches: invalid ones, those that join, those that were sent before, dry runs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from redis.asyncio import Redis
from support.batches import Stage, cancel, cancels
from support.commands import INTAKE, claim, command
from support.stepped_redis import SteppedRedis

from worker.domain.errors import CONFLICT, InvalidCommand
from worker.protocol.batches import BatchState
from worker.store.batches import Step
from worker.store.dead_letters import DeadLetters
from worker.store.store import Store


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(SteppedRedis(connection_pool=redis.connection_pool))


@pytest.fixture
def store(stage: Stage) -> Store:
    return stage.store


async def test_members_are_in_the_batch_lane_unless_they_say_otherwise(stage: Stage, redis: Redis) -> None:
    await stage.send([cancel(1), cancel(2, lane="interactive")])
    await stage.feed()

    assert [await redis.zcard(f"{{canceller}}:due:ess:{lane}f") for lane in "bi"] == [1, 1]


async def test_a_bad_member_is_rejected_and_stops_no_other(stage: Stage, redis: Redis) -> None:
    bad = [cancel(1, colour="red"), cancel(2, backend="nowhere"), 7, cancel("..")]
    await stage.send([cancel(0), *bad, cancel(5)])
    await stage.feed()
    await stage.end()

    assert await stage.counts() == {"rejected": 4, "cancelled": 2}
    assert [one.outcome for one in await stage.report()] == ["cancelled", *["rejected"] * 4, "cancelled"]
    assert "colour" in ((await stage.report())[1].error or "")
    rejected = [event for event in await stage.events() if event.name == "rejected"]
    assert [event.data["command_id"] for event in rejected] == ["b:1", "b:2", "b:3", "b:4"]
    assert len([one async for one in DeadLetters(redis, "canceller").list()]) == 4


EXPECTING = [cancel(index, expect={"raw_state": "RUNNING"}) for index in range(2)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, ("RUNNING",)), ({"on_changed": "skip"}, ("RUNNING",)), ({"on_changed": "apply"}, ())],
    ids=["not-said", "skip", "apply"],
)
async def test_a_members_expectation_counts_unless_the_batch_says_otherwise(
    stage: Stage, options: dict[str, str], expected: tuple[str, ...]
) -> None:
    await stage.send(EXPECTING, **options)
    await stage.feed()

    assert [one.record.cancellation.spec.expect for one in (await claim(stage.store)).claims] == [expected] * 2


async def test_all_parts_of_a_batch_are_for_what_its_first_options_say(stage: Stage) -> None:
    await stage.send(EXPECTING, parts=2)
    with pytest.raises(InvalidCommand, match="sent before with different content, and the first one is kept"):
        await stage.send(EXPECTING, parts=2, on_changed="apply")
    await stage.send(EXPECTING[:1], part=2, parts=2)
    await stage.feed()

    found = (await claim(stage.store)).claims
    assert {one.record.cancellation.spec.expect for one in found} == {("RUNNING",)}


DEEP: dict[str, object] = {"command": [7]}
for _ in range(500):
    DEEP = {"command": DEEP}
UNWRITABLE = {
    "the name of a backend": cancel(1, backend="\ud800"),
    "a label's name": cancel(1, labels={"\ud800": "x"}),
    "a field's name": cancel(1, **{"\ud800": "x"}),
    "a command's id": cancel(1, command_id="\ud800"),
    "a command that is nested too deep": DEEP,
}


@pytest.mark.parametrize("bad", UNWRITABLE.values(), ids=list(UNWRITABLE))
async def test_a_member_that_redis_could_not_take_is_rejected_and_stops_no_other(bad: object, stage: Stage) -> None:
    await stage.send([bad, cancel(2)])
    await stage.feed()
    await stage.end()

    assert await stage.counts() == {"rejected": 1, "cancelled": 1}


async def test_a_batch_that_can_not_be_read_stops_no_other(stage: Stage, redis: Redis) -> None:
    for name in "abc":
        await stage.send(cancels(3), name)
    await redis.hset("{canceller}:batchparts:b", "1", b"no commands")
    await stage.feed()
    await stage.end()

    assert [await stage.counts(name) for name in "abc"] == [{"cancelled": 3}, {"waiting": 3}, {"cancelled": 3}]


async def test_a_batch_of_bad_members_alone_ends(stage: Stage) -> None:
    await stage.send([7, 8])
    await stage.feed()

    assert (await stage.status()).state is BatchState.FINISHED
    assert await stage.counts() == {"rejected": 2}


async def test_a_member_whose_job_is_being_cancelled_joins_and_is_counted_when_that_ends(
    stage: Stage, store: Store
) -> None:
    alone = await store.accept(command("1", "alone"))
    await stage.send([cancel(0), cancel(1)])
    await stage.feed()
    assert await stage.counts() == {"open": 2}
    await stage.end()

    assert await stage.counts() == {"cancelled": 2}
    assert (await stage.report())[1].cancellation_id == alone.cancellation_id


async def test_a_cancellation_counts_in_each_of_its_members_however_many(stage: Stage) -> None:
    await stage.send([cancel(1), cancel(1), cancel(1, lane="interactive")], "a")
    await stage.send([cancel(1), cancel(2)], "b")
    await stage.feed()
    await stage.end()

    assert await stage.counts("a") == {"cancelled": 3}
    assert await stage.counts("b") == {"cancelled": 2}
    assert len([event for event in await stage.events() if event.name == "finished"]) == 2


async def test_a_member_that_was_sent_before_as_a_command_counts_as_that(stage: Stage, store: Store) -> None:
    fields = {"lane": "batch", "batch_id": "b"}
    for job_id in ("1", "2"):
        await store.accept(command(job_id, f"own-{job_id}", **fields))
    await stage.end(1, outcome="refused")
    await stage.send([cancel(1, command_id="own-1"), cancel(2, command_id="own-2"), cancel(3, command_id="own-1")])
    await stage.feed()
    assert await stage.counts() == {"refused": 1, "open": 1, "rejected": 1}
    await stage.end()

    assert await stage.counts() == {"refused": 1, "cancelled": 1, "rejected": 1}
    assert [one.evidence for one in await stage.report()] == ["reported", "reported", None]


OWN = [cancel(1), cancel(2, command_id="own"), cancel(3)]


async def rejected_once(stage: Stage, redis: Redis, why: str) -> None:
    """Check that the second of three members is rejected, and that this is reported once."""
    rejected = [event for event in await stage.events() if event.name == "rejected"]
    letters = [one async for one in DeadLetters(redis, "canceller").list()]

    assert [event.data["command_id"] for event in rejected] == ["own"]
    assert why in rejected[0].data["error"]
    assert [(one.command_id, one.reason) for one in letters] == [("own", rejected[0].data["error"])]
    assert [one.error or "" for one in await stage.report()] == ["", rejected[0].data["error"], ""]
    assert await stage.counts() == {"open": 2, "rejected": 1}


@pytest.mark.parametrize("told", [False, True], ids=["before-it-tells", "before-it-counts"])
async def test_a_member_whose_id_is_another_commands_is_told_of_whenever_a_worker_dies(
    stage: Stage,
    store: Store,
    redis: Redis,
    told: bool,  # noqa: FBT001
) -> None:
    await store.accept(command("7", "own"))
    await stage.send(OWN)
    members = [command(str(index), one.get("command_id", f"b:{index - 1}")) for index, one in enumerate(OWN, 1)]
    verdicts = await stage.batches.start(Step("b", 0, members, {}), "dies")
    assert [one.verdict for one in verdicts] == ["accepted", "conflict"]
    if told:
        await store.reject(INTAKE.rejection(OWN[1], "own", CONFLICT))
    await redis.delete("{canceller}:feeder:b")  # ends its lease
    await stage.feed()

    await rejected_once(stage, redis, CONFLICT)


async def test_a_member_whose_jobs_cancellation_can_not_be_read_is_told_of(
    stage: Stage, store: Store, redis: Redis
) -> None:
    unreadable = await store.accept(command("2", "first"))
    await redis.set(f"{{canceller}}:hot:{unreadable.cancellation_id}", b"{no record")
    await stage.send(OWN)
    await stage.feed()

    await rejected_once(stage, redis, "command: could not be taken in: ")


async def test_members_that_may_not_begin_yet_take_no_room_from_others(stage: Stage) -> None:
    later = (await stage.store.times())[0] + timedelta(days=10)
    await stage.send([cancel(f"later-{index}", not_before=later.isoformat()) for index in range(60)], "a")
    await stage.feed()
    await stage.send(cancels(10), "b")
    await stage.feed(stage.feeder(ess=25))

    assert await stage.counts("b") == {"open": 10}


async def test_a_plan_leaves_no_events_and_no_records(stage: Stage, redis: Redis) -> None:
    await stage.send([*cancels(3, dry_run=True), cancel(9, dry_run=True, colour="red")])
    await stage.feed()
    await stage.end(outcome="planned")

    assert await stage.counts() == {"planned": 3, "rejected": 1}
    assert await stage.events() == []
    assert [event.name for event in await stage.events("b")] == ["started", "progress", "finished"]
    for kind in ("hot", "cold"):
        assert [await redis.ttl(key) <= 1 async for key in redis.scan_iter(f"{{canceller}}:{kind}:*")].count(False) == 0
    assert not [key async for key in redis.scan_iter("{canceller}:cmd:*")]
    assert 0 < await redis.ttl("{canceller}:batch:b") <= 86_400


async def test_a_linked_record_is_of_a_format_that_older_workers_leave_alone(stage: Stage, redis: Redis) -> None:
    await stage.send(cancels(1))
    await stage.feed()
    (key,) = [key async for key in redis.scan_iter("{canceller}:hot:*")]

    assert b'"f":3' in await redis.get(key)


async def test_a_member_of_a_backend_that_only_others_serve_is_left_to_them(stage: Stage, redis: Redis) -> None:
    await redis.zadd("{canceller}:serves", {"far": 4e12})
    await stage.send([cancel(0), cancel(1, backend="far"), cancel(2)])
    feeder = stage.feeder()
    await stage.feed(feeder)

    assert await stage.counts() == {"open": 1, "waiting": 2}
    assert not await redis.exists("{canceller}:feeder:b")
