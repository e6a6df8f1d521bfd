"""Dry runs and expectations against a real Redis: next to each other, and what joins make of them."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis
from support.commands import FINISHED, LIMITS, claim, claim_one, command, commit, names

from worker.domain.cancellation import Spec
from worker.domain.errors import UnknownCancellation
from worker.store.store import Store
from worker.store.transitions import ToClaim


def expecting(state: str, command_id: str = "c-1") -> dict[str, object]:
    return {"command_id": command_id, "expect": {"raw_state": state}}


async def spec(store: Store, found: str) -> Spec:
    return (await store.get(found)).record.cancellation.spec


async def test_dry_runs_and_a_cancellation_of_one_job_go_side_by_side(store: Store) -> None:
    commands = [
        command(command_id="c-1", dry_run=True),
        command(command_id="c-2"),
        command(command_id="c-3", dry_run=True),
        command(command_id="c-4"),
    ]
    taken = await store.accept_all(commands)

    assert [one.verdict for one in taken] == ["accepted", "accepted", "accepted", "joined"]
    assert taken[3].cancellation_id == taken[1].cancellation_id
    assert await store.open_id("ess", "1") == taken[1].cancellation_id
    assert set(await store.open_ids("ess", 9)) == {one.cancellation_id for one in taken}
    assert [(await spec(store, one.cancellation_id)).dry_run for one in taken[:3]] == [True, False, True]


async def test_a_dry_run_alone_is_no_cancellation_of_its_job(store: Store) -> None:
    taken = await store.accept(command(dry_run=True))
    assert await store.open_id("ess", "1") == ""
    assert await store.find_command("c-1") == taken.cancellation_id


async def test_the_same_dry_run_again_is_the_same(store: Store) -> None:
    await store.accept(command(dry_run=True))
    assert (await store.accept(command(dry_run=True))).verdict == "same"
    assert (await store.accept(command())).verdict == "conflict"


async def test_a_dry_run_that_ended_leaves_the_cancellation_open(store: Store, redis: Redis) -> None:
    await store.accept(command(dry_run=True))
    await store.commit(commit(await claim_one(store), "finish", facts=FINISHED))
    assert not await redis.exists("{canceller}:open:ess")
    real = await store.accept(command(command_id="c-2"))
    await store.accept(command(command_id="c-3", dry_run=True))
    for one in (await claim(store)).claims:
        if one.record.cancellation.spec.dry_run:
            await store.commit(commit(one, "finish", facts=FINISHED))

    assert await store.open_ids("ess", 9) == [real.cancellation_id]


@pytest.mark.parametrize("fields", [{"dry_run": True}, {"expect": {"raw_state": "R"}}], ids=["dry run", "expectation"])
async def test_neither_is_sent_without_a_look(store: Store, redis: Redis, fields: dict[str, object]) -> None:
    taken = await store.accept(command(**fields))  # type: ignore[arg-type]
    (one,) = (await store.claim(ToClaim("ess", "w1", LIMITS, unseen=True))).claims
    hot = await redis.get(f"{{canceller}}:hot:{taken.cancellation_id}")

    assert not one.noted
    assert hot is not None
    assert b'"f":2' in hot


async def test_no_intent_of_a_dry_run_is_ever_noted(store: Store) -> None:
    await store.accept(command(dry_run=True))
    assert await store.commit(commit(await claim_one(store), "intent")) == 0


async def test_a_join_that_expects_nothing_lifts_the_condition(store: Store, redis: Redis) -> None:
    found = (await store.accept(command(**expecting("RUNNING")))).cancellation_id  # type: ignore[arg-type]
    assert (await spec(store, found)).expect == ("RUNNING",)
    await store.accept(command(command_id="c-2"))
    hot = await redis.get(f"{{canceller}}:hot:{found}")

    assert ((await spec(store, found)).expect, (await spec(store, found)).revision) == ((), 1)
    assert hot is not None
    assert b'"f":1' in hot


async def test_a_join_that_expects_another_state_adds_it_once(store: Store) -> None:
    found = (await store.accept(command(**expecting("RUNNING")))).cancellation_id  # type: ignore[arg-type]
    for number, state in enumerate(("WAIT", "RUNNING", "WAIT")):
        await store.accept(command(**expecting(state, f"j-{number}")))  # type: ignore[arg-type]

    assert ((await spec(store, found)).expect, (await spec(store, found)).revision) == (("RUNNING", "WAIT"), 1)


async def test_with_too_many_states_any_will_do(store: Store) -> None:
    found = (await store.accept(command(**expecting("S")))).cancellation_id  # type: ignore[arg-type]
    for number in range(20):
        await store.accept(command(**expecting(f"S{number}", f"j-{number}")))  # type: ignore[arg-type]

    assert (await spec(store, found)).expect == ()


async def test_a_join_expects_nothing_of_an_open_cancellation(store: Store) -> None:
    found = (await store.accept(command())).cancellation_id
    await store.accept(command(**expecting("RUNNING", "c-2")))  # type: ignore[arg-type]

    assert (await spec(store, found)).expect == ()


async def test_a_record_of_neither_is_of_the_first_format(store: Store, redis: Redis) -> None:
    found = (await store.accept(command())).cancellation_id
    hot = await redis.get(f"{{canceller}}:hot:{found}")

    assert hot is not None
    assert b'"f":1' in hot
    assert await names(store) == ["accepted"]
    with pytest.raises(UnknownCancellation):
        await store.get("another")
