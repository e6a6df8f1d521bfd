"""What a deployment's totals count of the cancellations in Redis."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from redis.asyncio import Redis
from support.commands import FINISHED, INTAKE, claim, claim_one, command, commit
from support.stepped_redis import SteppedRedis

from worker.domain.cancellation import Progress, Sent, Sighting
from worker.domain.model import AnswerKind, JobState
from worker.store.store import Store
from worker.store.totals import SLICE, Totals, TotalsReader
from worker.store.transitions import Rejection

ESS, INTERACTIVE, BATCH = "ess", "interactive", "batch"


@pytest.fixture
def totals(redis: Redis) -> TotalsReader:
    return TotalsReader(redis, "canceller")


async def left_as(store: Store, progress: Progress, **fields: str) -> datetime:
    """Accept a cancellation, and leave it as a pass that has seen this would leave it; return the time."""
    await store.accept(command(**fields))
    claimed = await claim(store)
    (one,) = claimed.claims
    await store.commit(commit(one, "wait", progress=progress, due=claimed.now + timedelta(hours=1)))
    return claimed.now


def opened(found: Totals) -> dict[tuple[str, str, str], int]:
    return {where: count for where, count in found.open.items() if count}


async def test_an_empty_deployment_has_nothing(totals: TotalsReader) -> None:
    found = await totals.read()

    assert (found.open, found.workers, found.dead_letters, found.memory) == ({}, 0, 0, 0.0)


async def test_open_cancellations_count_by_the_jobs_state_and_the_lane(store: Store, totals: TotalsReader) -> None:
    await left_as(store, Progress(state=JobState.ACTIVE))
    await store.accept(command("2", "c-2"))
    await store.accept(command("3", "c-3", lane=BATCH))
    await store.accept(command("4", "c-4", backend="oml"))
    found = await totals.read()

    assert opened(found) == {
        (ESS, "active", INTERACTIVE): 1,
        (ESS, "unseen", INTERACTIVE): 1,
        (ESS, "unseen", BATCH): 1,
        ("oml", "unseen", INTERACTIVE): 1,
    }


async def test_a_finished_cancellation_is_not_open(store: Store, totals: TotalsReader) -> None:
    await store.accept(command())
    await store.commit(commit(await claim_one(store), "finish", facts=FINISHED))
    found = await totals.read()

    assert opened(found) == {}
    assert found.open[ESS, "active", INTERACTIVE] == 0


async def test_the_oldest_in_cancelling_counts_from_when_it_was_seen_there(store: Store, totals: TotalsReader) -> None:
    await store.accept(command("0", "c-0"))
    now = (await claim(store)).now
    for number, age in enumerate((100, 7200, 50), 1):
        seen = Progress(state=JobState.CANCELLING, cancelling={"1": Sighting(now - timedelta(seconds=age))})
        await left_as(store, seen, job_id=str(number), command_id=f"c-{number}")
    found = await totals.read()

    assert 7200 <= found.oldest_cancelling[ESS] < 7200 + 60


HELD = Progress(held=("1+remote_stopped",))
T = datetime.fromisoformat("2026-11-22T10:00:00+00:00")
SENT = Sent(T, T, AnswerKind.ACCEPTED)
GATES = {
    "held": (HELD, 1),
    "held, and forced since": (Progress(held=HELD.held, sent={"force:1": SENT}), 0),
    "of two children one forced": (Progress(held=("1+remote_stopped", "2+time_over"), sent={"force:1": SENT}), 1),
    "never due": (Progress(), 0),
}


@pytest.mark.parametrize(("progress", "count"), GATES.values(), ids=GATES.keys())
async def test_a_gate_is_held_until_its_force_call(
    store: Store, totals: TotalsReader, progress: Progress, count: int
) -> None:
    await left_as(store, progress)

    assert (await totals.read()).gates_held[ESS] == count


async def test_an_overdue_one_counts(store: Store, totals: TotalsReader) -> None:
    await left_as(store, Progress(overdue=True))

    assert (await totals.read()).overdue[ESS] == 1


async def test_a_paused_backend_has_an_open_breaker(store: Store, totals: TotalsReader) -> None:
    await store.accept(command())
    one = await claim_one(store)
    await store.commit(commit(one, "wait", due=one.record.cancellation.accepted_at, verdict="bad:1:60000"))

    assert (await totals.read()).breaker_open[ESS] == 1


async def test_a_worker_that_beats_lives_and_its_backends_are_named(store: Store, totals: TotalsReader) -> None:
    await store.beat("w1", 60.0, ["idle"])
    found = await totals.read()

    assert (found.workers, found.overdue) == (1, {"idle": 0})


async def test_dead_letters_of_known_and_unknown_senders_count(store: Store, totals: TotalsReader) -> None:
    rejected = INTAKE.take({"verb": "cancel", "backend": "nowhere", "job_id": "1"}, "c-1")
    assert isinstance(rejected, Rejection)
    await store.reject(rejected)

    assert (await totals.read()).dead_letters == 1


async def test_the_used_share_of_redis_memory(redis: Redis, totals: TotalsReader) -> None:
    used = int((await redis.info("memory"))["used_memory"])
    await redis.config_set("maxmemory", used * 4)
    try:
        assert 0.1 < (await totals.read()).memory < 0.5
    finally:
        await redis.config_set("maxmemory", 0)


UNREADABLE = {
    "of a newer format": b'{"f":99,"l":"i","b":"ess"}\n\xff',
    "damaged": b"no record",
    "with a damaged progress": b'{"f":1,"l":"i","b":"ess"}\n\xff\xff',
}


@pytest.mark.parametrize("hot", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_record_that_cannot_be_read_counts_and_stops_nothing(
    store: Store, redis: Redis, totals: TotalsReader, hot: bytes
) -> None:
    accepted = await store.accept(command())
    await store.accept(command("2", "c-2"))
    await redis.set(f"{{canceller}}:hot:{accepted.cancellation_id}", hot)
    found = opened(await totals.read())

    assert found[ESS, "unseen", INTERACTIVE] == 1
    assert [count for (_, state, _), count in found.items() if state == "unreadable"] == [1]


async def test_each_of_very_many_counts_once(store: Store, totals: TotalsReader) -> None:
    many = 3 * SLICE + 7
    await store.accept_all([command(str(number), f"c-{number}") for number in range(many)])

    assert opened(await totals.read()) == {(ESS, "unseen", INTERACTIVE): many}


async def test_ages_grow_while_no_worker_lives(redis: Redis) -> None:
    stepped = SteppedRedis(connection_pool=redis.connection_pool)
    store, totals = Store(stepped, "canceller", sinks=["s"]), TotalsReader(stepped, "canceller")
    await store.beat("w1", 60.0, [ESS])
    await store.accept(command("0", "c-0"))
    await left_as(store, Progress(cancelling={"1": Sighting((await claim(store)).now)}))
    await redis.sadd("{canceller}:sinks", "s")  # type: ignore[misc]
    note = {"position": "0-1", "seen": stepped.at}
    await redis.hset("{canceller}:sink:s", mapping=note)  # type: ignore[misc]
    await store.leave("w1")
    before, lags_before = await totals.read(), await store.sinks.lags()
    stepped.at += 2 * 86_400_000
    after, lags_after = await totals.read(), await store.sinks.lags()

    assert after.oldest_cancelling[ESS] - before.oldest_cancelling[ESS] == 2 * 86_400
    assert lags_after["s"] - lags_before["s"] == 2 * 86_400


async def test_no_age_shows_a_step_of_redis_clock_that_a_living_worker_will_disprove(redis: Redis) -> None:
    stepped = SteppedRedis(connection_pool=redis.connection_pool)
    store, totals = Store(stepped, "canceller"), TotalsReader(stepped, "canceller")
    await store.beat("w1", 60.0, [ESS])
    await store.accept(command("0", "c-0"))
    await left_as(store, Progress(cancelling={"1": Sighting((await claim(store)).now)}))
    stepped.at += 30_000

    assert (await totals.read()).oldest_cancelling[ESS] == 0
