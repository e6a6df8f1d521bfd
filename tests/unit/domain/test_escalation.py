from __future__ import annotations

from typing import Any

import pytest

from worker.domain.cancellation import FAR, End, Sighting
from worker.domain.decision import Finish, Hold, Send, Wait
from worker.domain.escalation import decide, matters, needs_look, warn_at
from worker.domain.model import Action, AnswerKind, Evidence, JobState, Outcome, Poll, Verb

CANCEL = Send(Action.CANCEL, "1")
DELETE = Send(Action.DELETE, "1")
ALIVE = ["active", "unknown"]
ENDS = ["cancelled", "succeeded", "failed", "gone"]
NOTHING_HAPPENED = ["rejected", "busy", "not_found"]


def until(build: Any, decision: Any) -> float:
    """The seconds from now until a wait is over."""
    assert isinstance(decision, Wait | Hold)
    return float((decision.until - build.now).total_seconds())


@pytest.mark.parametrize(
    ("kind", "verb", "expected"),
    [
        pytest.param("ess", Verb.CANCEL, False, id="ess-cancel-tells-what-was"),
        pytest.param("sahara", Verb.CANCEL, False, id="sahara-answers-a-snapshot"),
        pytest.param("oml", Verb.CANCEL, True, id="oml-delete-destroys-a-result"),
        pytest.param("mrs", Verb.CANCEL, True, id="mrs-answer-says-nothing"),
        *(pytest.param(kind, Verb.DELETE, True, id=f"{kind}-delete") for kind in ("ess", "sahara", "oml", "mrs")),
    ],
)
def test_a_first_call_goes_out_unseen_only_where_its_answer_tells(
    build: Any, kind: str, verb: Verb, *, expected: bool
) -> None:
    assert needs_look(build.cancellation(verb=verb), build.policy(kind)) is expected


@pytest.mark.parametrize("last", list(AnswerKind))
def test_a_job_that_was_called_before_is_looked_at_first(build: Any, last: AnswerKind) -> None:
    assert needs_look(build.cancellation(sent=build.cancelled(last)), build.policy())


def test_a_job_that_was_looked_at_before_is_looked_at_again(build: Any) -> None:
    assert needs_look(build.cancellation(looked_at=build.now), build.policy())


def test_what_redis_may_have_forgotten_is_looked_at_first(build: Any) -> None:
    assert needs_look(build.cancellation(), build.policy(), lost_at=build.now)


def test_what_was_accepted_after_redis_came_back_is_not_suspect(build: Any) -> None:
    assert not needs_look(build.cancellation(), build.policy(), lost_at=build.at(-1))


def test_what_an_operator_has_withdrawn_is_not_looked_at(build: Any) -> None:
    assert not needs_look(build.cancellation(verb=Verb.DELETE, aborted="ann"), build.policy(), lost_at=build.now)


def test_an_unseen_first_pass_cancels(build: Any) -> None:
    assert decide(build.cancellation(), None, build.policy(), build.now) == CANCEL


@pytest.mark.parametrize("state", ALIVE)
@pytest.mark.parametrize("kind", ["ess", "mrs", "sahara"])
def test_a_job_that_is_alive_is_cancelled(build: Any, kind: str, state: str) -> None:
    assert decide(build.cancellation(), build.seen(state), build.policy(kind), build.now) == CANCEL


@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize(("state", "sends"), [("active", True), ("unknown", False), ("cancelling", False)])
def test_a_stop_that_destroys_the_result_needs_a_sign_that_the_job_runs(
    build: Any, verb: Verb, state: str, *, sends: bool
) -> None:
    decision = decide(build.cancellation(verb=verb), build.seen(state), build.policy("oml"), build.now)
    assert isinstance(decision, Send) is sends


def test_a_job_that_somebody_else_is_cancelling_gets_our_cancel_too(build: Any) -> None:
    assert decide(build.cancellation(), build.stuck(99999), build.policy(), build.now) == CANCEL


@pytest.mark.parametrize("seen", [None, "active", "succeeded"])
def test_a_withdrawn_cancellation_ends_as_aborted_whatever_is_seen(build: Any, seen: str | None) -> None:
    cancellation = build.cancellation(aborted="ann: wrong job", sent=build.cancelled())
    end = decide(cancellation, build.seen(seen) if seen else None, build.policy(), build.now)
    assert end == Finish(Outcome.ABORTED, Evidence.NONE, "withdrawn by ann: wrong job")


@pytest.mark.parametrize("state", ENDS)
@pytest.mark.parametrize("sent", ["", *AnswerKind])
def test_a_cancel_sends_nothing_once_the_job_has_ended(build: Any, state: str, sent: str) -> None:
    cancellation = build.cancellation(sent=build.cancelled(sent) if sent else {}, seen_alive=True)
    assert isinstance(decide(cancellation, build.seen(state), build.policy(), build.now), Finish)


def test_an_end_counts_even_when_it_is_seen_after_the_time_is_over(build: Any) -> None:
    cancellation = build.cancellation(sent=build.cancelled(), seen_alive=True, give_up=10)
    end = decide(cancellation, build.seen("cancelled"), build.policy(), build.at(11))
    assert isinstance(end, Finish)
    assert end.outcome is Outcome.CANCELLED


@pytest.mark.parametrize(
    ("seen", "changes", "words"),
    [
        pytest.param("active", {"raw": "RUNNING", "sent": True}, ["last seen 'RUNNING'"], id="alive"),
        pytest.param("cancelling", {"raw": "CANCELLING", "sent": True}, ["last seen 'CANCELLING'"], id="stuck"),
        pytest.param(None, {}, ["the job was never seen", "nothing was sent"], id="never-even-tried"),
        pytest.param("failed look", {"note": "the last look failed: 503 down", "sent": True}, ["503 down"], id="blind"),
        pytest.param(
            "active",
            {"turned_down": "0192 no such user"},
            ["the cancel was answered: 0192 no such user"],
            id="turned-down",
        ),
    ],
)
def test_gives_up_when_the_time_is_over_and_tells_the_last_answer(
    build: Any, seen: str | None, changes: dict[str, Any], words: list[str]
) -> None:
    sent = build.cancelled() if changes.pop("sent", False) else {}
    if why := changes.pop("turned_down", ""):
        sent = build.cancelled("rejected", detail=why)
    what = build.answer("unanswered") if seen == "failed look" else build.seen(seen) if seen else None
    end = decide(build.cancellation(give_up=60, sent=sent, **changes), what, build.policy(), build.at(60))
    assert isinstance(end, Finish)
    assert (end.outcome, end.evidence, end.safe_to_rerun) == (Outcome.TIMED_OUT, Evidence.NONE, False)
    assert all(word in end.detail for word in words)


def test_an_end_that_may_be_taken_back_is_looked_at_until_the_deadline_and_then_told_unverified(build: Any) -> None:
    cancellation = build.cancellation(sent=build.cancelled("rejected"), give_up=60, seen_alive=True)
    seen = build.seen("failed", "SUSPENDFAILED", provisional=True)

    assert not isinstance(decide(cancellation, seen, build.policy("sahara"), build.at(59)), Finish)
    end = decide(cancellation, seen, build.policy("sahara"), build.at(60))
    assert (end.outcome, end.evidence) == (Outcome.COMPLETED_ANYWAY, Evidence.UNVERIFIED)


def test_an_end_that_may_be_taken_back_is_cancelled_again_by_the_rule(build: Any) -> None:
    cancellation = build.cancellation(sent=build.cancelled("rejected"))
    seen = build.seen("failed", "SUSPENDFAILED", provisional=True)
    assert decide(cancellation, seen, build.policy("sahara"), build.at(2)) == CANCEL


def test_a_delete_whose_record_stays_gives_up_too(build: Any) -> None:
    sent = {Action.DELETE: build.sent("unanswered")}
    cancellation = build.cancellation(verb=Verb.DELETE, sent=sent, give_up=60)
    end = decide(cancellation, build.seen("cancelled"), build.policy(), build.at(60))
    assert isinstance(end, Finish)
    assert end.outcome is Outcome.TIMED_OUT


def test_a_moment_before_the_time_is_over_it_goes_on(build: Any) -> None:
    assert decide(build.cancellation(give_up=60), None, build.policy(), build.at(59.999)) == CANCEL


# Delete


@pytest.mark.parametrize(
    ("kind", "state", "expected"),
    [
        pytest.param("ess", "active", CANCEL, id="ess-alive-is-cancelled-first"),
        pytest.param("sahara", "active", CANCEL, id="sahara-alive-is-cancelled-first"),
        pytest.param("oml", "active", DELETE, id="oml-delete-stops"),
        pytest.param("mrs", "active", CANCEL, id="mrs-alive-is-cancelled-first"),
        *(pytest.param(kind, "succeeded", DELETE, id=f"{kind}-final") for kind in ("ess", "sahara", "oml", "mrs")),
        *(pytest.param(kind, "cancelled", DELETE, id=f"{kind}-cancelled") for kind in ("ess", "sahara", "oml", "mrs")),
    ],
)
def test_a_delete_never_takes_a_record_from_over_a_running_job(
    build: Any, kind: str, state: str, expected: Send
) -> None:
    cancellation = build.cancellation(verb=Verb.DELETE)
    assert decide(cancellation, build.seen(state), build.policy(kind), build.now) == expected


def test_a_delete_waits_for_the_stop_before_it_removes_the_record(build: Any) -> None:
    cancellation = build.cancellation(verb=Verb.DELETE, sent=build.cancelled())
    assert isinstance(decide(cancellation, build.stuck(1), build.policy(), build.at(9)), Wait)


@pytest.mark.parametrize("state", ["active", "succeeded"])
def test_a_record_that_can_not_be_deleted_is_refused_before_anything_is_sent(build: Any, state: str) -> None:
    seen = build.seen(state, undeletable="only a top request can be deleted")
    end = decide(build.cancellation(verb=Verb.DELETE), seen, build.policy(), build.now)
    assert end == Finish(Outcome.REFUSED, Evidence.NONE, "only a top request can be deleted")


@pytest.mark.parametrize("seen", ["gone"])
def test_a_delete_ends_when_the_record_is_gone(build: Any, seen: str) -> None:
    sent = {Action.DELETE: build.sent("unanswered")}
    cancellation = build.cancellation(verb=Verb.DELETE, sent=sent, end=End(JobState.CANCELLED, "X"), seen_alive=True)
    end = decide(cancellation, build.seen(seen), build.policy(), build.now)
    assert isinstance(end, Finish)
    assert end.outcome is Outcome.DELETED


def test_a_cancel_that_removes_the_record_is_not_doubled_by_a_delete_that_joins(build: Any) -> None:
    cancellation = build.cancellation(verb=Verb.DELETE, sent=build.cancelled())
    assert isinstance(decide(cancellation, build.seen(), build.policy("oml"), build.at(999)), Wait)


@pytest.mark.parametrize(("later", "expected"), [(1.9, None), (2.0, DELETE)], ids=["too-early", "poll-first-later"])
def test_a_delete_that_is_the_same_call_as_an_unanswered_cancel_repeats_it_by_the_rule(
    build: Any, later: float, expected: Send | None
) -> None:
    cancellation = build.cancellation(verb=Verb.DELETE, sent=build.cancelled("unanswered"))
    decision = decide(cancellation, build.seen(), build.policy("oml"), build.at(later))
    assert decision == expected if expected else isinstance(decision, Wait)


def test_a_delete_follows_an_accepted_cancel_that_left_the_record(build: Any) -> None:
    cancellation = build.cancellation(verb=Verb.DELETE, sent=build.cancelled())
    assert decide(cancellation, build.seen("succeeded"), build.policy("oml"), build.at(1)) == DELETE


# Waits


@pytest.mark.parametrize(("waits", "longest"), [(0, 2), (1, 4), (4, 32), (5, 60), (5000, 60)])
def test_looks_at_a_stopping_job_grow_from_first_to_max(build: Any, waits: int, longest: float) -> None:
    cancellation = build.cancellation(sent=build.cancelled(), waits=waits)
    wait = until(build, decide(cancellation, build.seen(), build.policy(), build.now))
    assert 0.8 * longest <= wait <= longest


def test_the_looks_at_many_jobs_spread(build: Any) -> None:
    waits = {
        until(
            build,
            decide(build.cancellation(id=str(n), sent=build.cancelled()), build.seen(), build.policy(), build.now),
        )
        for n in range(50)
    }
    assert len(waits) > 40


@pytest.mark.parametrize(
    ("changes", "now", "expected"),
    [
        pytest.param({"give_up": 10}, 0, 10, id="give-up"),
        pytest.param({}, 3590, 3600, id="warning"),
        pytest.param({"overdue": True}, 3590, 3650, id="warned-already"),
        pytest.param({}, 3600, 3660, id="warning-is-due-now"),
    ],
)
def test_no_wait_goes_past_the_next_thing_that_matters(
    build: Any, changes: dict[str, Any], now: float, expected: float
) -> None:
    policy = build.policy(poll=Poll(60.0, 60.0, 1.0))
    cancellation = build.cancellation(sent=build.cancelled("unanswered", at=now), **changes)
    assert until(build, decide(cancellation, build.seen(), policy, build.at(now))) == expected


def test_what_matters_without_a_call_is_the_warning_then_the_end(build: Any) -> None:
    assert matters(build.cancellation(), build.policy()) == build.at(3600)
    assert matters(build.cancellation(overdue=True), build.policy()) == build.at(86400)
    assert matters(build.cancellation(give_up=60), build.policy()) == build.at(60)


def test_is_overdue_from_warn_after_on_and_once(build: Any) -> None:
    assert warn_at(build.cancellation(), build.policy()) == build.at(3600)
    assert warn_at(build.cancellation(overdue=True), build.policy()) == FAR


def test_a_stuck_job_is_only_waited_for_without_a_force_step(build: Any) -> None:
    cancellation = build.cancellation(sent=build.cancelled(), cancelling={"1": Sighting(build.now)})
    assert isinstance(decide(cancellation, build.stuck(99999), build.policy("sahara"), build.at(9999)), Wait)
