"""A `Retry-After` in a look's replies: what waits for it, for how long, and what does not wait."""

from __future__ import annotations

from typing import Any

import pytest

from worker.domain import evolve
from worker.domain.cancellation import OperatorHold
from worker.domain.decision import Finish, Hold, Send, Wait
from worker.domain.escalation import after_answer, decide, next_pass, to_probe
from worker.domain.model import Action, Force, Observation, Poll, Verb

ASKED = 40.0


def after_look(build: Any, seen: Observation, at: float = 0, kind: str = "ess", **changes: Any) -> Any:
    """What is decided after a look that began and ended at these times."""
    one = build.looked(build.cancellation(**changes), seen, at, kind=kind)
    return decide(one, seen, build.policy(kind), build.at(at))


def stuck(build: Any) -> Any:
    """A cancellation whose force step lacks only somebody's word, after a look that asked for time."""
    return build.cancellation(
        sent=build.cancelled(),
        clock=build.steady(),
        force=Force.ATTESTED,
        looked_at=build.now,
        quiet_until=build.at(ASKED),
    )


def until(build: Any, decision: Any) -> float:
    assert isinstance(decision, Wait | Hold)
    return float((decision.until - build.now).total_seconds())


@pytest.mark.parametrize(
    ("seen", "changes"),
    [
        pytest.param({"state": "active"}, {}, id="a-poll"),
        pytest.param({"state": "cancelling"}, {}, id="the-force-step-is-ahead"),
        pytest.param({"state": "gone", "source": "unsure"}, {}, id="an-end-in-doubt"),
        pytest.param({"state": "cancelled"}, {"verb": Verb.DELETE, "sent": "deleted"}, id="a-delete-is-not-confirmed"),
    ],
)
def test_a_look_comes_no_sooner_than_the_last_ones_replies_asked(
    build: Any, seen: dict[str, Any], changes: dict[str, Any]
) -> None:
    sent = {Action.CANCEL: build.sent(), Action.DELETE: build.sent()}
    changes = {**changes, "sent": sent if "sent" in changes else build.cancelled()}
    assert until(build, after_look(build, build.seen(**seen, retry_after=ASKED), **changes)) == ASKED


@pytest.mark.parametrize(
    ("asked", "changes", "due"),
    [
        pytest.param(1.0, {}, 2, id="sooner-than-the-poll"),
        pytest.param(86_400.0, {}, 300, id="five-minutes-at-most"),
        pytest.param(86_400.0, {"give_up": 100}, 100, id="the-deadline"),
        pytest.param(86_400.0, {"hold": 70}, 70, id="the-end-of-a-hold"),
    ],
)
def test_it_is_bounded_as_after_a_look_that_fails(
    build: Any, asked: float, changes: dict[str, Any], due: float
) -> None:
    if "hold" in changes:
        changes = {"hold": OperatorHold("ops", "wait", build.now, build.at(changes["hold"]))}
    decision = after_look(build, build.seen(retry_after=asked), sent=build.cancelled(), **changes)
    assert 0.8 * due <= until(build, decision) <= due


def test_a_shut_gate_is_looked_at_again_no_sooner(build: Any) -> None:
    decision = decide(stuck(build), build.stuck(9999), build.policy(), build.now)
    assert isinstance(decision, Hold)
    assert until(build, decision) == ASKED


def test_an_end_that_is_seen_ends_it_at_once(build: Any) -> None:
    seen = build.seen("cancelled", retry_after=ASKED)
    assert isinstance(after_look(build, seen, sent=build.cancelled()), Finish)


@pytest.mark.parametrize(
    ("kind", "seen", "changes", "action"),
    [
        pytest.param("mrs", {}, {}, Action.CANCEL, id="the-first-cancel"),
        pytest.param("oml", {}, {}, Action.CANCEL, id="the-first-cancel-that-removes"),
        pytest.param("ess", {"state": "succeeded"}, {"verb": Verb.DELETE}, Action.DELETE, id="the-delete"),
    ],
)
def test_the_call_for_which_a_look_was_made_does_not_wait(
    build: Any, kind: str, seen: dict[str, Any], changes: dict[str, Any], action: Action
) -> None:
    """The call is based on this look: after a wait, another look would be needed, which may ask for time again."""
    decision = after_look(build, build.seen(**seen, retry_after=ASKED), kind=kind, **changes)
    assert decision == Send(action, "1")


@pytest.mark.parametrize("kind", ["accepted", "unanswered", "rejected", "busy"])
def test_after_that_call_the_next_one_waits(build: Any, kind: str) -> None:
    one = build.looked(build.cancellation(), build.seen(retry_after=ASKED), 0, kind="mrs")
    send, answer = Send(Action.CANCEL, "1"), build.answer(kind, 200)
    one = evolve.answered(evolve.intended(one, send, build.now), send, answer, build.policy("mrs"), build.at(1))
    decision = after_answer(one, send, answer, build.policy("mrs"), build.at(1))
    assert until(build, decision) == ASKED


def test_a_snapshot_in_an_answer_shortens_nothing(build: Any) -> None:
    one = build.looked(build.cancellation(), build.seen(retry_after=ASKED), 0)
    one = evolve.observed(one, build.seen(), build.policy(), build.at(1))
    assert one.progress.quiet_until == build.at(ASKED)


def test_what_is_left_to_a_new_pass_waits_for_its_look(build: Any) -> None:
    one = build.looked(build.cancellation(), build.seen(retry_after=ASKED), 0)
    assert next_pass(one, build.policy(), build.at(1), slow=False) == build.at(ASKED)


def test_without_it_a_new_pass_follows_at_once(build: Any) -> None:
    one = build.looked(build.cancellation(), build.seen(), 0)
    assert next_pass(one, build.policy(), build.at(1), slow=False) == build.at(1)


def test_a_new_pass_after_a_look_that_took_too_long_comes_later_each_time(build: Any) -> None:
    policy = build.policy(poll=Poll(2.0, 60.0))
    ones = [build.cancellation(waits=waits) for waits in range(4)]
    again = [next_pass(one, policy, build.at(1), slow=True) for one in ones]

    assert again[0] > build.at(2)
    assert again == sorted(again)


def test_it_is_forgotten_once_it_is_over(build: Any) -> None:
    one = build.looked(build.cancellation(), build.seen(retry_after=ASKED), 0)
    assert build.looked(one, build.seen(), ASKED).progress.quiet_until is None


def test_the_second_source_is_another_system_and_is_asked_meanwhile(build: Any) -> None:
    seen = build.stuck(9999, retry_after=ASKED)
    assert to_probe(stuck(build), seen, build.policy(probes=True), build.now) == ("1",)
