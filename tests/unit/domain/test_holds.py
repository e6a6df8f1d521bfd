"""Operators' holds: no changing call, and time that stands still."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from worker.domain import evolve
from worker.domain.cancellation import OperatorHold, Sighting
from worker.domain.decision import Finish, Hold, Send, Wait
from worker.domain.escalation import decide, matters, needs_look, warn_at
from worker.domain.force_gate import refused_wait
from worker.domain.model import Action, Force, Outcome, Verb


def hold(build: Any, since: float = 0, until: float | None = None, **changes: Any) -> OperatorHold:
    return OperatorHold("ann", "wait", build.at(since), None if until is None else build.at(until), **changes)


# No call


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        pytest.param({}, "active", id="the-cancel"),
        pytest.param({"verb": Verb.DELETE}, "succeeded", id="the-delete"),
        pytest.param({"sent": "unanswered"}, "active", id="a-repeat"),
    ],
)
def test_a_hold_keeps_back_each_changing_call(build: Any, changes: dict[str, Any], state: str) -> None:
    if "sent" in changes:
        changes = {"sent": build.cancelled("unanswered", at=-60)}
    one = build.cancellation(**changes)
    seen = build.seen(state)
    held = replace(one, spec=replace(one.spec, hold=hold(build)))
    free, kept = (decide(each, seen, build.policy(), build.now) for each in (one, held))

    assert isinstance(free, Send)
    assert isinstance(kept, Wait)
    assert f"held by ann: no {free.action} is sent" in kept.why
    assert kept.until > build.now


def test_an_open_force_gate_stays_behind_a_hold(build: Any) -> None:
    one = build.cancellation(sent=build.cancelled(), clock=build.steady(), remote_stopped="ann", hold=hold(build))
    assert isinstance(decide(one, build.stuck(), build.policy(), build.now), Wait)


def test_a_shut_force_gate_is_told_in_a_hold_too(build: Any) -> None:
    one = build.cancellation(sent=build.cancelled(), clock=build.steady(), force=Force.ATTESTED, hold=hold(build))
    assert isinstance(decide(one, build.stuck(), build.policy(), build.now), Hold)


def test_a_held_job_is_looked_at_before_anything_is_decided(build: Any) -> None:
    assert not needs_look(build.cancellation(), build.policy())
    assert needs_look(build.cancellation(hold=hold(build)), build.policy())


@pytest.mark.parametrize("state", ["cancelled", "succeeded", "gone"])
def test_an_observed_end_ends_a_held_cancellation(build: Any, state: str) -> None:
    one = build.cancellation(hold=hold(build), seen_alive=True)
    assert isinstance(decide(one, build.seen(state), build.policy(), build.now), Finish)


def test_an_abort_ends_a_held_cancellation(build: Any) -> None:
    decision = decide(build.cancellation(hold=hold(build), aborted="bob: no"), None, build.policy(), build.now)
    assert isinstance(decision, Finish)
    assert decision.outcome is Outcome.ABORTED


# Time


def test_a_held_cancellation_is_not_given_up(build: Any) -> None:
    one = build.cancellation(give_up=60, hold=hold(build, 30))
    assert isinstance(decide(one, build.seen(), build.policy(), build.at(10_000)), Wait)
    assert isinstance(decide(one, build.answer("unanswered"), build.policy(), build.at(10_000)), Wait)


def test_what_was_over_before_the_hold_is_given_up(build: Any) -> None:
    decision = decide(build.cancellation(give_up=60, hold=hold(build, 60)), build.seen(), build.policy(), build.at(61))
    assert isinstance(decision, Finish)
    assert decision.outcome is Outcome.TIMED_OUT


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        pytest.param({}, 60, id="none"),
        pytest.param({"hold": (10, None)}, 150, id="held"),
        pytest.param({"hold": (10, 40)}, 90, id="a-hold-that-is-over"),
        pytest.param({"hold": (10, None), "not_before": 20}, 140, id="held-since-before-it-began"),
        pytest.param({"hold": (10, 20), "not_before": 30}, 60, id="held-only-before-it-began"),
    ],
)
def test_the_time_to_give_up_moves_by_the_hold(build: Any, changes: dict[str, Any], left: float) -> None:
    if "hold" in changes:
        changes = {**changes, "hold": hold(build, *changes["hold"])}
    if "not_before" in changes:
        changes = {**changes, "not_before": build.at(changes["not_before"])}
    assert build.cancellation(give_up=60, **changes).gives_up_at(build.at(100)) == build.at(left)


def test_no_wait_goes_past_the_end_of_the_hold(build: Any) -> None:
    one = build.cancellation(hold=hold(build, 0, 1), waits=9)
    decision = decide(one, build.seen(), build.policy(), build.at(0.5))
    assert isinstance(decision, Wait)
    assert decision.until == build.at(1)


def test_a_hold_that_should_be_over_is_not_waited_for(build: Any) -> None:
    decision = decide(build.cancellation(hold=hold(build, 0, 1)), build.seen(), build.policy(), build.at(1.5))
    assert isinstance(decision, Wait)
    assert decision.until == build.at(1.5)


def test_a_wait_for_not_before_ends_with_the_hold(build: Any) -> None:
    one = build.cancellation(not_before=build.at(60), hold=hold(build, 0, 20))
    decision = decide(one, None, build.policy(), build.at(1))
    assert isinstance(decision, Wait)
    assert decision.until == build.at(20)


def test_a_held_cancellation_becomes_overdue_all_the_same(build: Any) -> None:
    assert warn_at(build.cancellation(hold=hold(build)), build.policy(warn_after=60)) == build.at(60)


@pytest.mark.parametrize(
    ("until", "seconds"), [pytest.param(40, 90, id="ends-by-itself"), pytest.param(None, None, id="without-an-end")]
)
def test_the_next_deadline_is_the_moved_one(build: Any, until: float | None, seconds: float | None) -> None:
    at = matters(build.cancellation(give_up=60, overdue=True, hold=hold(build, 10, until)), build.policy())
    assert at == build.at(seconds) if seconds is not None else at.year > 2800


def test_our_wait_for_the_force_stands_still(build: Any) -> None:
    one = build.cancellation(
        sent=build.cancelled(), cancelling={"1": Sighting(build.now, "")}, force_after=1800.0, held_for=600.0
    )
    seen = build.seen("cancelling")
    policy = build.policy(force=Force.AUTO)
    early, due = (decide(one, seen, policy, build.at(at)) for at in (2399, 2400))

    assert isinstance(early, Wait)
    assert due == Send(Action.FORCE, "1")


def test_what_was_held_before_the_sight_does_not_count(build: Any) -> None:
    one = build.cancellation(
        sent=build.cancelled(), cancelling={"1": Sighting(build.now, held=600.0)}, force_after=1800.0, held_for=600.0
    )
    assert isinstance(decide(one, build.seen("cancelling"), build.policy(force=Force.AUTO), build.at(1800)), Send)


def test_the_backends_own_clock_goes_on(build: Any) -> None:
    one = build.cancellation(
        sent=build.cancelled(), clock=build.steady(), remote_stopped="ann", held_for=1700.0, force_after=1800.0
    )
    assert decide(one, build.stuck(1800), build.policy(), build.now) == Send(Action.FORCE, "1")


def test_the_pause_after_a_refused_force_stands_still(build: Any) -> None:
    sent = {"force:1": build.sent("rejected", held=10.0)}
    one = build.cancellation(sent=sent, force_after=60.0, held_for=30.0)
    assert refused_wait(one, build.seen("cancelling"), build.policy(force_after=60), build.at(50)) == 30


def test_sights_and_calls_remember_how_long_it_was_held(build: Any) -> None:
    one = build.cancellation(held_for=20.0, hold=hold(build, 10))
    looked = build.looked(one, build.seen("cancelling"), 15)
    called = evolve.answered(one, Send(Action.CANCEL, "1"), build.answer("accepted"), build.policy(), build.at(16))

    assert looked.progress.cancelling["1"].held == 25.0
    assert called.progress.sent["cancel"].held == 26.0


@pytest.mark.parametrize(("signed_by", "whose"), [("", "ann"), ("ops", "ops (signed) as ann")], ids=["plain", "signed"])
def test_a_hold_names_who_ordered_it(build: Any, signed_by: str, whose: str) -> None:
    one = build.cancellation(hold=hold(build, signed_by=signed_by))
    decision: Any = decide(one, build.seen("active"), build.policy(), build.at(1))
    assert f"; held by {whose}: no" in decision.why
