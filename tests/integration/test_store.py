"""The transitions against a real Redis: guard, record, schedule and events commit together or not at all."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from worker.cancellation import Intent, Progress
from worker.errors import UnknownCancellation
from worker.facts import Fact
from worker.intake import Door, Intake
from worker.model import Action, Force, Lane, Policy, Steps, Verb
from worker.store import Store
from worker.transitions import Acceptance, Claim, Claims, Commit, Limits, Rejection

LIMITS = Limits(slots=100, lease=40.0, max_in_flight=100, rate=0.0, batch_slots=75)
FINISHED = (Fact("finished", {"outcome": "cancelled"}),)


class Anything:
    """An adapter that takes any command."""

    steps = Steps(look_before_cancel=False, force=True)
    params = frozenset({"cluster_id"})

    def problem(self, job: object) -> str:
        return f"{job}" if job is None else ""


INTAKE = Intake({"ess": Door(Anything(), Policy(Anything.steps)), "oml": Door(Anything(), Policy(Anything.steps))})  # type: ignore[arg-type]


@pytest.fixture
def store(redis: Redis) -> Store:
    return Store(redis, "canceller")


def command(job_id: str = "1", command_id: str = "c-1", **fields: Any) -> Acceptance:
    taken = INTAKE.take({"verb": "cancel", "backend": "ess", "job_id": job_id, **fields}, command_id)
    assert isinstance(taken, Acceptance), taken
    return taken


async def claim(store: Store, worker: str = "w1", backend: str = "ess", limits: Limits = LIMITS) -> Claims:
    return await store.claim(backend, worker, limits)


async def claim_one(store: Store, worker: str = "w1") -> Claim:
    (one,) = (await claim(store, worker)).claims
    return one


def commit(one: Claim, mode: str, **changes: Any) -> Commit:
    return Commit(one.token, one.record, mode, changes.pop("progress", Progress()), **changes)


async def names(store: Store) -> list[str]:
    return [event.name for _, event in await store.events("0-0")]


async def test_a_command_opens_a_cancellation_once(store: Store) -> None:
    first = await store.accept(command())
    again = await store.accept(command())

    assert ("accepted", "same") == (first.verdict, again.verdict)
    assert first.cancellation_id == again.cancellation_id
    assert ["accepted"] == await names(store)


async def test_the_same_command_id_with_another_content_is_a_conflict(store: Store) -> None:
    await store.accept(command("1"))

    assert "conflict" == (await store.accept(command("2"))).verdict
    assert ["accepted"] == await names(store)


async def test_a_later_command_for_the_job_joins(store: Store) -> None:
    first = await store.accept(command())
    second = await store.accept(command(command_id="c-2"))
    snapshot = await store.get(first.cancellation_id)

    assert "joined" == second.verdict
    assert ("c-1", "c-2") == snapshot.command_ids
    assert ["accepted", "joined"] == await names(store)


async def test_ids_beyond_a_hundred_are_counted(store: Store) -> None:
    await store.accept_all([command(command_id=f"c-{index}") for index in range(103)])
    events = [event for _, event in await store.events("0-0")]

    assert 100 == len(events[-1].data["command_ids"])
    assert 103 == events[-1].data["command_ids_total"]


JOINS = {
    "delete wins over cancel": ({"verb": "delete"}, lambda orders: orders.verb is Verb.DELETE),
    "the stricter force wins": ({"force": "never"}, lambda orders: orders.force is Force.NEVER),
    "the longer wait wins": ({"force_after": 7200}, lambda orders: orders.force_after == 7200),
    "the word that it stopped counts from anyone": (
        {"remote_stopped": True, "requested_by": "ops"},
        lambda orders: orders.remote_stopped == "ops (command c-2)",
    ),
}


@pytest.mark.parametrize(("fields", "holds"), JOINS.values(), ids=JOINS.keys())
async def test_a_join_changes_the_orders(store: Store, fields: dict[str, Any], holds: Any) -> None:
    first = await store.accept(command())
    await store.accept(command(command_id="c-2", **fields))
    orders = (await store.get(first.cancellation_id)).record.cancellation.orders

    assert holds(orders)
    assert 1 == orders.revision


@pytest.mark.parametrize("fields", [{}, {"force": "auto"}, {"force_after": 1}, {"give_up_after": 60}], ids=str)
async def test_a_join_that_asks_for_less_changes_nothing(store: Store, fields: dict[str, Any]) -> None:
    first = await store.accept(command())
    await store.accept(command(command_id="c-2", **fields))

    assert 0 == (await store.get(first.cancellation_id)).record.cancellation.orders.revision


async def test_an_interactive_join_lifts_a_batch_cancellation(store: Store) -> None:
    first = await store.accept(command(lane="batch"))
    await store.accept(command(command_id="c-2"))

    assert Lane.INTERACTIVE is (await store.get(first.cancellation_id)).record.cancellation.orders.lane


async def test_two_workers_never_claim_the_same_record(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}") for index in range(50)])
    limits = Limits(30, 40.0, 100, 0.0, 75)
    first, second = await asyncio.gather(claim(store, "w1", limits=limits), claim(store, "w2", limits=limits))
    ids = [one.record.cancellation.id for one in (*first.claims, *second.claims)]

    assert 50 == len(ids) == len(set(ids))


async def test_claims_never_exceed_what_may_be_in_flight(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}") for index in range(10)])
    limits = Limits(10, 40.0, 4, 0.0, 3)

    assert 4 == len((await claim(store, "w1", limits=limits)).claims)
    assert 0 == len((await claim(store, "w2", limits=limits)).claims)


async def test_a_rate_bounds_claims(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}") for index in range(10)])
    limits = Limits(10, 40.0, 100, 5.0, 75)
    claims = await claim(store, limits=limits)

    assert 1 == len(claims.claims)
    assert claims.next_due is not None


async def test_interactive_records_go_before_batch_ones(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}", lane="batch") for index in range(20)])
    await store.accept(command("urgent", "c-urgent"))
    claims = await claim(store, limits=Limits(1, 40.0, 100, 0.0, 75))

    assert ["urgent"] == [one.record.cancellation.job_id for one in claims.claims]


async def test_the_batch_lane_leaves_slots_free(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}", lane="batch") for index in range(20)])
    limits = Limits(8, 40.0, 8, 0.0, 6)

    assert 6 == len((await claim(store, limits=limits)).claims)
    await store.accept(command("urgent", "c-urgent"))
    assert 1 == len((await claim(store, limits=limits)).claims)


async def test_a_finish_is_announced_and_leaves_the_schedule(store: Store, redis: Redis) -> None:
    await store.accept(command())
    one = await claim_one(store)

    assert 1 == await store.commit(commit(one, "finish", facts=FINISHED))
    assert ["accepted", "finished"] == await names(store)
    assert "cancelled" == (await store.get(one.record.cancellation.id)).record.outcome
    left = {key.decode() async for key in redis.scan_iter()}
    assert not {key for key in left if any(word in key for word in (":due:", ":lease:", ":claims:", ":open:"))}


async def test_a_second_finish_is_fenced(store: Store) -> None:
    await store.accept(command())
    one = await claim_one(store)
    await store.commit(commit(one, "finish", facts=FINISHED))

    assert -1 == await store.commit(commit(one, "finish", facts=FINISHED))
    assert ["accepted", "finished"] == await names(store)


async def test_after_the_end_a_command_opens_a_new_cancellation(store: Store) -> None:
    first = await store.accept(command())
    await store.commit(commit(await claim_one(store), "finish", facts=FINISHED))
    second = await store.accept(command(command_id="c-2"))

    assert "accepted" == second.verdict
    assert first.cancellation_id != second.cancellation_id


ORDERS = {"an upgrade": {"verb": "delete"}, "a stricter force": {"force": "never"}}


@pytest.mark.parametrize("mode", ["intent", "finish"])
@pytest.mark.parametrize("fields", ORDERS.values(), ids=ORDERS.keys())
async def test_an_intent_or_a_finish_is_refused_when_the_orders_changed(
    store: Store, mode: str, fields: dict[str, Any]
) -> None:
    await store.accept(command())
    one = await claim_one(store)
    await store.accept(command(command_id="c-2", **fields))

    assert 0 == await store.commit(commit(one, mode, facts=FINISHED if mode == "finish" else ()))
    assert ["accepted", "joined"] == await names(store)
    assert one.record.cancellation.id == (await claim_one(store)).record.cancellation.id


async def test_an_abort_makes_the_next_pass_due_at_once(store: Store) -> None:
    accepted = await store.accept(command())
    one = await claim_one(store)
    later = datetime.fromisoformat("2099-01-01T00:00:00+00:00")
    await store.commit(commit(one, "wait", due=later, matters=later))

    assert "ess" == await store.abort(accepted.cancellation_id, "ops: not wanted")
    assert "ops: not wanted" == (await claim_one(store)).record.cancellation.orders.aborted


async def test_an_attestation_reaches_a_pass_that_is_running(store: Store) -> None:
    accepted = await store.accept(command())
    one = await claim_one(store)
    await store.attest(accepted.cancellation_id, "ops: it is gone")
    later = datetime.fromisoformat("2099-01-01T00:00:00+00:00")
    await store.commit(commit(one, "wait", due=later, matters=later))

    assert "ops: it is gone" == (await claim_one(store)).record.cancellation.orders.remote_stopped


async def test_a_plain_join_does_not_fence_a_running_pass(store: Store) -> None:
    await store.accept(command())
    one = await claim_one(store)
    await store.accept(command(command_id="c-2"))

    assert 1 == await store.commit(commit(one, "finish", facts=FINISHED))
    last = (await store.events("0-0"))[-1][1]
    assert ["c-1", "c-2"] == last.command_ids
    assert "3" == last.sequence


async def test_what_a_dead_worker_held_comes_back_with_the_next_beat(store: Store) -> None:
    await store.accept(command())
    await store.beat("w1", 5.0, ["ess"])
    await claim_one(store, "w1")
    await store.beat("w2", 5.0, ["ess"])
    assert () == (await claim(store, "w2")).claims

    await store.leave("w1")
    await store.beat("w2", 5.0, ["ess"])
    assert 1 == len((await claim(store, "w2")).claims)


async def test_an_open_intent_keeps_its_whole_lease(store: Store) -> None:
    await store.accept(command())
    one = await claim_one(store, "w1")
    progress = Progress(intent=Intent(Action.CANCEL, "1", one.record.cancellation.accepted_at))
    await store.commit(commit(one, "intent", progress=progress))
    await store.beat("w2", 5.0, ["ess"])

    assert () == (await claim(store, "w2")).claims


async def test_a_claim_that_lost_its_lease_is_fenced(store: Store) -> None:
    await store.accept(command())
    one = (await claim(store, "w1", limits=Limits(1, 0.0, 100, 0.0, 75))).claims[0]
    other = await claim_one(store, "w2")

    assert -1 == await store.commit(commit(one, "finish", facts=FINISHED))
    assert 1 == await store.commit(commit(other, "finish", facts=FINISHED))


async def test_progress_survives_the_way_through_redis(store: Store) -> None:
    await store.accept(command())
    one = await claim_one(store)
    progress = Progress(looks=3, raw="CANCELLING", seen_alive=True, looked_at=one.record.cancellation.accepted_at)
    await store.commit(commit(one, "wait", progress=progress, due=progress.looked_at, matters=progress.looked_at))

    assert progress == (await claim_one(store)).record.cancellation.progress


async def test_a_backend_that_fails_too_often_is_paused_and_said_so(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}") for index in range(4)])
    claims = await claim(store)
    for one in claims.claims[:2]:
        await store.commit(commit(one, "wait", due=claims.now, matters=LATER, verdict="bad:2:60000", calls=1))
    paused = await claim(store)

    assert (True, ()) == (paused.blind, paused.claims)
    assert "paused" == (await names(store))[-1]
    assert not (await claim(store, backend="oml")).blind


LATER = datetime.fromisoformat("2099-01-01T00:00:00+00:00")


async def test_what_matters_without_a_call_goes_on_while_paused(store: Store) -> None:
    accepted = await store.accept(command())
    one = await claim_one(store)
    await store.commit(commit(one, "wait", due=LATER, matters=LATER, verdict="bad:1:60000", calls=1))
    await store.abort(accepted.cancellation_id, "ops: not wanted")
    paused = await claim(store)

    assert paused.blind
    assert [accepted.cancellation_id] == [one.record.cancellation.id for one in paused.claims]


async def test_work_returns_after_a_pause(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}") for index in range(3)])
    claims = await claim(store)
    for one in claims.claims:
        await store.commit(commit(one, "wait", due=claims.now, matters=LATER, verdict="bad:3:0", calls=1))
    probe = await claim(store)
    assert 1 == len(probe.claims)
    await store.commit(commit(probe.claims[0], "wait", due=LATER, matters=LATER, verdict="ok", calls=1))

    assert "resumed" == (await names(store))[-1]
    assert 2 == len((await claim(store)).claims)


async def test_a_server_that_we_do_not_know_makes_old_records_suspect(store: Store, redis: Redis) -> None:
    await store.accept(command())
    assert (await claim(store)).suspect is None
    await redis.hset("{canceller}:server", "run_id", "another")  # type: ignore[misc]

    suspect = await claim(store)
    assert suspect.suspect == suspect.now


async def test_a_record_of_a_newer_format_is_left_alone(store: Store, redis: Redis) -> None:
    accepted = await store.accept(command())
    key = f"{{canceller}}:hot:{accepted.cancellation_id}"
    hot = await redis.get(key)
    await redis.set(key, hot.replace(b'"f":1', b'"f":2'))

    assert () == (await claim(store)).claims
    assert b'"f":2' in await redis.get(key)


async def test_a_rejection_is_told_once_and_kept(store: Store, redis: Redis) -> None:
    refused = INTAKE.take({"verb": "cancel", "backend": "nowhere", "job_id": "1"}, "c-1")
    assert isinstance(refused, Rejection)

    assert (True, False) == (await store.reject(refused), await store.reject(refused))
    assert ["rejected"] == await names(store)
    assert 1 == await redis.xlen("{canceller}:dead")


async def test_the_last_event_of_a_finished_record_can_be_read(store: Store) -> None:
    await store.accept(command())
    one = await claim_one(store)
    await store.commit(commit(one, "finish", facts=FINISHED))
    record = (await store.get(one.record.cancellation.id)).record
    event = await store.event(record.last_event)

    assert event is not None
    assert "finished" == event.name


async def test_finished_records_and_old_events_are_let_go(store: Store, redis: Redis) -> None:
    await store.accept(command())
    one = await claim_one(store)
    await store.commit(commit(one, "finish", facts=FINISHED))
    await store.trim(one.record.cancellation.accepted_at + timedelta(days=8))

    assert 0 < await redis.ttl(f"{{canceller}}:hot:{one.record.cancellation.id}") <= 7 * 86400
    assert await redis.xlen("{canceller}:events") <= 2


async def test_a_command_id_leads_to_its_cancellation(store: Store) -> None:
    accepted = await store.accept(command())

    assert accepted.cancellation_id == await store.resolve("c-1")
    with pytest.raises(UnknownCancellation, match="c-2"):
        await store.resolve("c-2")

