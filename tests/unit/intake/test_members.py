"""Members of a batch are judged as separate commands, by the rights of the producer who signed their part."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from worker.intake.admission import Admission, BackendRules
from worker.intake.decoder import Malformed, OrderRequest, PartRequest, read
from worker.intake.members import Member, judge
from worker.protocol.signing import Producer, SignatureRejected, Signatures, sign
from worker.store.transitions import Acceptance, Rejection

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
KEY = "a-shared-secret-of-at-least-32-bytes"
LOW = Producer("low", "HS256", (KEY,), frozenset({"ess"}), per_minute=60)
OPERATOR = Producer("ops", "HS256", (KEY,), operator=True)
BARE = {"verb": "cancel", "backend": "ess", "job_id": "1"}
ORDER = {"id": "b", "by": "ann", "reason": "because"}


@pytest.fixture(scope="module")
def intake(build: Any) -> Admission:
    """Two backends that accept everything, with signatures required."""
    adapter: Any = SimpleNamespace(params=frozenset(), problem=lambda _: "", address=lambda _: "")
    door = BackendRules(adapter, build.policy())
    signatures = Signatures({"low": LOW, "ops": OPERATOR}, required=True)
    return Admission({"ess": door, "mrs": door}, signatures=signatures)


def judged(intake: Admission, signed_by: str = "low", **fields: Any) -> Acceptance | Rejection:
    return judge(intake, "b", Member.of(7, {**BARE, **fields}, signed_by), NOW, ())


def test_a_member_belongs_to_its_batch_and_to_who_signed_it(intake: Admission) -> None:
    one = judged(intake, batch_id="another", token="of its own")

    assert isinstance(one, Acceptance)
    assert (one.command_id, one.lane, one.vouched) == ("b:7", "batch", True)
    assert (one.said["batch_id"], one.said["signed_by"]) == ("b", "low")


REJECTED = {
    "a backend beyond its signer's rights": ("low", {"backend": "mrs"}, "this producer may not do this"),
    "nobody's signature": ("", {}, "the signature is not accepted"),
    "a signer who is gone": ("former", {}, "the signature is not accepted"),
    "an unknown field": ("low", {"colour": "red"}, "colour: is not a known field"),
}


@pytest.mark.parametrize(("signed_by", "fields", "why"), REJECTED.values(), ids=list(REJECTED))
def test_a_member_is_rejected_with(signed_by: str, fields: dict[str, Any], why: str, intake: Admission) -> None:
    one = judged(intake, signed_by, **fields)

    assert isinstance(one, Rejection)
    assert one.reason == why


def test_a_member_that_is_no_object_is_rejected(intake: Admission) -> None:
    assert isinstance(judge(intake, "b", Member.of(7, "a text", "low"), NOW, ()), Rejection)


@pytest.mark.parametrize(
    ("content", "found"),
    [({**BARE, "dry_run": True}, (True, "ess")), ({**BARE, "dry_run": "yes"}, (False, "ess")), (7, (False, ""))],
    ids=["a dry run", "no dry run", "no object"],
)
def test_only_a_dry_run_leaves_no_trace(content: object, found: tuple[bool, str]) -> None:
    member = Member.of(1, content, "")

    assert (member.quiet, member.backend) == found


def token(content: dict[str, Any], producer: str) -> dict[str, Any]:
    return {**content, "token": sign(content, producer=producer, key=KEY, algorithm="HS256", now=NOW)}


def test_any_producer_may_send_a_part(intake: Admission) -> None:
    part = {"verb": "batch", "batch_id": "b", "part": 1, "parts": 1, "commands": [{**BARE, "backend": "mrs"}]}
    signed = intake.signatures.check(token(part, "low"), NOW)

    assert signed is not None
    assert signed.producer == "low"


@pytest.mark.parametrize("verb", ["batch_pause", "batch_resume", "batch_abort"])
def test_only_an_operator_may_order(verb: str, intake: Admission) -> None:
    order = {"verb": verb, **ORDER}

    assert intake.signatures.check(token(order, "ops"), NOW) is not None
    with pytest.raises(SignatureRejected) as caught:
        intake.signatures.check(token(order, "low"), NOW)
    assert caught.value.log_reason == f"low: {verb} needs operator = true"


PART = {"batch_id": "b", "part": 1, "parts": 1, "commands": [BARE]}


def test_the_messages_of_batches_are_read() -> None:
    part = read("worker.batch", "m", (), PART, {})
    order = read("worker.batch_pause", "m", (), {**ORDER, "hold": True}, {})

    assert isinstance(part, PartRequest)
    assert part.content == {**PART, "verb": "batch"}
    assert isinstance(order, OrderRequest)
    assert order.order.hold


@pytest.mark.parametrize(
    ("task", "content", "options", "why"),
    [
        ("worker.batch", {**PART, "commands": []}, {}, "commands: nothing is selected"),
        ("worker.batch_abort", {"id": "b"}, {}, "batch_abort: by: is required"),
        ("worker.batch", PART, {"eta": "2026-11-22T12:00:00+00:00"}, "eta: batch takes effect at once"),
        ("worker.batch", PART, {"callbacks": ["t"]}, "link: Celery can't run anything after"),
    ],
    ids=["an empty part", "an order without who", "a part for later", "a part with a link"],
)
def test_a_message_of_a_batch_that_is_wrong_is_malformed(
    task: str, content: dict[str, Any], options: dict[str, Any], why: str
) -> None:
    item = read(task, "m", (), content, options)

    assert isinstance(item, Malformed)
    assert item.reason.startswith(why)
