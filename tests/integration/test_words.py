"""Attestations that a remote process has stopped: whose, about which job, and when; each is a separate fact."""

from __future__ import annotations

from datetime import datetime

import pytest
from redis.asyncio import Redis
from support.commands import FINISHED, LATER, claim_one, command, commit, names, signed

from worker.domain.cancellation import WHOLE, Spec
from worker.domain.errors import ActionRejected, UnknownCancellation
from worker.store.codec import milliseconds, moment
from worker.store.store import Store


async def opened(store: Store, **fields: object) -> str:
    return (await store.accept(command(**fields))).cancellation_id  # type: ignore[arg-type]


async def spec(store: Store, cancellation_id: str) -> Spec:
    return (await store.get(cancellation_id)).record.cancellation.spec


async def attest(
    store: Store, found: str, by: str, why: str, child: str, message_id: str = "", signed_by: str = ""
) -> None:
    more = {"child": child} if child else {}
    await store.act("attest", found, by, why, signed_by=signed_by, message_id=message_id, more=more)


async def later(redis: Redis, than: datetime) -> None:
    """Wait until Redis's clock, which dates attestations in milliseconds, is past a time."""
    while True:
        seconds, micros = await redis.time()  # type: ignore[misc]  # redis-py's own types
        if moment(seconds * 1000 + micros // 1000) > than:
            return


async def test_a_word_in_the_command_is_given_when_it_is_accepted(store: Store) -> None:
    found = await opened(store, remote_stopped=True, requested_by="ann")
    cancellation = (await store.get(found)).record.cancellation

    word = cancellation.spec.attestations[WHOLE]
    assert ("ann (command c-1)", cancellation.accepted_at) == (word.by, word.at)


async def test_a_join_renews_the_word_and_its_giver(store: Store, redis: Redis) -> None:
    found = await opened(store, remote_stopped=True, requested_by="ann")
    first = (await spec(store, found)).attestations[WHOLE]
    await later(redis, first.at)
    await store.accept(command(command_id="c-2", remote_stopped=True, requested_by="bob"))
    word = (await spec(store, found)).attestations[WHOLE]

    assert ("bob (command c-2)", True) == (word.by, word.at > first.at)


async def test_a_join_without_a_word_leaves_the_one_that_was_given(store: Store) -> None:
    found = await opened(store, remote_stopped=True, requested_by="ann")
    first = await spec(store, found)
    await store.accept(command(command_id="c-2"))

    assert first == await spec(store, found)


async def test_an_attestation_renews_the_word(store: Store, redis: Redis) -> None:
    found = await opened(store)
    await store.act("attest", found, "ann", "it is gone")
    first = (await spec(store, found)).attestations[WHOLE]
    await later(redis, first.at)
    await store.act("attest", found, "ann", "it is gone")

    assert (await spec(store, found)).attestations[WHOLE].at > first.at
    assert 2 == (await spec(store, found)).revision


async def test_a_word_about_a_child_is_kept_beside_the_familys(store: Store) -> None:
    found = await opened(store, remote_stopped=True, requested_by="ann")
    for child in ("21", "22", "21"):
        await attest(store, found, "bob", f"{child} is gone", child)

    words = (await spec(store, found)).attestations
    assert {"": "ann (command c-1)", "21": "bob: 21 is gone", "22": "bob: 22 is gone"} == {
        child: word.by for child, word in words.items()
    }


@pytest.mark.parametrize("child", ["", "300101", 'a"b/\\ü'])
async def test_an_attestation_is_an_event_with_who_and_why(store: Store, child: str) -> None:
    found = await opened(store, reason="budget")
    await attest(store, found, 'ann "a"', "gone / Übung\n", child)
    (_, accepted), (_, event) = await store.events("0-0")

    assert {"name": "attest", "by": 'ann "a"', "reason": "gone / Übung\n"} == event.data["action"]
    assert (child or None) == event.data.get("child")
    assert ("attested", "0000000002", "budget") == (event.name, event.sequence, event.data["reason"])
    assert accepted.data.keys() - {"effective"} == event.data.keys() - {"action", "child"}
    assert milliseconds(datetime.fromisoformat(event.time)) == milliseconds(
        (await spec(store, found)).attestations[child or WHOLE].at
    )


@pytest.mark.parametrize("child", ["", "300101"], ids=["family", "child"])
async def test_a_signed_attestation_names_the_producer_beside_the_attester(store: Store, child: str) -> None:
    found = await opened(store)
    await attest(store, found, "the boss", "gone", child, "m-1", "ops")
    (_, event) = (await store.events("0-0"))[-1]
    word = (await spec(store, found)).attestations[child or WHOLE]

    assert {"name": "attest", "by": "the boss", "signed_by": "ops", "reason": "gone"} == event.data["action"]
    assert ("the boss: gone", "ops") == (word.by, word.signed_by)


@pytest.mark.parametrize("child", ["", "300101"], ids=["family", "child"])
async def test_an_unsigned_word_takes_no_signature_from_the_one_before(store: Store, child: str) -> None:
    found = await opened(store)
    await attest(store, found, "ann", "gone", child, "m-1", "ops")
    await attest(store, found, "bob", "gone", child, "m-2")

    assert "" == (await spec(store, found)).attestations[child or WHOLE].signed_by


async def test_a_word_in_a_signed_command_is_its_producers(store: Store) -> None:
    first = await store.accept(signed("billing", "c-1", remote_stopped=True))
    assert "billing" == (await spec(store, first.cancellation_id)).attestations[WHOLE].signed_by
    await store.accept(signed("ops", "c-2", remote_stopped=True))
    assert "ops" == (await spec(store, first.cancellation_id)).attestations[WHOLE].signed_by


async def test_the_events_of_a_pass_follow_an_attestation_that_came_in_between(store: Store) -> None:
    found = await opened(store)
    one = await claim_one(store)
    await store.act("attest", found, "ann", "it is gone")
    assert 0 == await store.commit(commit(one, "finish", facts=FINISHED))
    await store.commit(commit(await claim_one(store), "finish", facts=FINISHED))

    assert ["accepted", "attested", "finished"] == await names(store)
    assert ["0000000001", "0000000002", "0000000003"] == [event.sequence for _, event in await store.events("0-0")]


async def test_a_message_that_comes_again_renews_nothing(store: Store, redis: Redis) -> None:
    found = await opened(store)
    assert "ess" == await store.act("attest", found, "ann", "it is gone", message_id="m-1")
    first = await spec(store, found)
    await later(redis, first.attestations[WHOLE].at)
    assert "ess" == await store.act("attest", found, "ann", "it is gone", message_id="m-1")

    assert first == await spec(store, found)
    assert ["accepted", "attested"] == await names(store)


async def test_a_word_makes_the_next_pass_due_at_once(store: Store) -> None:
    found = await opened(store)
    await store.commit(commit(await claim_one(store), "wait", due=LATER, matters=LATER))
    await attest(store, found, "ann", "it is gone", "21")

    assert "21" in (await claim_one(store)).record.cancellation.spec.attestations


async def test_a_word_on_what_has_ended_is_none(store: Store) -> None:
    found = await opened(store)
    await store.commit(commit(await claim_one(store), "finish", facts=FINISHED))

    with pytest.raises(ActionRejected, match="it has ended already: cancelled"):
        await store.act("attest", found, "ann", "it is gone")
    assert ["accepted", "finished"] == await names(store)
    with pytest.raises(UnknownCancellation):
        await store.act("attest", "nobody", "ann", "it is gone")
