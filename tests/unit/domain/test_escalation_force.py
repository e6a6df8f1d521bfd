from __future__ import annotations

from typing import Any

import pytest

from worker.domain.cancellation import Sighting
from worker.domain.decision import Finish, Hold, Send, Wait
from worker.domain.escalation import decide, to_probe
from worker.domain.model import Action, Force, Outcome, Verb

FORCE = Send(Action.FORCE, "1")


def decided(build: Any, seen: Any, *, policy: Any = None, now: float = 9, **changes: Any) -> Any:
    """What is decided after a look at a job whose cancel was accepted."""
    auto = policy or build.policy(force=Force.AUTO)
    known = {"sent": build.cancelled(), "seen_alive": True, "clock": build.steady(now), "looked_at": build.at(now)}
    cancellation = build.cancellation(**{**known, **changes})
    return decide(cancellation, seen, auto, build.at(now))


@pytest.mark.parametrize("spent", [0, 1, 1799, 1799.999])
def test_never_forces_before_force_after_on_the_backends_clock(build: Any, spent: float) -> None:
    assert isinstance(decided(build, build.stuck(spent), now=80000), Wait)


@pytest.mark.parametrize("spent", [1800, 1800.001, 99999])
def test_forces_at_the_first_look_after_force_after(build: Any, spent: float) -> None:
    assert decided(build, build.stuck(spent), now=0) == FORCE


@pytest.mark.parametrize("state", ["active", "unknown"])
def test_a_job_that_is_not_seen_in_cancelling_is_never_forced(build: Any, state: str) -> None:
    seen = build.seen(state, since=build.now, clock=build.at(99999))
    assert isinstance(decided(build, seen), Wait)


def test_looks_when_the_force_step_comes_due(build: Any) -> None:
    wait = decided(build, build.stuck(1799), waits=50)
    assert wait.until == build.at(10)
    assert "the force step is due at 10:00:10 UTC" in wait.why


@pytest.mark.parametrize("answer", ["unanswered", "rejected", "busy"])
def test_a_cancel_that_was_not_taken_does_not_keep_a_stuck_job_from_the_force_step(build: Any, answer: str) -> None:
    assert decided(build, build.stuck(), sent=build.cancelled(answer)) == FORCE


def test_a_delete_forces_a_stuck_job_too(build: Any) -> None:
    assert decided(build, build.stuck(), verb=Verb.DELETE) == FORCE


def test_what_the_backend_said_of_a_force_goes_with_it(build: Any) -> None:
    assert decided(build, build.stuck(force_allowed=True)) == Send(Action.FORCE, "1", allowed=True)


def test_gives_up_rather_than_force_when_the_time_is_over(build: Any) -> None:
    end = decided(build, build.stuck(), give_up=9)
    assert isinstance(end, Finish)
    assert end.outcome is Outcome.TIMED_OUT


@pytest.mark.parametrize(
    ("policy", "spec", "changes", "shut"),
    [
        pytest.param("attested", {}, {}, ("remote_stopped",), id="nobody-gave-their-word"),
        pytest.param("auto", {"force": Force.ATTESTED}, {}, ("remote_stopped",), id="a-command-is-stricter"),
        pytest.param("never", {"remote_stopped": "ann"}, {}, ("policy_allows",), id="never-even-with-a-word"),
        pytest.param(
            "auto", {"force": Force.NEVER}, {}, ("policy_allows", "remote_stopped"), id="a-command-says-never"
        ),
        pytest.param("auto", {}, {"asynchronous": False}, ("asynchronous",), id="not-asynchronous"),
        pytest.param("auto", {}, {"force_allowed": False}, ("backend_allows",), id="the-backend-says-no"),
        pytest.param(
            "attested",
            {},
            {"asynchronous": False, "force_allowed": False},
            ("asynchronous", "backend_allows", "remote_stopped"),
            id="all-at-once",
        ),
    ],
)
def test_holds_what_is_due_and_says_which_preconditions_do_not_hold(
    build: Any, policy: str, spec: dict[str, Any], changes: dict[str, Any], shut: tuple[str, ...]
) -> None:
    hold = decided(build, build.stuck(**changes), policy=build.policy(force=Force(policy)), **spec)
    assert isinstance(hold, Hold)
    assert hold.gate.shut == shut


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"remote_stopped": "billing (command c-1)"}, id="the-producers-word"),
        pytest.param({"probed": True}, id="a-probe"),
    ],
)
def test_the_attested_policy_forces_on_a_proof(build: Any, spec: dict[str, Any]) -> None:
    proof = build.gone_by_probe(9) if spec.get("probed") else spec
    assert decided(build, build.stuck(), policy=build.policy(probes=True), **proof) == FORCE


@pytest.mark.parametrize("changes", [{"asynchronous": False}, {"force_allowed": False}])
def test_no_word_opens_a_gate_that_the_backend_keeps_shut(build: Any, changes: dict[str, Any]) -> None:
    proof = {"remote_stopped": "ann", **build.gone_by_probe(9)}
    assert isinstance(decided(build, build.stuck(**changes), **proof), Hold)


def test_holds_nothing_before_the_time_is_over(build: Any) -> None:
    assert isinstance(decided(build, build.stuck(1799), policy=build.policy(force=Force.NEVER)), Wait)


def test_a_held_job_is_looked_at_again_within_poll_max(build: Any) -> None:
    hold = decided(build, build.stuck(), policy=build.policy(force=Force.NEVER), waits=99)
    assert 0 < (hold.until - build.at(9)).total_seconds() <= 60


def test_a_command_lengthens_force_after(build: Any) -> None:
    assert isinstance(decided(build, build.stuck(3599), force_after=3600), Wait)
    assert decided(build, build.stuck(3600), force_after=3600) == FORCE


def test_a_command_does_not_shorten_force_after(build: Any) -> None:
    assert isinstance(decided(build, build.stuck(1799), force_after=1), Wait)


# Repeating a force


def forced(build: Any, last: str, **changes: Any) -> Any:
    return {**build.cancelled(), "force:1": build.sent(last, **changes)}


@pytest.mark.parametrize("now", [0, 1800, 80000])
@pytest.mark.parametrize("allowed", [None, True])
def test_an_accepted_force_is_never_repeated(build: Any, now: float, *, allowed: bool | None) -> None:
    seen = build.stuck(99999, force_allowed=allowed)
    assert isinstance(decided(build, seen, sent=forced(build, "accepted"), now=now), Wait)


def test_a_look_that_began_too_early_does_not_allow_to_force_again(build: Any) -> None:
    sent = forced(build, "unanswered")
    assert isinstance(decided(build, build.stuck(), sent=sent, now=5, looked_at=build.at(1.9)), Wait)


def test_an_unanswered_force_is_repeated_poll_first_later_while_the_job_is_still_stuck(build: Any) -> None:
    sent = forced(build, "unanswered")
    assert isinstance(decided(build, build.stuck(), sent=sent, now=1.9), Wait)
    assert decided(build, build.stuck(), sent=sent, now=2) == FORCE


@pytest.mark.parametrize("last", ["rejected", "not_found"])
def test_a_refused_force_is_tried_again_force_after_later(build: Any, last: str) -> None:
    sent = forced(build, last)
    assert isinstance(decided(build, build.stuck(9999), sent=sent, now=1799), Wait)
    assert decided(build, build.stuck(9999), sent=sent, now=1800) == FORCE


@pytest.mark.parametrize("before", [None, False])
def test_a_refused_force_is_tried_again_when_the_backend_newly_allows_it(build: Any, *, before: bool | None) -> None:
    seen = build.stuck(9999, force_allowed=True)
    sent = forced(build, "rejected", allowed=before)
    assert decided(build, seen, sent=sent, now=1) == Send(Action.FORCE, "1", allowed=True)


def test_a_backend_that_allowed_and_refused_is_not_hammered(build: Any) -> None:
    seen = build.stuck(9999, force_allowed=True)
    assert isinstance(decided(build, seen, sent=forced(build, "rejected", allowed=True), now=1799), Wait)


def test_an_allowed_force_still_waits_for_force_after(build: Any) -> None:
    seen = build.stuck(10, force_allowed=True)
    assert isinstance(decided(build, seen, sent=forced(build, "rejected"), now=1), Wait)


def test_a_check_in_after_a_refusal_starts_the_wait_again(build: Any) -> None:
    sent = forced(build, "rejected")
    assert isinstance(decided(build, build.stuck(100), sent=sent, now=1800), Wait)


@pytest.mark.parametrize(("retry_after", "due"), [(None, 2), (40, 40)])
def test_a_busy_backend_is_forced_when_it_asks_for_it(build: Any, retry_after: float | None, due: float) -> None:
    sent = forced(build, "busy", retry_after=retry_after)
    assert isinstance(decided(build, build.stuck(), sent=sent, now=due - 0.1), Wait)
    assert decided(build, build.stuck(), sent=sent, now=due) == FORCE


# Parents


def family(build: Any, *children: Any, **parent: Any) -> Any:
    return build.stuck(9999, **parent, children=children)


def test_a_stuck_child_is_forced_and_not_its_parent(build: Any) -> None:
    seen = family(build, build.seen("cancelled", job_id="2"), build.stuck(job_id="3"))
    assert decided(build, seen) == Send(Action.FORCE, "3")


def test_each_child_has_a_wait_of_its_own(build: Any) -> None:
    seen = family(build, build.stuck(10, job_id="2"), build.stuck(1800, job_id="3"))
    assert decided(build, seen) == Send(Action.FORCE, "3")


def test_a_parent_is_not_forced_while_a_child_lives(build: Any) -> None:
    assert isinstance(decided(build, family(build, build.seen("active", job_id="2"))), Wait)


def test_a_parent_is_not_forced_while_a_forced_child_is_closing(build: Any) -> None:
    sent = {**build.cancelled(), "force:2": build.sent("accepted")}
    assert isinstance(decided(build, family(build, build.stuck(job_id="2")), sent=sent), Wait)


def test_a_parent_whose_children_have_ended_is_forced_itself(build: Any) -> None:
    assert decided(build, family(build, build.seen("cancelled", job_id="2"))) == FORCE


def test_a_child_behind_a_shut_gate_does_not_keep_another_from_its_force(build: Any) -> None:
    seen = family(build, build.stuck(job_id="2", asynchronous=False), build.stuck(job_id="3"))
    assert decided(build, seen) == Send(Action.FORCE, "3")


def test_a_parent_that_has_ended_is_not_final_while_a_child_lives(build: Any) -> None:
    seen = build.seen("cancelled", children=(build.stuck(10, job_id="2"),))
    assert isinstance(decided(build, seen), Wait)


@pytest.mark.parametrize("last", ["unanswered", "rejected", "busy"])
def test_a_parent_that_has_ended_is_not_cancelled_again_for_a_living_child(build: Any, last: str) -> None:
    seen = build.seen("cancelled", children=(build.stuck(10, job_id="2"),))
    assert isinstance(decided(build, seen, sent=build.cancelled(last), now=9999), Wait)


def test_a_stuck_child_of_a_parent_that_has_ended_is_forced(build: Any) -> None:
    seen = build.seen("cancelled", children=(build.stuck(job_id="2"),))
    assert decided(build, seen, sent=build.cancelled("unanswered")) == Send(Action.FORCE, "2")


def test_a_parent_is_final_with_all_its_children(build: Any) -> None:
    seen = build.seen("cancelled", children=(build.seen("succeeded", job_id="2"),))
    assert isinstance(decided(build, seen, parent=True, closed_at=build.at(7)), Finish)


# The second source


@pytest.mark.parametrize(
    ("seen", "changes", "expected"),
    [
        pytest.param({}, {}, True, id="all-but-the-proof"),
        pytest.param({"spent": 1799}, {}, False, id="not-due"),
        pytest.param({"asynchronous": False}, {}, False, id="another-condition-shuts-too"),
        pytest.param({}, {"remote_stopped": "ann"}, False, id="a-word-was-given"),
        pytest.param({}, {"force": Force.NEVER}, False, id="never"),
    ],
)
def test_asks_the_second_source_only_when_it_alone_is_missing(
    build: Any, seen: dict[str, Any], changes: dict[str, Any], *, expected: bool
) -> None:
    cancellation = build.cancellation(sent=build.cancelled(), clock=build.steady(), **changes)
    assert bool(to_probe(cancellation, build.stuck(**seen), build.policy(probes=True), build.now)) is expected


@pytest.mark.parametrize(
    ("status", "retry_after", "give_up", "expected"),
    [
        pytest.param(503, None, 3600, True, id="which-asked-for-no-time"),
        pytest.param(413, 60, 3600, False, id="413-which-asked-for-time"),
        pytest.param(429, 60, 3600, False, id="429-which-asked-for-time"),
        pytest.param(503, 1, 3600, False, id="503-which-asked-for-a-second"),
        pytest.param(503, 60, 0, True, id="which-asked-for-time-beyond-our-deadline"),
    ],
)
def test_asks_the_second_source_beside_a_family_list_that_failed(
    build: Any, status: int, retry_after: float | None, give_up: float, *, expected: bool
) -> None:
    cancellation = build.cancellation(sent=build.cancelled(), clock=build.steady(), give_up=give_up)
    why = build.answer("busy", status, retry_after=retry_after)
    seen = build.seen("cancelling", parent=True, unlisted=why, children=(build.stuck(job_id="2"),))
    assert bool(to_probe(cancellation, seen, build.policy(probes=True), build.now)) is expected


@pytest.mark.parametrize(
    ("kind", "seen", "sent", "expected"),
    [
        pytest.param("ess", {}, {}, (), id="a-kind-with-a-force-step-that-needed-none"),
        pytest.param("ess", {}, {"force:2": "accepted", "force:3": "unanswered"}, ("2", "3"), id="those-forced"),
        pytest.param("ess", {}, {"force:2": "rejected"}, (), id="a-force-that-was-refused"),
        pytest.param("sahara", {}, {}, ("1",), id="a-kind-without-a-force-step"),
        pytest.param("sahara", {"provisional": True}, {}, (), id="an-end-that-may-be-taken-back"),
    ],
)
def test_at_the_end_the_second_source_is_asked_where_it_confirms_something(
    build: Any, kind: str, seen: dict[str, Any], sent: dict[str, str], expected: tuple[str, ...]
) -> None:
    cancellation = build.cancellation(sent={key: build.sent(last) for key, last in sent.items()})
    policy = build.policy(kind, probes=True)

    assert to_probe(cancellation, build.seen("cancelled", **seen), policy, build.now) == expected


def test_at_the_deadline_the_second_source_is_asked_about_an_end_that_may_be_taken_back(build: Any) -> None:
    cancellation, policy = build.cancellation(give_up=0), build.policy("sahara", probes=True)
    assert to_probe(cancellation, build.seen("failed", provisional=True), policy, build.now) == ("1",)


def test_asks_no_second_source_where_none_is_configured(build: Any) -> None:
    assert not to_probe(build.cancellation(), build.stuck(), build.policy(), build.now)


def test_asks_no_second_source_under_the_auto_policy(build: Any) -> None:
    policy = build.policy(probes=True, force=Force.AUTO)
    assert not to_probe(build.cancellation(), build.stuck(), policy, build.now)


def test_without_the_backends_clock_the_wait_counts_from_our_first_sight(build: Any) -> None:
    sight = {"1": Sighting(build.at(100))}
    assert isinstance(decided(build, build.stuck(None), cancelling=sight, now=1899), Wait)
    assert decided(build, build.stuck(None), cancelling=sight, now=1900) == FORCE
