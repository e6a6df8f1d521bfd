"""`attest = "another"`: whose word counts if nobody may attest for their own commands."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from support.commands import Anything, claim_one, command, names, signed

from worker.domain.cancellation import WHOLE, Spec, attributed
from worker.domain.errors import ActionRejected
from worker.domain.evidence.proof import attestation_for
from worker.domain.model import Policy
from worker.intake.admission import Admission, BackendRules
from worker.store.store import Store
from worker.store.transitions import Acceptance

STRICT = Admission({"ess": BackendRules(Anything(), Policy(Anything.steps), another_attests=True)})  # type: ignore[arg-type]


def strictly(command_id: str = "c-1", **fields: Any) -> Acceptance:
    taken = STRICT.take({"verb": "cancel", "backend": "ess", "job_id": "1", **fields}, command_id)
    assert isinstance(taken, Acceptance), taken
    return taken


def strictly_signed(producer: str, command_id: str = "c-1", **fields: Any) -> Acceptance:
    return replace(signed(producer, command_id, **fields), another_attests=True)


async def attest(store: Store, found: str, by: str, signed_by: str = "", **more: Any) -> None:
    await store.act("attest", found, by, "seen dead", signed_by=signed_by, more=more)


async def spec(store: Store, found: str) -> Spec:
    return (await store.get(found)).record.cancellation.spec


async def test_another_may_attest(store: Store) -> None:
    found = (await store.accept(strictly(requested_by="ann"))).cancellation_id
    await attest(store, found, "bob")

    assert (await spec(store, found)).attestations[WHOLE].by == "bob: seen dead"


@pytest.mark.parametrize("requester", ["ann", "bob"], ids=["first", "joined"])
async def test_a_requester_may_not(store: Store, requester: str) -> None:
    found = (await store.accept(strictly(requested_by="ann"))).cancellation_id
    await store.accept(strictly("c-2", requested_by="bob"))
    with pytest.raises(ActionRejected, match=f"{requester} requested this cancellation"):
        await attest(store, found, requester)

    assert (await spec(store, found)).attestations == {}
    assert await names(store) == ["accepted", "joined"]


async def test_names_are_compared_as_they_are_written(store: Store) -> None:
    found = (await store.accept(strictly(requested_by="ann"))).cancellation_id
    await attest(store, found, "Ann")

    assert WHOLE in (await spec(store, found)).attestations


async def test_the_verified_producer_is_the_name_of_what_is_signed(store: Store) -> None:
    found = (await store.accept(strictly_signed("billing", requested_by="ann"))).cancellation_id
    with pytest.raises(ActionRejected, match="billing requested this"):
        await attest(store, found, "bob", "billing")
    await attest(store, found, "ann", "ops")

    assert (await spec(store, found)).attestations[WHOLE].signed_by == "ops"


async def test_an_unsigned_word_does_not_count_where_signing_is_on(store: Store) -> None:
    found = (await store.accept(strictly(requested_by="ann"))).cancellation_id
    with pytest.raises(ActionRejected, match="only with a signature"):
        await attest(store, found, "bob", signing=1)


async def test_signing_asks_for_no_signature_elsewhere(store: Store) -> None:
    found = (await store.accept(command())).cancellation_id
    await attest(store, found, "bob", signing=1)

    assert WHOLE in (await spec(store, found)).attestations


@pytest.mark.parametrize(
    ("child", "signed_by", "whose"),
    [
        pytest.param("", "", "bob: seen dead", id="the-family"),
        pytest.param("21", "", "bob: seen dead", id="a-child"),
        pytest.param("", "ops", "ops (signed) as bob: seen dead", id="the-family-signed"),
        pytest.param("21", "ops", "ops (signed) as bob: seen dead", id="a-child-signed"),
    ],
)
async def test_an_attester_who_joins_makes_the_word_void(store: Store, child: str, signed_by: str, whose: str) -> None:
    found = (await store.accept(strictly(requested_by="ann"))).cancellation_id
    await attest(store, found, "bob", signed_by, child=child)
    await attest(store, found, "eve", child="22")
    one = await claim_one(store)
    await store.accept(strictly_signed("ops", "c-2") if signed_by else strictly("c-2", requested_by="bob"))
    (*_, (_, event)) = await store.events("0-0")
    after = await spec(store, found)

    assert event.name == "attestation_void"
    assert (event.data["attested_by"], event.data["child"]) == (whose, child or None)
    assert event.data.get("attestation_signed_by") == (signed_by or None)
    assert "this one now does" in event.data["detail"]
    assert list(after.attestations) == ["22"]
    assert after.revision == one.record.cancellation.spec.revision + 1
    with pytest.raises(ActionRejected):
        await attest(store, found, "bob", signed_by)


@pytest.mark.parametrize("child", ["", "21"], ids=["the-family", "a-child"])
@pytest.mark.parametrize(
    ("signed_by", "whose"),
    [
        pytest.param(("", ""), "carl: seen dead", id="unsigned"),
        pytest.param(("rounds", "ops"), "rounds (signed) as carl: seen dead", id="signed"),
    ],
)
async def test_the_earlier_word_of_another_stands_again(
    store: Store, child: str, signed_by: tuple[str, str], whose: str
) -> None:
    found = (await store.accept(strictly(requested_by="ann"))).cancellation_id
    await attest(store, found, "carl", signed_by[0], child=child)
    given = (await spec(store, found)).attestations[child]
    await attest(store, found, "bob", signed_by[1], child=child)
    await store.accept(strictly_signed("ops", "c-2") if signed_by[1] else strictly("c-2", requested_by="bob"))
    (*_, (_, event)) = await store.events("0-0")

    assert (await spec(store, found)).attestations == {child: given}
    assert attributed(given.by, given.signed_by) == whose
    assert event.name == "attestation_void"
    assert event.data["detail"].endswith(f"; in its place stands the earlier word of {whose}")


@pytest.mark.parametrize(
    ("attesters", "joiners", "stands"),
    [
        pytest.param(("carl", "bob"), ("carl",), "bob", id="the-earlier-one-joins"),
        pytest.param(("carl", "bob"), ("carl", "bob"), None, id="both-join"),
        pytest.param(("carl", "bob"), ("bob", "carl"), None, id="both-join-the-later-one-first"),
        pytest.param(("carl", "eve", "bob"), ("bob",), "eve", id="the-latest-of-two-earlier-ones"),
        pytest.param(("carl", "eve", "bob"), ("eve", "bob"), "carl", id="the-one-that-has-not-joined"),
        pytest.param(("carl", "bob", "carl"), ("carl",), "bob", id="nobody-has-two-words"),
        pytest.param(("carl", "bob", "bob"), ("bob",), "carl", id="nor-is-a-renewed-one-kept"),
        pytest.param(tuple(f"a-{one}" for one in range(40)), ("a-39",), "a-38", id="of-many-the-latest"),
    ],
)
async def test_of_several_words_the_latest_of_those_who_have_not_asked_counts(
    store: Store, attesters: tuple[str, ...], joiners: tuple[str, ...], stands: str | None
) -> None:
    found = (await store.accept(strictly(requested_by="ann"))).cancellation_id
    for by in attesters:
        await attest(store, found, by)
    for name in joiners:
        await store.accept(strictly(f"by-{name}", requested_by=name))

    standing = (await spec(store, found)).attestations
    assert [one.by for one in standing.values()] == ([f"{stands}: seen dead"] if stands else [])


async def test_a_word_about_a_child_brings_back_none_about_the_family(store: Store) -> None:
    found = (await store.accept(strictly(requested_by="ann"))).cancellation_id
    await attest(store, found, "carl")
    await attest(store, found, "bob", child="21")
    await store.accept(strictly("c-2", requested_by="bob"))

    assert list((await spec(store, found)).attestations) == [WHOLE]


async def test_an_earlier_word_does_not_outlive_a_sign_of_life(store: Store) -> None:
    found = (await store.accept(strictly(requested_by="ann"))).cancellation_id
    await attest(store, found, "carl")
    one = (await store.get(found)).record.cancellation
    refuted_at = one.spec.attestations[WHOLE].at
    await attest(store, found, "bob")
    await store.accept(strictly("c-2", requested_by="bob"))
    one = (await store.get(found)).record.cancellation
    refuted = replace(one, progress=replace(one.progress, void={WHOLE: refuted_at}))

    assert attestation_for(one, "1") is not None
    assert attestation_for(refuted, "1") is None


async def test_a_join_of_somebody_else_leaves_the_word(store: Store) -> None:
    found = (await store.accept(strictly(requested_by="ann"))).cancellation_id
    await attest(store, found, "bob")
    for number, name in enumerate(("ann", "eve", "eve")):
        await store.accept(strictly(f"j-{number}", requested_by=name))

    assert WHOLE in (await spec(store, found)).attestations
    assert "attestation_void" not in await names(store)


async def test_a_producers_word_does_not_count_whichever_worker_takes_it_in(store: Store) -> None:
    found = (await store.accept(strictly(requested_by="ann", remote_stopped=True))).cancellation_id
    await store.accept(command(command_id="c-2", requested_by="bob", remote_stopped=True))

    assert (await spec(store, found)).attestations == {}
    with pytest.raises(ActionRejected, match="bob requested this"):
        await attest(store, found, "bob")


@pytest.mark.parametrize("requested_by", ["ann", None], ids=["named", "nameless"])
async def test_a_rule_that_came_later_counts_the_first_requester_too(store: Store, requested_by: str | None) -> None:
    found = (await store.accept(command(requested_by=requested_by))).cancellation_id
    await store.accept(strictly("c-2", requested_by="bob"))
    for name in filter(None, (requested_by, "bob")):
        with pytest.raises(ActionRejected, match=f"{name} requested this"):
            await attest(store, found, name)
