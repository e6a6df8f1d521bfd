from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from worker.domain import event_drafts
from worker.domain.cancellation import Attestation, End
from worker.domain.decision import Finish, Send
from worker.domain.evidence.proof import Refuted
from worker.domain.force_gate import gate
from worker.domain.model import Action, AnswerKind, Evidence, Force, JobState, Outcome

DONE = Finish(Outcome.CANCELLED, Evidence.REPORTED, "seen")


@pytest.mark.parametrize("action", [Action.CANCEL, Action.FORCE, Action.DELETE])
def test_each_changing_call_has_an_event_of_its_own(build: Any, action: Action) -> None:
    assert event_drafts.sent(Send(action, "1"), build.answer("accepted", 200)).name == f"{action}_sent"


@pytest.mark.parametrize("kind", [kind for kind in AnswerKind if kind is not AnswerKind.UNANSWERED])
def test_an_answer_is_told_with_status_and_code(build: Any, kind: AnswerKind) -> None:
    answer = event_drafts.sent(Send(Action.CANCEL, "1"), build.answer(kind, 429, code="0167")).data["answer"]
    assert (answer["status"], answer["code"]) == (429, "0167")


@pytest.mark.parametrize("status", [None, 200, 503])
def test_a_call_that_went_unanswered_is_told_as_that(build: Any, status: int | None) -> None:
    assert (
        event_drafts.sent(Send(Action.CANCEL, "1"), build.answer("unanswered", status)).data["answer"] == "unanswered"
    )


def test_a_call_to_a_child_names_the_child(build: Any) -> None:
    assert event_drafts.sent(Send(Action.FORCE, "7"), build.answer("accepted")).data["target_job_id"] == "7"


def test_a_held_force_lists_each_precondition_and_when_it_may_be_taken(build: Any) -> None:
    one = gate(build.cancellation(clock=build.steady()), build.stuck(), build.policy(), build.now)
    told = event_drafts.held(one, build.now)
    assert told.name == "force_held"
    assert {name: value["met"] for name, value in told.data["gate"].items() if name != "earliest_at"} == {
        "in_cancelling": True,
        "time_over": True,
        "asynchronous": "unknown",
        "backend_allows": "unknown",
        "policy_allows": True,
        "remote_stopped": False,
    }
    assert all(value["evidence"] for name, value in told.data["gate"].items() if name != "earliest_at")
    assert told.data["gate"]["earliest_at"] == "2026-11-22T10:00:00.000Z"


def test_an_overdue_job_is_told_with_what_is_known(build: Any) -> None:
    cancellation = build.cancellation(state=JobState.CANCELLING, raw="CANCELLING", note="odd", looks=3)
    told = event_drafts.overdue(cancellation, build.policy())
    assert told.name == "overdue"
    assert (told.data["raw_state"], told.data["detail"], told.data["calls"]) == ("CANCELLING", "odd", {"look": 3})


# Finished


def finished(build: Any, seen: Any = None, finish: Finish = DONE, **changes: Any) -> dict[str, Any]:
    told = event_drafts.finished(build.cancellation(**changes), finish, seen, build.policy())
    assert told.name == "finished"
    return dict(told.data)


def test_the_end_tells_all_that_the_contract_names(build: Any) -> None:
    assert set(finished(build)) >= {
        *("outcome", "evidence", "safe_to_rerun", "job_state", "raw_state", "detail", "calls", "backend_facts"),
        *("children", "accepted_at", "cancel_sent_at", "force_sent_at"),
    }


def test_the_end_tells_what_the_finish_says(build: Any) -> None:
    data = finished(build)
    assert (data["outcome"], data["evidence"], data["safe_to_rerun"], data["detail"]) == (
        "cancelled",
        "reported",
        True,
        "seen",
    )


def test_a_job_that_was_never_seen_is_unknown(build: Any) -> None:
    data = finished(build, finish=Finish(Outcome.REFUSED, Evidence.NONE, "no right"))
    assert (data["job_state"], data["raw_state"], data["children"]) == ("unknown", None, [])


def test_a_record_that_is_gone_is_told_with_the_state_that_it_ended_in(build: Any) -> None:
    end = End(JobState.SUCCEEDED, "SUCCEEDED")
    data = finished(build, state=JobState.GONE, raw="404", end=end)
    assert (data["job_state"], data["raw_state"]) == ("gone", "SUCCEEDED")


def test_a_record_that_vanished_is_told_in_the_backends_word(build: Any) -> None:
    assert finished(build, state=JobState.GONE, raw="404")["raw_state"] == "404"


def test_the_end_tells_when_each_call_was_first_made(build: Any) -> None:
    sent = {
        "cancel": build.sent("busy", at=1, last_at=build.at(9), count=2),
        "force:2": build.sent(at=5),
        "force:1": build.sent(at=4),
    }
    data = finished(build, sent=sent)
    assert data["accepted_at"] == "2026-11-22T10:00:00.000Z"
    assert data["cancel_sent_at"] == "2026-11-22T10:00:01.000Z"
    assert data["force_sent_at"] == "2026-11-22T10:00:04.000Z"
    assert data["delete_sent_at"] is None


def test_the_end_tells_who_gave_their_word(build: Any) -> None:
    assert finished(build, remote_stopped="ann")["attested_by"] == "ann"
    assert finished(build, attestations={"2": Attestation("bob", build.now)})["attested_by"] == "bob"
    assert finished(build)["attested_by"] is None


def test_the_end_tells_which_producer_has_signed_the_word(build: Any) -> None:
    data = finished(build, attestations={"": Attestation("ann: gone", build.now, "ops")})
    assert (data["attested_by"], data["attestation_signed_by"]) == ("ops (signed) as ann: gone", "ops")
    assert "attestation_signed_by" not in finished(build, remote_stopped="ann")


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        pytest.param("aborted", {"name": "abort", "by": "ann", "reason": "no", "signed_by": "ops"}, id="aborted"),
        pytest.param("cancelled", None, id="another-end"),
    ],
)
def test_the_end_tells_which_action_made_it(build: Any, outcome: str, told: Any) -> None:
    one = build.cancellation(aborted="ann: no", withdrawal={"by": "ann", "reason": "no", "signed_by": "ops"})
    finish = Finish(Outcome(outcome), Evidence.NONE)
    assert event_drafts.finished(one, finish, None, build.policy()).data.get("action") == told


@pytest.mark.parametrize(
    ("state", "force", "outcome"),
    [
        pytest.param("cancelled", "", "cancelled", id="cancelled"),
        pytest.param("cancelled", "accepted", "force_cancelled", id="forced"),
        pytest.param("cancelled", "unanswered", "force_cancelled", id="forced-unanswered"),
        pytest.param("cancelled", "rejected", "cancelled", id="refused-force"),
        pytest.param("succeeded", "accepted", "completed_anyway", id="forced-but-it-won"),
        pytest.param("succeeded", "", "completed_anyway", id="succeeded"),
        pytest.param("failed", "", "completed_anyway", id="failed"),
        pytest.param("gone", "", "cancelled", id="gone"),
        pytest.param("active", "", "open", id="still-alive-when-we-gave-up"),
        pytest.param("unknown", "", "open", id="in-a-word-we-do-not-know"),
    ],
)
def test_children_are_listed_by_outcome(build: Any, state: str, force: str, outcome: str) -> None:
    seen = build.seen("cancelled", children=(build.seen(state, "RAW", job_id="2"),))
    sent = {"force:2": build.sent(force)} if force else {}
    assert finished(build, seen, sent=sent)["children"] == [{"job_id": "2", "outcome": outcome, "raw_state": "RAW"}]


@pytest.mark.parametrize("state", ["cancelled", "succeeded", "failed"])
def test_the_children_of_what_had_ended_before_had_ended_before_too(build: Any, state: str) -> None:
    seen = build.seen("succeeded", children=(build.seen(state, "RAW", job_id="2"),))
    finish = Finish(Outcome.ALREADY_FINISHED, Evidence.REPORTED)
    (child,) = event_drafts.finished(build.cancellation(), finish, seen, build.policy()).data["children"]

    assert child == {"job_id": "2", "outcome": "already_finished", "raw_state": "RAW"}


def test_a_child_that_ended_before_our_call_is_already_finished(build: Any) -> None:
    child = build.seen("succeeded", "RAW", job_id="2", ended_at=build.at(-604800))
    changes = {"sent": build.cancelled(), "clock": build.steady(0, build.now)}
    (told,) = finished(build, build.seen("cancelled", children=(child,)), **changes)["children"]

    assert told == {"job_id": "2", "outcome": "already_finished", "raw_state": "RAW"}


def test_a_word_that_no_longer_counts_is_told_with_what_refuted_it() -> None:
    told = event_drafts.void(Refuted(Attestation("ann", datetime.now(UTC)), "7", "job 7 runs"))
    assert (told.name, told.data) == ("attestation_void", {"attested_by": "ann", "child": "7", "detail": "job 7 runs"})


def test_a_word_that_no_longer_counts_is_told_with_who_signed_it() -> None:
    told = event_drafts.void(Refuted(Attestation("ann: gone", datetime.now(UTC), "ops"), "", "job 7 runs"))
    assert (told.data["attested_by"], told.data["attestation_signed_by"]) == ("ops (signed) as ann: gone", "ops")


def test_a_family_of_any_size_fits_an_event(build: Any) -> None:
    seen = build.seen("cancelled", children=(build.seen("cancelled", job_id="2"),) * 5000)
    assert len(finished(build, seen)["children"]) == 1000


def test_the_effective_wishes_are_told() -> None:
    assert event_drafts.effective("never", 1800, 60) == {
        "effective": {"force": "never", "force_after": 1800, "give_up_after": 60}
    }


@pytest.mark.parametrize("offset", [0, 5.5, -12])
def test_moments_are_written_in_utc(build: Any, offset: float) -> None:
    local = build.at(0.1239).astimezone(timezone(timedelta(hours=offset)))
    assert event_drafts.text(local) == "2026-11-22T10:00:00.123Z"


def test_no_moment_is_written_as_none() -> None:
    assert event_drafts.text(None) is None


def test_a_policy_word_is_written_as_the_contract_spells_it() -> None:
    assert [str(one) for one in Force] == ["auto", "attested", "never"]
