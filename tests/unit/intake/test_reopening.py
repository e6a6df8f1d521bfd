"""The command that opens a cancellation again: the same options, but no attestation that the job is gone."""

from __future__ import annotations

from typing import Any

import pytest
from support.commands import INTAKE, RULES, Anything
from unit.conftest import Build

from worker.domain.cancellation import WHOLE
from worker.domain.model import Force, Lane, Outcome, Policy, Verb
from worker.intake.admission import BackendRules, new_id
from worker.intake.reopening import reopened
from worker.store.codec import Record, Snapshot
from worker.store.transitions import Acceptance, Rejection

LABELS = {"team": "a"}


def again(build: Build, rules: BackendRules = RULES, **orders: Any) -> Acceptance:
    record = Record(build.cancellation(**orders), Outcome.CANCELLED)
    ended = Snapshot(record, command={"labels": LABELS, "batch_id": "b-1", "reason": "x"})
    return reopened(rules, ended, make_id=lambda: "new")


def test_it_is_the_same_job_with_the_same_wishes(build: Build) -> None:
    one = again(build, verb=Verb.DELETE, lane=Lane.BATCH, params={"cluster_id": "c"}, give_up=600, traceparent="00-1")

    assert (one.cancellation_id, one.backend, one.job_id, one.verb) == ("new", "ess", "1", "delete")
    assert (one.lane, one.params, one.address, one.traceparent) == (Lane.BATCH, {"cluster_id": "c"}, "c", "00-1")
    assert one.give_up_after == 600


def test_canceller_asks_for_it_and_says_why(build: Build) -> None:
    reason = "the job lives again after cancellation c1 has ended as cancelled"
    asked = {"reason": reason, "requested_by": "canceller", "labels": LABELS, "batch_id": "b-1"}

    assert again(build).said == asked


def test_the_same_sinks_get_its_events(build: Build) -> None:
    ended = Snapshot(Record(build.cancellation(), Outcome.CANCELLED), command={"reply_to": ["billing"]})
    one = reopened(RULES, ended, make_id=lambda: "new")

    assert (one.reply_to, list(one.said)[-1], one.said["reply_to"]) == (("billing",), "reply_to", ("billing",))


def test_it_is_the_same_command_each_time(build: Build) -> None:
    one, other = again(build), again(build)

    assert (one.command_id, one.digest) == (other.command_id, other.digest)
    assert (one.command_id, len(one.digest)) == ("c1-reopened", 16)


@pytest.mark.parametrize("taken", [0, 1, 99])
def test_no_producer_can_send_a_command_with_its_id(taken: int, build: Build) -> None:
    ended = build.cancellation(id=new_id())
    one = reopened(RULES, Snapshot(Record(ended, Outcome.CANCELLED)), taken)
    foreign = {"verb": "cancel", "backend": "ess", "job_id": "1"}
    reason = "command_id: CANCELLATION-reopened is reserved for reopened cancellations"

    for said in (INTAKE.take(foreign | {"command_id": one.command_id}, "task"), INTAKE.take(foreign, one.command_id)):
        assert isinstance(said, Rejection)
        assert (said.reason, said.data["command_id"]) == (reason, one.command_id)


def test_each_time_that_its_id_is_taken_it_has_another_one(build: Build) -> None:
    ended = Snapshot(Record(build.cancellation(), Outcome.CANCELLED))

    assert [reopened(RULES, ended, taken).command_id for taken in range(3)] == [
        "c1-reopened", "c1-reopened-1", "c1-reopened-2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("orders", "force", "force_after"),
    [
        ({"force": Force.AUTO, "force_after": 0.0}, Force.ATTESTED, 1800.0),
        ({"force": Force.NEVER, "force_after": 7200.0}, Force.NEVER, 7200.0),
    ],
    ids=["looser-than-the-policy", "stricter"],
)
def test_the_stricter_wish_about_the_force_step_holds(
    orders: dict[str, Any], force: Force, force_after: float, build: Build
) -> None:
    one = again(build, **orders)

    assert (one.force, one.force_after) == (force, force_after)
    assert one.effective["effective"]["force"] == force


def test_nobodys_word_is_carried_over(build: Build) -> None:
    one = again(build, attestations={WHOLE: build.word()}, expect=("RUNNING",))

    assert (one.remote_stopped, one.expect) == ("", "")


@pytest.mark.parametrize(
    ("give_up", "held_for", "patience"),
    [(600.0, 0.0, 600.0), (700.0, 100.0, 600.0), (1e9, 0.0, 86400.0), (-1.0, 0.0, 86400.0)],
    ids=["as-wished", "without-its-holds", "longer-than-the-policy", "already-over"],
)
def test_it_is_as_patient_as_the_one_that_had_ended(
    give_up: float, held_for: float, patience: float, build: Build
) -> None:
    assert again(build, give_up=give_up, held_for=held_for).give_up_after == patience


def test_only_others_may_attest_if_the_backend_wants_that(build: Build) -> None:
    rules = BackendRules(Anything(), Policy(Anything.steps), another_attests=True)  # type: ignore[arg-type]
    one = again(build, rules)

    assert (one.another_attests, one.effective["effective"]["attest"]) == (True, "another")
