from __future__ import annotations

from typing import Any

import pytest

from worker.domain.decision import Finish, Send, Wait
from worker.domain.escalation import after_answer
from worker.domain.evolve import answered, observed
from worker.domain.model import Action, Answer, AnswerKind, Evidence, Outcome, Verb

CANCEL = Send(Action.CANCEL, "1")


def after(build: Any, answer: Answer, send: Send = CANCEL, *, kind: str = "ess", **changes: Any) -> Any:
    """What is decided after an answer, taken in as by a pass."""
    policy = build.policy(kind)
    cancellation = answered(build.cancellation(**changes), send, answer, policy, build.now)
    if answer.before is not None:
        cancellation = observed(cancellation, answer.before, policy, build.now)
    return after_answer(cancellation, send, answer, policy, build.now)


@pytest.mark.parametrize("action", [Action.CANCEL, Action.FORCE, Action.DELETE])
def test_a_refusal_ends_the_cancellation_and_says_why(build: Any, action: Action) -> None:
    end = after(build, build.answer("refused", 403, detail="no right"), Send(action, "1"))
    assert end == Finish(Outcome.REFUSED, Evidence.NONE, "no right")


@pytest.mark.parametrize("action", [Action.CANCEL, Action.DELETE])
def test_a_refusal_after_an_unanswered_try_is_final_only_once_a_look_shows_the_job_alive(
    build: Any, action: Action
) -> None:
    refused, sent = build.answer("refused", 400, detail="no right"), {action: build.sent("unanswered", -9)}
    wait = after(build, refused, Send(action, "1"), sent=sent)

    assert (wait.until, "an earlier" in wait.why) == (build.now, True)


@pytest.mark.parametrize("action", [Action.CANCEL, Action.FORCE, Action.DELETE])
def test_a_2xx_ends_nothing(build: Any, action: Action) -> None:
    assert after(build, build.answer("accepted", 200), Send(action, "1")).until == build.at(2)


def test_an_unanswered_call_is_looked_at_poll_first_later(build: Any) -> None:
    assert after(build, build.answer("unanswered")).until == build.at(2)


@pytest.mark.parametrize("kind", [AnswerKind.REJECTED, AnswerKind.NOT_FOUND])
def test_what_was_not_taken_is_looked_at_at_once(build: Any, kind: AnswerKind) -> None:
    wait = after(build, build.answer(kind, 400))
    assert wait == Wait(build.now, "see why the cancel was not accepted")


@pytest.mark.parametrize(("asked", "due"), [(None, 2), (0.0, 2), (30.0, 30)])
def test_a_busy_backend_is_tried_again_when_it_says_and_not_before_poll_first(
    build: Any, asked: float | None, due: float
) -> None:
    assert after(build, build.answer("busy", 429, retry_after=asked)).until == build.at(due)


def test_a_busy_backend_does_not_hold_us_past_the_end(build: Any) -> None:
    assert after(build, build.answer("busy", 429, retry_after=86400), give_up=60).until == build.at(60)


def test_an_answer_after_the_end_of_the_time_is_followed_by_a_last_look(build: Any) -> None:
    assert after(build, build.answer("busy", 429, retry_after=86400), give_up=-1).until == build.at(2)


@pytest.mark.parametrize("kind", [AnswerKind.ACCEPTED, AnswerKind.UNANSWERED])
def test_after_a_childs_force_the_other_children_are_looked_for_at_once(build: Any, kind: AnswerKind) -> None:
    assert after(build, build.answer(kind, 200), Send(Action.FORCE, "7")).until == build.now


# Refusals in doubt, and when to come back


@pytest.mark.parametrize("action", [Action.CANCEL, Action.FORCE, Action.DELETE])
@pytest.mark.parametrize(
    ("source", "changes"),
    [
        pytest.param("unsure", {}, id="F3-403-html"),
        pytest.param("own", {"retry_after": 2.0}, id="F3-403-json-and-retry-after"),
        pytest.param("credential", {}, id="F3-401-html"),
    ],
)
def test_a_refusal_in_doubt_is_tried_again(build: Any, action: Action, source: str, changes: dict[str, Any]) -> None:
    wait = after(build, build.answer("refused", 403, source, **changes), Send(action, "1"))
    assert wait == Wait(build.at(2), f"try the {action} again")


def refused_for(build: Any, source: str, row: tuple[Any, ...], at: float, **changes: Any) -> Any:
    """What is decided after a refused cancel, the latest of several in a row."""
    sent = build.cancelled("refused", doubt=build.doubt(*row), count=row[3])
    answer = build.answer("refused", 403, source, detail="no", **changes)
    cancellation = answered(build.cancellation(sent=sent), CANCEL, answer, build.policy(), build.at(at))
    return after_answer(cancellation, CANCEL, answer, build.policy(), build.at(at))


@pytest.mark.parametrize(
    ("source", "row"),
    [("unsure", ("refused", 0, 60, 2)), ("credential", ("credential", 0, 60, 2))],
    ids=["of-the-job", "of-the-credential"],
)
@pytest.mark.parametrize(("at", "ends"), [(119.9, False), (120, True)], ids=["a-moment-too-short", "long-enough"])
def test_a_doubtful_refusal_ends_the_cancellation_once_it_has_lasted(
    build: Any, source: str, row: tuple[Any, ...], at: float, *, ends: bool
) -> None:
    end = refused_for(build, source, row, at)
    assert isinstance(end, Finish) is ends
    assert not ends or end == Finish(Outcome.REFUSED, Evidence.NONE, "no")


def test_a_refusal_of_the_job_after_refusals_of_the_credential_begins_anew(build: Any) -> None:
    assert isinstance(refused_for(build, "unsure", ("credential", 0, 600, 9), 600), Wait)


def test_a_doubtful_refusal_is_tried_again_often_enough_to_be_believed(build: Any) -> None:
    wait = refused_for(build, "unsure", ("refused", 0, 40, 8), 41)
    assert wait.until == build.at(71)


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        pytest.param("accepted", "own", id="accepted"),
        pytest.param("unanswered", "nobody", id="F10-503-to-the-cancel"),
        pytest.param("rejected", "own", id="rejected"),
        pytest.param("not_found", "unsure", id="not-found"),
        pytest.param("busy", "own", id="F10-429"),
        pytest.param("refused", "unsure", id="F3-403-and-retry-after"),
        pytest.param("refused", "credential", id="401-and-retry-after"),
    ],
)
@pytest.mark.parametrize("asked", [4.0, 250.0])
def test_f10_a_backend_that_says_when_to_come_back_is_not_asked_before(
    build: Any, kind: str, source: str, asked: float
) -> None:
    answer = build.answer(kind, 503, source, retry_after=asked)
    assert after(build, answer).until == build.at(asked)


@pytest.mark.parametrize("kind", ["accepted", "unanswered", "rejected", "not_found"])
def test_a_retry_after_delays_a_look_by_five_minutes_at_most(build: Any, kind: str) -> None:
    assert after(build, build.answer(kind, 503, retry_after=86400)).until == build.at(300)


@pytest.mark.parametrize("kind", ["accepted", "unanswered"])
def test_f10_a_retry_after_delays_the_look_after_a_childs_force(build: Any, kind: str) -> None:
    assert after(build, build.answer(kind, 503, retry_after=40), Send(Action.FORCE, "7")).until == build.at(40)


# Sahara answers with a snapshot from before the call


def snapshot(build: Any, state: str) -> Answer:
    return build.answer("accepted", 200, before=build.seen(state))


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_a_snapshot_of_an_ended_job_ends_a_cancel_as_already_finished(build: Any, state: str) -> None:
    end = after(build, snapshot(build, state), kind="sahara")
    assert (end.outcome, end.evidence, end.safe_to_rerun) == (Outcome.ALREADY_FINISHED, Evidence.REPORTED, True)


@pytest.mark.parametrize("state", ["succeeded", "cancelled"])
def test_a_snapshot_of_an_ended_job_counts_even_if_an_earlier_look_saw_it_alive(build: Any, state: str) -> None:
    end = after(build, snapshot(build, state), kind="sahara", seen_alive=True)
    assert end.outcome is Outcome.ALREADY_FINISHED


@pytest.mark.parametrize(
    ("state", "outcome"), [("cancelled", Outcome.CANCELLED), ("succeeded", Outcome.COMPLETED_ANYWAY)]
)
def test_a_snapshot_of_a_repeat_shows_an_end_after_the_first_try(build: Any, state: str, outcome: Outcome) -> None:
    sent = build.cancelled("unanswered", at=-5)
    end = after(build, snapshot(build, state), kind="sahara", sent=sent, seen_alive=True)
    assert end.outcome is outcome


def test_r5_a_cancel_that_a_failed_suspend_ignored_is_looked_at_and_not_ended(build: Any) -> None:
    before = build.seen("failed", "SUSPENDFAILED", provisional=True)
    assert isinstance(after(build, build.answer("rejected", 200, before=before), kind="sahara"), Wait)


@pytest.mark.parametrize("state", ["active", "unknown", "cancelling"])
def test_a_snapshot_of_a_living_job_ends_nothing(build: Any, state: str) -> None:
    assert after(build, snapshot(build, state), kind="sahara").until == build.at(2)


def test_a_snapshot_of_an_ended_job_does_not_end_a_delete(build: Any) -> None:
    wait = after(build, snapshot(build, "succeeded"), kind="sahara", verb=Verb.DELETE)
    assert isinstance(wait, Wait)
