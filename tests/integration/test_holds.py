"""Holds against a real Redis: when they are acknowledged, what they forbid, and the time that they restore."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from support.commands import FINISHED, LATER, LIMITS, claim_one, command, commit, names
from support.stepped_redis import SteppedRedis

from worker.domain.cancellation import Intent, Progress, Spec
from worker.domain.errors import ActionRejected, UnknownCancellation
from worker.domain.event_drafts import EventDraft
from worker.domain.model import Action
from worker.store.codec import Snapshot
from worker.store.store import Store
from worker.store.transitions import Claim, ToClaim

BREATH = 0.03
"""Seconds that the shortest hold lasts here."""


@pytest.fixture
def clock(redis: Redis) -> SteppedRedis:
    """A deployment's clock, which only a test moves, so that no hold runs out too early."""
    return SteppedRedis(connection_pool=redis.connection_pool)


@pytest.fixture
def store(clock: SteppedRedis) -> Store:
    return Store(clock, "canceller")


def breathe(clock: SteppedRedis) -> None:
    """Advance the clock past a short hold."""
    clock.at += round(BREATH * 1000)


async def opened(store: Store, **fields: Any) -> str:
    return (await store.accept(command(**fields))).cancellation_id


async def spec(store: Store, found: str) -> Spec:
    return (await store.get(found)).record.cancellation.spec


async def hold(store: Store, found: str, by: str = "ann", seconds: float = 0, message_id: str = "") -> None:
    more = {"for": round(seconds * 1000)} if seconds else {}
    await store.act("hold", found, by, "wait", message_id=message_id, more=more)


async def release(store: Store, found: str, message_id: str = "") -> None:
    await store.act("release", found, "bob", "go on", message_id=message_id)


async def sending(store: Store) -> Claim:
    """Claim what is due and note the intent of its cancel."""
    one = await claim_one(store)
    at = one.record.cancellation.accepted_at
    assert await store.commit(commit(one, "intent", progress=Progress(intent=Intent(Action.CANCEL, "1", at)))) == 1
    return one


async def unseen(store: Store, worker: str = "w1", lease: float = 40.0) -> Claim | None:
    claims = await store.claim(ToClaim("ess", worker, replace(LIMITS, lease=lease), unseen=True))
    return claims.claims[0] if claims.claims else None


async def event(store: Store, index: int = -1) -> Any:
    return (await store.events("0-0"))[index][1]


# The acknowledgement


async def test_a_hold_is_an_event_with_who_and_why(store: Store) -> None:
    found = await opened(store, reason="budget")
    await store.act("hold", found, 'ann "a"', "wait / ü\n", signed_by="ops", more={"for": 60_000})
    held = await event(store)
    kept = (await spec(store, found)).hold

    action = {"name": "hold", "by": 'ann "a"', "signed_by": "ops", "reason": "wait / ü\n"}
    assert (held.name, held.data["action"], held.data["reason"]) == ("held", action, "budget")
    assert kept is not None
    assert kept.until is not None
    assert (kept.by, kept.signed_by, kept.announced) == ('ann "a"', "ops", True)
    assert held.data["until"] == kept.until.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert kept.until - kept.since == timedelta(seconds=60)


async def test_a_hold_without_an_end_names_none(store: Store) -> None:
    await hold(store, await opened(store))
    assert "until" not in (await event(store)).data


@pytest.mark.parametrize("mode", ["answer", "wait", "finish"])
async def test_a_call_in_flight_is_waited_for(store: Store, mode: str) -> None:
    found = await opened(store)
    one = await sending(store)
    await hold(store, found)
    before = await names(store)
    told = (EventDraft("cancel_sent"), *(FINISHED if mode == "finish" else ()))
    await store.commit(commit(one, mode, facts=told, due=LATER, matters=LATER))

    assert before == ["accepted"]
    assert await names(store) == ["accepted", "cancel_sent", "held"]


async def test_a_call_whose_intent_was_noted_with_the_claim_is_waited_for(store: Store) -> None:
    found = await opened(store)
    one = await unseen(store)
    assert one is not None
    assert one.noted
    await hold(store, found)
    before = await names(store)
    assert await store.commit(commit(one, "wait", due=LATER, matters=LATER)) == 1

    assert before == ["accepted"]
    assert await names(store) == ["accepted", "held"]


async def test_an_intent_that_a_dead_worker_left_is_waited_for(store: Store) -> None:
    found = await opened(store)
    await unseen(store, lease=0.0)
    await hold(store, found)
    again = await claim_one(store, "w2")
    assert again.record.cancellation.progress.intent is not None
    await store.commit(commit(again, "wait", facts=(EventDraft("cancel_sent"),), due=LATER, matters=LATER))

    assert await names(store) == ["accepted", "cancel_sent", "held"]


async def test_while_it_is_waited_for_a_release_tells_both(store: Store) -> None:
    found = await opened(store)
    await sending(store)
    await hold(store, found)
    await release(store, found)

    assert await names(store) == ["accepted", "held", "released"]


# What it forbids


async def test_no_intent_is_noted_that_was_decided_before_the_hold(store: Store) -> None:
    found = await opened(store)
    one = await claim_one(store)
    await hold(store, found)

    assert await store.commit(commit(one, "intent")) == 0
    assert (await claim_one(store)).record.cancellation.spec.hold is not None


async def test_no_intent_is_noted_while_it_is_held_whatever_was_seen(store: Store) -> None:
    found = await opened(store)
    await hold(store, found)

    assert await store.commit(commit(await claim_one(store), "intent")) == 0


async def test_no_intent_is_noted_with_a_claim(store: Store) -> None:
    await hold(store, await opened(store))
    one = await unseen(store)

    assert one is not None
    assert not one.noted


async def test_a_held_record_is_of_a_format_that_older_workers_leave_alone(store: Store, redis: Redis) -> None:
    found = await opened(store)
    key = f"{{canceller}}:hot:{found}"
    before = await redis.get(key)
    await hold(store, found)
    held = await redis.get(key)

    assert before is not None
    assert held is not None
    assert (b'"f":1' in before, b'"f":2' in held) == (True, True)


async def test_an_end_that_is_seen_ends_it(store: Store) -> None:
    await hold(store, await opened(store))
    assert await store.commit(commit(await claim_one(store), "finish", facts=FINISHED)) == 1
    assert await names(store) == ["accepted", "held", "finished"]


# Its end


async def test_a_release_is_an_event_and_makes_it_due_at_once(store: Store) -> None:
    found = await opened(store)
    await hold(store, found)
    await store.commit(commit(await claim_one(store), "wait", due=LATER, matters=LATER))
    await release(store, found)
    released = await event(store)

    assert (released.name, released.data["action"]) == ("released", {"name": "release", "by": "bob", "reason": "go on"})
    assert (await claim_one(store)).record.cancellation.spec.hold is None


async def test_the_time_to_give_up_moves_by_what_was_held(store: Store, clock: SteppedRedis) -> None:
    found = await opened(store)
    before = await spec(store, found)
    await hold(store, found)
    breathe(clock)
    await release(store, found)
    after = await spec(store, found)

    assert after.held_for == BREATH
    assert after.give_up_at - before.give_up_at == timedelta(seconds=BREATH)


async def test_its_time_ends_it_in_an_event_of_our_own(store: Store, clock: SteppedRedis) -> None:
    found = await opened(store)
    before = await spec(store, found)
    await hold(store, found, seconds=BREATH)
    await store.commit(commit(await claim_one(store), "wait", due=LATER, matters=LATER))
    kept = (await spec(store, found)).hold
    assert kept is not None
    await store.act("attest", found, "ann", "gone")  # so that it is due
    one = await claim_one(store)
    await store.commit(commit(one, "wait", due=kept.until, matters=LATER))
    breathe(clock)
    one = await claim_one(store)
    released = await event(store)

    assert (released.name, released.data["action"]["name"], released.data["action"]["by"]) == (
        "released",
        "release",
        "canceller",
    )
    after = one.record.cancellation.spec
    assert (after.hold, after.held_for) == (None, BREATH)
    assert after.give_up_at - before.give_up_at == timedelta(seconds=BREATH)
    assert await store.commit(commit(one, "intent")) == 1


async def test_its_time_ends_it_while_the_backend_is_paused(store: Store, clock: SteppedRedis) -> None:
    found = await opened(store)
    bad = commit(await claim_one(store), "wait", due=LATER, matters=LATER, verdict="bad:1:600000")
    await hold(store, found, seconds=BREATH)
    await store.commit(bad)
    breathe(clock)
    one = await claim_one(store)

    assert one.record.cancellation.spec.hold is None
    assert (await names(store))[-1] == "released"


async def test_a_finish_after_its_time_tells_that_end_first(store: Store, clock: SteppedRedis) -> None:
    found = await opened(store)
    await hold(store, found, seconds=BREATH)
    one = await claim_one(store)
    breathe(clock)
    await store.commit(commit(one, "finish", facts=FINISHED))

    assert await names(store) == ["accepted", "held", "released", "finished"]


async def test_a_second_hold_replaces_the_first(store: Store) -> None:
    found = await opened(store)
    await hold(store, found, seconds=60)
    await hold(store, found, "bob")
    seen: Snapshot = await store.get(found)

    kept = seen.record.cancellation.spec.hold
    assert kept is not None
    assert (kept.by, kept.until) == ("bob", None)
    assert await names(store) == ["accepted", "held", "held"]


async def test_a_message_that_comes_again_holds_and_releases_nothing(store: Store) -> None:
    found = await opened(store)
    await hold(store, found, message_id="m-1")
    await release(store, found, message_id="m-2")
    await hold(store, found, message_id="m-1")
    assert (await spec(store, found)).hold is None
    await hold(store, found, message_id="m-3")
    await release(store, found, message_id="m-2")

    assert (await spec(store, found)).hold is not None
    assert await names(store) == ["accepted", "held", "released", "held"]


async def test_what_is_not_held_is_not_released(store: Store) -> None:
    with pytest.raises(ActionRejected, match="it is not held"):
        await release(store, await opened(store))


async def test_a_hold_that_ran_out_is_not_released_again(store: Store, clock: SteppedRedis) -> None:
    found = await opened(store)
    await hold(store, found, seconds=BREATH)
    breathe(clock)
    with pytest.raises(ActionRejected, match="it is not held"):
        await release(store, found)

    assert await names(store) == ["accepted", "held", "released"]
    assert (await spec(store, found)).hold is None


@pytest.mark.parametrize("action", ["abort", "attest", "hold", "release"])
async def test_no_action_is_taken_on_what_has_ended_or_is_unknown(store: Store, action: str) -> None:
    found = await opened(store)
    await store.commit(commit(await claim_one(store), "finish", facts=FINISHED))
    with pytest.raises(ActionRejected, match="it has ended already: cancelled"):
        await store.act(action, found, "ann", "why")
    with pytest.raises(UnknownCancellation):
        await store.act(action, "nobody", "ann", "why")

    assert await names(store) == ["accepted", "finished"]


# Joins


async def test_a_join_waits_longer_from_the_hold_on(store: Store) -> None:
    found = await opened(store, give_up_after=60)
    await hold(store, found)
    kept = (await spec(store, found)).hold
    await store.accept(command(command_id="c-2", give_up_after=600))
    joined = await spec(store, found)

    assert kept is not None
    assert joined.hold == kept
    assert joined.give_up_at == kept.since + timedelta(seconds=600)


async def test_a_join_with_a_shorter_wait_is_not_fooled_by_an_earlier_hold(store: Store, clock: SteppedRedis) -> None:
    found = await opened(store, give_up_after=0.5)
    await hold(store, found)
    breathe(clock)
    await release(store, found)
    before = await spec(store, found)
    await store.accept(command(command_id="c-2", give_up_after=0.52))

    assert (await spec(store, found)).give_up_at > before.give_up_at
