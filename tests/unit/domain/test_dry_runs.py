"""Dry runs and expectations: what is decided by looks alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec import structs

from worker.domain import event_drafts
from worker.domain.decision import Finish, Send, Wait
from worker.domain.errors import InvalidCommand
from worker.domain.escalation import decide, needs_look, to_probe
from worker.domain.model import Answer, Evidence, JobState, Outcome, Policy, Source, Verb
from worker.intake.admission import Admission, BackendRules
from worker.protocol.messages import parse_command
from worker.store.script_arguments import accept_argument
from worker.store.transitions import Acceptance, Rejection

BARE = {"verb": "cancel", "backend": "ess", "job_id": "1"}


def unpacked(one: Acceptance) -> dict[str, Any]:
    """The arguments of the script that accepts a command."""
    argument: dict[str, Any] = msgspec.msgpack.decode(accept_argument(one))
    return argument


def planned(build: Any, seen: Any, policy: Policy | None = None, at: float = 0, **changes: Any) -> Finish:
    one = build.cancellation(dry_run=True, **changes)
    decision = decide(one, seen, policy or build.policy(), build.at(at))
    assert isinstance(decision, Finish)
    assert decision.outcome is Outcome.PLANNED
    assert (decision.evidence, decision.safe_to_rerun) == (Evidence.NONE, False)
    return decision


# Dry runs


@pytest.mark.parametrize(
    ("kind", "verb", "state", "would"),
    [
        pytest.param("ess", "cancel", "active", "cancel", id="a-running-job"),
        pytest.param("ess", "delete", "active", "delete", id="a-running-job-to-be-deleted"),
        pytest.param("oml", "delete", "active", "delete", id="a-running-job-that-a-delete-stops"),
        pytest.param("ess", "cancel", "unknown", "cancel", id="a-word-that-is-not-known"),
        pytest.param("oml", "cancel", "unknown", "nothing", id="where-a-stop-could-destroy-a-result"),
        pytest.param("ess", "cancel", "cancelling", "nothing", id="one-that-is-being-cancelled"),
        pytest.param("ess", "delete", "cancelling", "nothing", id="one-that-is-being-cancelled-to-be-deleted"),
        pytest.param("ess", "cancel", "succeeded", "nothing", id="one-that-has-ended"),
        pytest.param("ess", "delete", "succeeded", "delete", id="the-record-of-one-that-has-ended"),
        pytest.param("ess", "cancel", "gone", "nothing", id="one-that-is-not-known"),
        pytest.param("ess", "delete", "gone", "nothing", id="one-that-is-not-known-to-be-deleted"),
    ],
)
def test_a_plan_says_what_would_be_sent_and_why(build: Any, kind: str, verb: str, state: str, would: str) -> None:
    plan = planned(build, build.seen(state), build.policy(kind), verb=Verb(verb)).plan
    assert plan is not None
    assert plan.would == would
    assert plan.because


def test_a_delete_that_needs_a_cancel_first_says_so(build: Any) -> None:
    assert "a cancel goes first" in planned(build, build.seen(), verb=Verb.DELETE).detail


def test_a_record_that_can_not_be_deleted_is_left(build: Any) -> None:
    finish = planned(build, build.seen("succeeded", undeletable="a child runs"), verb=Verb.DELETE)
    assert finish.plan is not None
    assert (finish.plan.would, finish.plan.because) == ("nothing", "a child runs")


def test_a_plan_is_made_after_the_time_to_give_up_too(build: Any) -> None:
    assert planned(build, build.seen(), at=100, give_up=60).plan


def test_children_that_could_not_be_listed_delay_no_plan_and_are_told(build: Any) -> None:
    seen = build.seen(parent=True, unlisted=build.answer("busy", 429, detail="too many", retry_after=60))
    plan = planned(build, seen).plan
    assert plan is not None
    assert (plan.would, "not all of its children could be seen: too many" in plan.because) == ("cancel", True)


@pytest.mark.parametrize(
    ("unlisted", "waits", "again"),
    [
        pytest.param(("unanswered", 503, "nobody"), 0, True, id="failed-once"),
        pytest.param(("unanswered", 503, "nobody"), 1, True, id="failed-twice"),
        pytest.param(("unanswered", 503, "nobody"), 2, False, id="failed-three-times"),
        pytest.param(("busy", 429, "own"), 0, True, id="asked-for-time"),
        pytest.param(("unanswered", 200, "own"), 0, False, id="too-long-to-be-read-whole"),
    ],
)
def test_the_children_of_a_parent_that_has_ended_are_looked_for_again_if_their_list_failed(
    build: Any, unlisted: tuple[str, int, str], waits: int, *, again: bool
) -> None:
    seen = build.seen("cancelled", parent=True, unlisted=build.answer(*unlisted))
    one = build.cancellation(dry_run=True, waits=waits, give_up=60)

    assert isinstance(decide(one, seen, build.policy(), build.now), Wait if again else Finish)
    assert isinstance(decide(one, seen, build.policy(), build.at(60)), Finish)


def test_a_failed_list_delays_no_plan_for_a_parent_that_has_not_ended(build: Any) -> None:
    assert planned(build, build.seen(parent=True, unlisted=build.answer("unanswered", 503, "nobody"))).plan


def test_an_end_that_is_not_proven_is_looked_at_again(build: Any) -> None:
    gone = build.seen("gone", source="unsure")
    one = build.looked(build.cancellation(dry_run=True), gone, 0)
    assert isinstance(decide(one, gone, build.policy(), build.at(1)), Wait)


@pytest.mark.parametrize("kind", ["unanswered", "busy"])
def test_a_dry_run_times_out_while_looks_fail(build: Any, kind: str) -> None:
    one, failed = build.cancellation(dry_run=True, give_up=60), build.answer(kind)
    assert isinstance(decide(one, failed, build.policy(), build.at(59)), Wait)
    decision = decide(one, failed, build.policy(), build.at(60))
    assert isinstance(decision, Finish)
    assert decision.outcome is Outcome.TIMED_OUT


def test_a_dry_run_looks_first_and_asks_no_second_source(build: Any) -> None:
    one = build.cancellation(dry_run=True)
    policy = build.policy("mrs", probes=True)
    assert needs_look(one, build.policy())
    assert to_probe(build.cancellation(), build.seen("cancelled"), policy, build.now) == ("1",)
    assert to_probe(one, build.seen("cancelled"), policy, build.now) == ()


def test_the_end_tells_the_plan(build: Any) -> None:
    seen = build.seen(
        "active", "RUNNING", children=(build.seen("cancelled", "CANCELLED", job_id="2"), build.seen(job_id="3"))
    )
    one = build.looked(build.cancellation(dry_run=True), seen, 0)
    told = event_drafts.finished(one, planned(build, seen), seen, build.policy()).data

    assert told["plan"] == {
        "would": "cancel",
        "because": "nothing shows that the job has ended",
        "job_state": JobState.ACTIVE,
        "raw_state": "RUNNING",
        "children": [
            {"job_id": "2", "job_state": JobState.CANCELLED, "raw_state": "CANCELLED"},
            {"job_id": "3", "job_state": JobState.ACTIVE, "raw_state": "ACTIVE"},
        ],
    }
    assert [child["outcome"] for child in told["children"]] == ["already_finished", "open"]


# Expectations


def expecting(build: Any, seen: Any, **changes: Any) -> Any:
    one = build.cancellation(**{"expect": ("RUNNING", "WAIT"), **changes})
    return decide(one, seen, build.policy(), build.now)


@pytest.mark.parametrize("raw", ["RUNNING", "WAIT"])
def test_a_job_in_an_expected_state_is_cancelled(build: Any, raw: str) -> None:
    assert isinstance(expecting(build, build.seen("active", raw)), Send)


@pytest.mark.parametrize("raw", ["running", "BLOCKED", "RUNNING "])
def test_a_job_in_another_state_is_left(build: Any, raw: str) -> None:
    finish = expecting(build, build.seen("active", raw))
    assert isinstance(finish, Finish)
    assert (finish.outcome, finish.evidence) == (Outcome.CHANGED, Evidence.NONE)
    assert finish.detail == f"expected 'RUNNING' or 'WAIT', but the job is in {raw!r}"


@pytest.mark.parametrize(
    ("verb", "state", "outcome"),
    [
        pytest.param("cancel", "succeeded", "already_finished", id="ended"),
        pytest.param("delete", "succeeded", "already_finished", id="ended-to-be-deleted"),
        pytest.param("cancel", "gone", "not_found", id="not-known"),
        pytest.param("delete", "gone", "not_found", id="not-known-to-be-deleted"),
    ],
)
def test_a_job_that_has_ended_otherwise_is_left_as_that(build: Any, verb: str, state: str, outcome: str) -> None:
    finish = expecting(build, build.seen(state), verb=Verb(verb))
    assert isinstance(finish, Finish)
    assert finish.outcome == outcome


def test_a_record_in_the_expected_end_is_deleted(build: Any) -> None:
    assert isinstance(expecting(build, build.seen("succeeded", "RUNNING"), verb=Verb.DELETE), Send)


def test_after_a_first_call_nothing_is_expected_any_more(build: Any) -> None:
    sent = build.cancelled("busy", at=-600)
    assert isinstance(expecting(build, build.seen("active", "BLOCKED"), sent=sent), Send)


def test_a_word_is_compared_as_far_as_it_is_kept(build: Any) -> None:
    decision = expecting(build, build.seen("active", "x" * 400), expect=("x" * 300,))
    assert isinstance(decision, Send)


def test_an_end_that_is_not_proven_is_no_change(build: Any) -> None:
    assert isinstance(expecting(build, build.seen("gone", source="unsure")), Wait)


@pytest.mark.parametrize("fields", [{"expect": ("RUNNING",)}, {"dry_run": True}], ids=["an-expectation", "a-dry-run"])
def test_that_a_parent_is_gone_counts_in_the_backends_own_words_alone_while_a_child_lives(
    build: Any, fields: dict[str, Any]
) -> None:
    gone = build.seen("gone", source="unsure", children=(build.seen("active", "RUNNING", job_id="2"),))
    one = build.looked(build.cancellation(**fields), gone, 0)
    own = structs.replace(gone, source=Source.OWN)

    assert isinstance(decide(one, gone, build.policy(), build.at(1)), Wait)
    assert isinstance(decide(build.cancellation(**fields), own, build.policy(), build.at(1)), Finish)


def test_what_is_expected_is_looked_at_first(build: Any) -> None:
    assert needs_look(build.cancellation(expect=("RUNNING",)), build.policy())


def test_a_dry_run_of_what_is_not_as_expected_would_send_nothing(build: Any) -> None:
    plan = planned(build, build.seen("active", "BLOCKED"), expect=("RUNNING",)).plan
    assert plan is not None
    assert (plan.would, "expected 'RUNNING'" in plan.because) == ("nothing", True)


# Taking them in


@pytest.fixture(scope="module")
def intake(build: Any) -> Admission:
    adapter: Any = SimpleNamespace(params=frozenset(), problem=lambda _: "", address=lambda _: "")
    rules = {
        name: BackendRules(adapter, build.policy(), another_attests=name == "strict") for name in ("ess", "strict")
    }
    return Admission(rules, make_id=lambda: "new")


def taken(intake: Admission, **fields: Any) -> Acceptance:
    one = intake.take({**BARE, **fields}, "c")
    assert isinstance(one, Acceptance), one
    return one


def test_a_dry_run_and_an_expectation_are_stored_and_reported(intake: Admission) -> None:
    one = taken(intake, dry_run=True, expect={"raw_state": "RUNNING"})
    assert (one.dry_run, one.expect) == (True, "RUNNING")
    assert (one.effective["dry_run"], one.effective["expect"]) == (True, {"raw_state": "RUNNING"})
    assert {"y": 1, "ex": "RUNNING"}.items() <= unpacked(one).items()


def test_a_command_without_dry_run_or_expectation_has_the_digest_of_older_versions(intake: Admission) -> None:
    assert list(taken(intake).effective) == ["effective"]
    assert parse_command(BARE).digest == parse_command({**BARE, "dry_run": False}).digest == "93481da1cfd8ab07"
    digests = {parse_command({**BARE, **one}).digest for one in ({}, {"dry_run": True}, {"expect": {"raw_state": "R"}})}
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        pytest.param({"dry_run": 1}, "dry_run: ", id="a-number"),
        pytest.param({"expect": "RUNNING"}, "expect: ", id="a-text"),
        pytest.param({"expect": {}}, "expect.raw_state: ", id="nothing"),
        pytest.param({"expect": {"raw_state": ""}}, "expect.raw_state: ", id="an-empty-state"),
        pytest.param({"expect": {"raw_state": "x" * 301}}, "expect.raw_state: ", id="a-long-state"),
        pytest.param({"expect": {"raw_state": "R", "x": 1}}, "expect.x: is not a known field", id="something-else"),
    ],
)
def test_an_invalid_dry_run_or_expectation_is_rejected(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidCommand, match=problem):
        parse_command({**BARE, **fields})


# Attestations by another


def test_a_producers_word_does_not_count_where_another_must_attest(intake: Admission) -> None:
    fields = {"remote_stopped": True, "requested_by": "ann"}
    assert taken(intake, **fields).remote_stopped
    strict = taken(intake, backend="strict", **fields)
    assert (strict.remote_stopped, strict.effective["effective"]["attest"]) == ("", "another")
    assert unpacked(strict)["at"] == 1


def test_who_asks_must_be_known_where_another_must_attest(intake: Admission) -> None:
    one = intake.take({**BARE, "backend": "strict"}, "c")
    assert isinstance(one, Rejection)
    assert one.reason == 'requested_by: this backend requires it (attest = "another")'
    assert isinstance(taken(intake, backend="strict", requested_by="ann"), Acceptance)


def test_an_answer_is_no_sight(build: Any) -> None:
    one: Answer = build.answer("unanswered")
    assert isinstance(decide(build.cancellation(expect=("RUNNING",)), one, build.policy(), build.now), Wait)
