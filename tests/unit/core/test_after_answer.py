from __future__ import annotations

from typing import Any

import pytest

from worker.decision import Finish, Send, Wait
from worker.escalation import after_answer
from worker.evolve import answered, observed
from worker.model import Action, Answer, AnswerKind, Evidence, Outcome, Verb

CANCEL = Send(Action.CANCEL, "1")


def after(build: Any, answer: Answer, send: Send = CANCEL, *, kind: str = "ess", **changes: Any) -> Any:
    """What follows on an answer, as a pass takes it in."""
    policy = build.policy(kind)
    cancellation = answered(build.cancellation(**changes), send, answer, policy, build.now)
    if answer.before is not None:
        cancellation = observed(cancellation, answer.before, policy, build.now)
    return after_answer(cancellation, send, answer, policy, build.now)


@pytest.mark.parametrize("action", [Action.CANCEL, Action.FORCE, Action.DELETE])
def test_a_refusal_ends_the_cancellation_and_says_why(build: Any, action: Action) -> None:
    end = after(build, build.answer("refused", 403, detail="no right"), Send(action, "1"))
    assert end == Finish(Outcome.REFUSED, Evidence.NONE, "no right")


@pytest.mark.parametrize("action", [Action.CANCEL, Action.FORCE, Action.DELETE])
def test_a_2xx_ends_nothing(build: Any, action: Action) -> None:
    assert after(build, build.answer("accepted", 200), Send(action, "1")).until == build.at(2)


def test_an_unanswered_call_is_looked_at_poll_first_later(build: Any) -> None:
    assert after(build, build.answer("unanswered")).until == build.at(2)


@pytest.mark.parametrize("kind", [AnswerKind.REJECTED, AnswerKind.NOT_FOUND])
def test_what_was_not_taken_is_looked_at_at_once(build: Any, kind: AnswerKind) -> None:
    wait = after(build, build.answer(kind, 400))
    assert wait == Wait(build.now, "look why the cancel was not taken")


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


# Sahara answers with a snapshot from before the call


def snapshot(build: Any, state: str) -> Answer:
    return build.answer("accepted", 200, before=build.seen(state))


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_a_snapshot_of_an_ended_job_ends_a_cancel_as_already_finished(build: Any, state: str) -> None:
    end = after(build, snapshot(build, state), kind="sahara")
    assert (end.outcome, end.evidence, end.safe_to_rerun) == (Outcome.ALREADY_FINISHED, Evidence.REPORTED, True)


@pytest.mark.parametrize("state", ["succeeded", "cancelled"])
def test_it_is_already_finished_also_when_an_earlier_look_saw_it_alive(build: Any, state: str) -> None:
    end = after(build, snapshot(build, state), kind="sahara", seen_alive=True)
    assert end.outcome is Outcome.ALREADY_FINISHED


@pytest.mark.parametrize(
    ("state", "outcome"), [("cancelled", Outcome.CANCELLED), ("succeeded", Outcome.COMPLETED_ANYWAY)]
)
def test_a_snapshot_of_a_repeat_shows_an_end_after_the_first_try(build: Any, state: str, outcome: Outcome) -> None:
    sent = build.cancelled("unanswered", at=-5)
    end = after(build, snapshot(build, state), kind="sahara", sent=sent, seen_alive=True)
    assert end.outcome is outcome


@pytest.mark.parametrize("state", ["active", "unknown", "cancelling"])
def test_a_snapshot_of_a_living_job_ends_nothing(build: Any, state: str) -> None:
    assert after(build, snapshot(build, state), kind="sahara").until == build.at(2)


def test_a_snapshot_of_an_ended_job_does_not_end_a_delete(build: Any) -> None:
    wait = after(build, snapshot(build, "succeeded"), kind="sahara", verb=Verb.DELETE)
    assert isinstance(wait, Wait)
