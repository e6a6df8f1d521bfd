"""The transitions against a real Redis: guard, record, schedule and events commit together or not at all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from support.commands import FINISHED, INTAKE, LATER, claim_one, command, commit, names, signed

from worker.domain.cancellation import WHOLE, Progress
from worker.domain.errors import UnknownCancellation
from worker.domain.model import Force, Lane, Verb
from worker.store.store import Store
from worker.store.transitions import Rejection


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


async def test_events_say_what_the_first_command_said_and_a_join_what_it_said_itself(store: Store) -> None:
    said = {"reason": 'a "first" / Übung', "requested_by": "ann", "labels": {"a": "b"}, "batch_id": "b1"}
    await store.accept(command('j/"1"', **said))
    await store.accept(command('j/"1"', 'c/"2"', verb="delete", reason="clean up", labels={"c": "d"}))
    accepted, joined = [event.data for _, event in await store.events("0-0")]
    own = {"command_id": 'c/"2"', "verb": "delete", "reason": "clean up", "labels": {"c": "d"}}

    assert said | {"backend": "ess", "job_id": 'j/"1"', "verb": "cancel"} == {
        name: accepted[name] for name in (*said, "backend", "job_id", "verb")
    }
    assert said == {name: joined[name] for name in said}
    assert own | {"requested_by": None, "batch_id": None} == joined["joined"]


async def test_ids_beyond_a_hundred_are_counted(store: Store) -> None:
    await store.accept_all([command(command_id=f"c-{index}") for index in range(103)])
    events = [event for _, event in await store.events("0-0")]

    assert 100 == len(events[-1].data["command_ids"])
    assert 103 == events[-1].data["command_ids_total"]


JOINS = {
    "delete wins over cancel": ({"verb": "delete"}, lambda spec: spec.verb is Verb.DELETE),
    "the stricter force wins": ({"force": "never"}, lambda spec: spec.force is Force.NEVER),
    "the longer wait wins": ({"force_after": 7200}, lambda spec: spec.force_after == 7200),
    "the word that it stopped counts from anyone": (
        {"remote_stopped": True, "requested_by": "ops"},
        lambda spec: spec.attestations[WHOLE].by == "ops (command c-2)",
    ),
}


@pytest.mark.parametrize(("fields", "holds"), JOINS.values(), ids=JOINS.keys())
async def test_a_join_changes_the_orders(store: Store, fields: dict[str, Any], holds: Any) -> None:
    first = await store.accept(command())
    await store.accept(command(command_id="c-2", **fields))
    spec = (await store.get(first.cancellation_id)).record.cancellation.spec

    assert holds(spec)
    assert 1 == spec.revision


@pytest.mark.parametrize("fields", [{}, {"force": "auto"}, {"force_after": 1}, {"give_up_after": 60}], ids=str)
async def test_a_join_that_asks_for_less_changes_nothing(store: Store, fields: dict[str, Any]) -> None:
    first = await store.accept(command())
    await store.accept(command(command_id="c-2", **fields))

    assert 0 == (await store.get(first.cancellation_id)).record.cancellation.spec.revision


NEVER: dict[str, Any] = {"force": "never", "force_after": 7200}
HOLDS = {"attested": (Force.ATTESTED, 1800.0), "never": (Force.NEVER, 7200.0)}
UNBOUND = {
    "one without the right": ([signed("low", "c-1", **NEVER)], "never"),
    "a join without the right": ([command(), signed("low", "c-2", **NEVER)], "attested"),
    "a join of somebody with it": ([signed("low", "c-1", **NEVER), command(command_id="c-2")], "attested"),
    "a strict join of somebody with it": ([signed("low", "c-1"), command(command_id="c-2", **NEVER)], "never"),
    "two without it": ([signed("low", "c-1", **NEVER), signed("other", "c-2")], "attested"),
    "two without it who agree": ([signed("low", "c-1", **NEVER), signed("other", "c-2", **NEVER)], "never"),
    "one without it behind both": (
        [signed("low", "c-1"), command(command_id="c-2", **NEVER), signed("low", "c-3")],
        "never",
    ),
}


@pytest.mark.parametrize(("commands", "holds"), UNBOUND.values(), ids=UNBOUND.keys())
async def test_stricter_wishes_bind_others_only_with_the_right_to_it(store: Store, commands: Any, holds: str) -> None:
    first, *_ = [await store.accept(one) for one in commands]
    spec = (await store.get(first.cancellation_id)).record.cancellation.spec

    assert HOLDS[holds] == (spec.force, spec.force_after)


async def test_a_signed_join_names_its_producer_beside_the_first_ones(store: Store) -> None:
    await store.accept(signed("billing", "c-1", requested_by="ann"))
    await store.accept(signed("ops", "c-2", requested_by="bob"))
    await store.accept(command(command_id="c-3"))
    first, second, third = [event.data for _, event in await store.events("0-0")]

    assert ("ann", "billing") == (first["requested_by"], first["signed_by"])
    assert ("billing", "bob", "ops") == (
        second["signed_by"],
        second["joined"]["requested_by"],
        second["joined"]["signed_by"],
    )
    assert "signed_by" not in third["joined"]


async def test_a_signed_abort_is_kept_with_its_producer(store: Store) -> None:
    accepted = await store.accept(command())
    await store.act("abort", accepted.cancellation_id, "the boss", "not wanted", signed_by="ops")
    spec = (await store.get(accepted.cancellation_id)).record.cancellation.spec

    assert "ops (signed) as the boss: not wanted" == spec.aborted
    assert {"by": "the boss", "reason": "not wanted", "signed_by": "ops"} == spec.withdrawal


async def test_an_interactive_join_lifts_a_batch_cancellation(store: Store) -> None:
    first = await store.accept(command(lane="batch"))
    await store.accept(command(command_id="c-2"))

    assert Lane.INTERACTIVE is (await store.get(first.cancellation_id)).record.cancellation.spec.lane


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


async def test_a_refused_finish_keeps_all_that_its_pass_found(store: Store) -> None:
    await store.accept(command())
    one = await claim_one(store)
    await store.accept(command(command_id="c-2", verb="delete"))
    found = Progress(looks=2, waits=3, next="look again", pages=4)
    await store.commit(commit(one, "finish", facts=FINISHED, progress=found))

    assert found == (await claim_one(store)).record.cancellation.progress


async def test_an_abort_makes_the_next_pass_due_at_once(store: Store) -> None:
    accepted = await store.accept(command())
    one = await claim_one(store)
    await store.commit(commit(one, "wait", due=LATER, matters=LATER))

    assert "ess" == await store.act("abort", accepted.cancellation_id, "ops", "not wanted")
    assert "ops: not wanted" == (await claim_one(store)).record.cancellation.spec.aborted


async def test_an_attestation_reaches_a_pass_that_is_running(store: Store) -> None:
    accepted = await store.accept(command())
    one = await claim_one(store)
    await store.act("attest", accepted.cancellation_id, "ops", "it is gone")
    await store.commit(commit(one, "wait", due=LATER, matters=LATER))

    assert "ops: it is gone" == (await claim_one(store)).record.cancellation.spec.attestations[WHOLE].by


async def test_a_plain_join_does_not_fence_a_running_pass(store: Store) -> None:
    await store.accept(command())
    one = await claim_one(store)
    await store.accept(command(command_id="c-2"))

    assert 1 == await store.commit(commit(one, "finish", facts=FINISHED))
    last = (await store.events("0-0"))[-1][1]
    assert ["c-1", "c-2"] == last.command_ids
    assert "0000000003" == last.sequence


async def test_progress_survives_the_way_through_redis(store: Store) -> None:
    await store.accept(command())
    one = await claim_one(store)
    progress = Progress(looks=3, raw="CANCELLING", seen_alive=True, looked_at=one.record.cancellation.accepted_at)
    await store.commit(commit(one, "wait", progress=progress, due=progress.looked_at, matters=progress.looked_at))

    assert progress == (await claim_one(store)).record.cancellation.progress


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
