from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.domain.cancellation import WHOLE, Attestation, Sighting
from worker.domain.decision import CONDITIONS, read_reason
from worker.domain.evidence.effect import forced
from worker.domain.force_gate import candidates, gate, refused_wait
from worker.domain.model import Force, Observation

SIGNED = Attestation("bob", datetime(2026, 11, 22, 10, tzinfo=UTC), "ops")
BOB = Attestation("bob", datetime(2026, 11, 22, 10, tzinfo=UTC))


def condition(build: Any, name: str, seen: Observation, *, policy: dict[str, Any], **changes: Any) -> Any:
    one = gate(build.cancellation(clock=build.steady(), **changes), seen, build.policy(**policy), build.now)
    return {each.name: each for each in one.conditions}[name]


def test_lists_every_precondition_met_or_not(build: Any) -> None:
    one = gate(build.cancellation(), build.stuck(), build.policy(), build.now)
    assert tuple(each.name for each in one.conditions) == CONDITIONS
    assert all(each.evidence for each in one.conditions)
    assert one.job_id == "1"


def test_the_backends_clock_decides_where_it_shows_one(build: Any) -> None:
    sight = {"1": Sighting(build.at(-99999))}
    cancellation = build.cancellation(cancelling=sight, clock=build.steady())
    assert gate(cancellation, build.stuck(600), build.policy(), build.now).wait == 1200


@pytest.mark.parametrize("offset", [-90 * 60, -25 * 60, 25 * 60, 365 * 86400])
@pytest.mark.parametrize("ours", [-25 * 60, 0, 25 * 60])
def test_our_clock_against_the_backends_changes_nothing(build: Any, offset: float, ours: float) -> None:
    since = build.at(offset)
    clock = since + timedelta(seconds=1000)
    cancellation = build.cancellation(clock=build.steady(ours, clock), looked_at=build.at(ours))
    seen = build.seen("cancelling", since=since, clock=clock)
    assert gate(cancellation, seen, build.policy(), build.at(ours)).wait == 800


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"since": None}, id="no-time-or-a-naive-one"),
        pytest.param({"clock": None}, id="no-date-header"),
        pytest.param({"since": None, "clock": None}, id="neither"),
    ],
)
def test_without_both_of_the_backends_times_the_wait_counts_from_our_first_sight(
    build: Any, changes: dict[str, Any]
) -> None:
    cancellation = build.cancellation(cancelling={"1": Sighting(build.at(-600))}, clock=build.steady())
    assert gate(cancellation, build.stuck(9999, **changes), build.policy(), build.now).wait == 1200


def test_a_job_not_seen_before_has_the_whole_wait_ahead(build: Any) -> None:
    other = {"2": Sighting(build.at(-9999))}
    assert gate(build.cancellation(cancelling=other), build.stuck(None), build.policy(), build.now).wait == 1800


@pytest.mark.parametrize("ahead", [3, 7200, 10**9])
def test_where_a_state_change_is_ahead_of_the_backends_own_date_our_first_sight_counts(build: Any, ahead: int) -> None:
    cancellation = build.cancellation(cancelling={"1": Sighting(build.at(-600))}, clock=build.steady())
    assert gate(cancellation, build.stuck(-ahead), build.policy(), build.now).wait == 1200


@pytest.mark.parametrize(("command", "backend", "expected"), [(0, 1800, 1800), (3600, 1800, 3600), (60, 60, 60)])
def test_the_longer_force_after_holds(build: Any, command: float, backend: float, expected: float) -> None:
    cancellation = build.cancellation(force_after=command)
    assert gate(cancellation, build.stuck(None), build.policy(force_after=backend), build.now).wait == expected


@pytest.mark.parametrize(
    ("last", "changes", "allowed", "expected"),
    [
        pytest.param("unanswered", {}, None, 2, id="unanswered"),
        pytest.param("unanswered", {}, True, 2, id="unanswered-and-allowed"),
        pytest.param("unanswered", {"retry_after": 3600}, None, 3600, id="unanswered-and-told-to-wait"),
        pytest.param("busy", {}, None, 2, id="busy"),
        pytest.param("busy", {"retry_after": 45}, True, 45, id="busy-with-a-time"),
        pytest.param("busy", {"retry_after": 0}, True, 2, id="busy-for-no-time"),
        pytest.param("rejected", {}, None, 1800, id="refused"),
        pytest.param("rejected", {}, False, 1800, id="refused-and-still-not-allowed"),
        pytest.param("rejected", {}, True, 0, id="newly-allowed"),
        pytest.param("rejected", {"allowed": False}, True, 0, id="allowed-after-it-was-not"),
        pytest.param("rejected", {"allowed": True}, True, 1800, id="allowed-all-along"),
        pytest.param("not_found", {}, None, 1800, id="not-found"),
    ],
)
def test_an_earlier_try_keeps_us_from_the_next(
    build: Any, last: str, changes: dict[str, Any], expected: float, *, allowed: bool | None
) -> None:
    cancellation = build.cancellation(sent={"force:1": build.sent(last, **changes)})
    seen = build.stuck(force_allowed=allowed)
    assert refused_wait(cancellation, seen, build.policy(), build.now) == expected


def test_another_jobs_refusal_counts_for_that_job_alone(build: Any) -> None:
    cancellation = build.cancellation(sent={"force:2": build.sent("rejected")})
    assert refused_wait(cancellation, build.stuck(), build.policy(), build.now) == 0


def test_a_lengthened_force_after_lengthens_the_wait_after_a_refusal(build: Any) -> None:
    cancellation = build.cancellation(sent={"force:1": build.sent("rejected")}, force_after=7200)
    assert refused_wait(cancellation, build.stuck(), build.policy(), build.now) == 7200


def test_the_gate_waits_for_the_longer_of_force_after_and_the_pause_after_a_refusal(build: Any) -> None:
    cancellation = build.cancellation(sent={"force:1": build.sent("rejected", at=-800)}, clock=build.steady())
    assert gate(cancellation, build.stuck(1790), build.policy(), build.now).wait == 1000
    assert gate(cancellation, build.stuck(10), build.policy(), build.now).wait == 1790


def test_a_wait_that_is_over_is_zero(build: Any) -> None:
    assert gate(build.cancellation(clock=build.steady()), build.stuck(99999), build.policy(), build.now).wait == 0


@pytest.mark.parametrize(
    ("name", "seen", "policy", "changes", "met", "evidence"),
    [
        pytest.param("in_cancelling", {"raw": "CANCELLING"}, {}, {}, True, "seen in CANCELLING", id="state"),
        pytest.param("time_over", {"spent": 1799}, {}, {}, False, "1799 s of 1800 s", id="time-not-over"),
        pytest.param("time_over", {}, {}, {}, True, "on the backend's own clock", id="time-over"),
        pytest.param("time_over", {"spent": None}, {}, {}, False, "on Redis's clock", id="time-on-redis-clock"),
        pytest.param("asynchronous", {}, {}, {}, None, "does not say", id="asynchronous-unsaid"),
        pytest.param("asynchronous", {"asynchronous": True}, {}, {}, True, "asynchronous: yes", id="asynchronous"),
        pytest.param(
            "asynchronous", {"unreadable": frozenset({"asynchronous"})}, {}, {}, False, "can't be read", id="async-odd"
        ),
        pytest.param(
            "backend_allows", {"unreadable": frozenset({"force_allowed"})}, {}, {}, False, "can't be read", id="may-odd"
        ),
        pytest.param("asynchronous", {"asynchronous": False}, {}, {}, False, "asynchronous: no", id="synchronous"),
        pytest.param("backend_allows", {}, {}, {}, None, "does not say", id="allowed-unsaid"),
        pytest.param("backend_allows", {"force_allowed": True}, {}, {}, True, "allowed: yes", id="allowed"),
        pytest.param("backend_allows", {"force_allowed": False}, {}, {}, False, "allowed: no", id="not-allowed"),
        pytest.param("policy_allows", {}, {"force": Force.NEVER}, {}, False, '"never"', id="never"),
        pytest.param("policy_allows", {}, {}, {"force": Force.NEVER}, False, '"never"', id="a-command-says-never"),
        pytest.param("policy_allows", {}, {}, {}, True, '"attested"', id="attested"),
        pytest.param("policy_allows", {}, {"force": Force.AUTO}, {}, True, '"auto"', id="auto"),
        pytest.param("remote_stopped", {}, {}, {}, False, "nobody has given their word", id="no-word"),
        pytest.param("remote_stopped", {}, {"probes": True}, {}, False, "the remote probe does not", id="no-probe"),
        pytest.param("remote_stopped", {}, {}, {"remote_stopped": "ann"}, True, "attested by ann", id="a-word"),
        pytest.param(
            "remote_stopped", {}, {"probes": True}, {"probed": True}, True, "the remote probe says", id="a-probe"
        ),
        pytest.param("remote_stopped", {}, {}, {"void": True}, False, "does not count", id="a-word-that-was-refuted"),
        pytest.param(
            "remote_stopped",
            {},
            {},
            {"attestations": {"1": SIGNED}},
            True,
            "by ops (signed) as bob",
            id="a-signed-word",
        ),
        pytest.param(
            "remote_stopped", {}, {}, {"attestations": {"1": BOB}}, True, "attested by bob", id="a-word-of-its-own"
        ),
        pytest.param(
            "remote_stopped", {}, {}, {"attestations": {"2": BOB}}, False, "does not count", id="anothers-word"
        ),
        pytest.param("remote_stopped", {}, {"force": Force.AUTO}, {}, None, "not required", id="auto-asks-for-none"),
        pytest.param(
            "remote_stopped",
            {},
            {"force": Force.AUTO},
            {"force": Force.ATTESTED},
            False,
            "nobody has given their word",
            id="a-command-asks-for-proof",
        ),
    ],
)
def test_each_precondition_says_what_it_rests_on(
    build: Any, name: str, seen: Any, policy: Any, changes: Any, evidence: str, *, met: bool | None
) -> None:
    if changes.get("probed"):
        changes = build.gone_by_probe()
    if changes.get("void"):
        changes = {"remote_stopped": "ann", "void": {WHOLE: build.now}}
    one = condition(build, name, build.stuck(**seen), policy=policy, **changes)
    assert one.met is met
    assert evidence in one.evidence


def test_an_unknown_condition_does_not_shut_the_gate(build: Any) -> None:
    cancellation = build.cancellation(clock=build.steady())
    one = gate(cancellation, build.stuck(), build.policy(force=Force.AUTO), build.now)
    assert None in {each.met for each in one.conditions}
    assert one.shut == ()


@pytest.mark.parametrize("state", ["active", "unknown", "cancelled", "succeeded", "failed", "gone"])
def test_only_what_is_in_cancelling_is_a_candidate(build: Any, state: str) -> None:
    assert candidates(build.cancellation(), build.seen(state), build.policy()) == ()


@pytest.mark.parametrize("kind", ["oml", "mrs", "sahara"])
def test_a_backend_without_a_force_step_has_no_candidate(build: Any, kind: str) -> None:
    assert candidates(build.cancellation(), build.stuck(), build.policy(kind)) == ()


@pytest.mark.parametrize(
    ("children", "expected"),
    [
        pytest.param((), ["1"], id="no-children"),
        pytest.param((("cancelled", "2"), ("gone", "3")), ["1"], id="all-ended"),
        pytest.param((("active", "2"),), [], id="one-lives"),
        pytest.param((("unknown", "2"), ("cancelling", "3")), ["3"], id="one-is-stuck"),
        pytest.param((("cancelling", "2"), ("cancelled", "3"), ("cancelling", "4")), ["2", "4"], id="two-are-stuck"),
    ],
)
def test_stuck_children_come_before_their_parent(
    build: Any, children: tuple[tuple[str, str], ...], expected: list[str]
) -> None:
    seen = build.stuck(children=tuple(build.seen(state, job_id=job_id) for state, job_id in children))
    assert [one.job_id for one in candidates(build.cancellation(), seen, build.policy())] == expected


def test_a_parent_whose_children_could_not_all_be_seen_is_no_candidate(build: Any) -> None:
    seen = build.stuck(unlisted=build.answer("unanswered", source="nobody"))
    assert candidates(build.cancellation(), seen, build.policy()) == ()


@pytest.mark.parametrize(("last", "left"), [("accepted", 0), ("unanswered", 1), ("rejected", 1), ("busy", 1)])
def test_a_job_whose_force_was_accepted_is_no_candidate_any_more(build: Any, last: str, left: int) -> None:
    cancellation = build.cancellation(sent={"force:1": build.sent(last)})
    assert len(candidates(cancellation, build.stuck(), build.policy())) == left


def test_forced_are_the_force_calls_that_may_have_had_an_effect(build: Any) -> None:
    kinds = ["accepted", "unanswered", "rejected", "busy", "not_found"]
    sent = {f"force:{number}": build.sent(kind) for number, kind in enumerate(kinds)}
    cancellation = build.cancellation(sent={**build.cancelled(), **sent})
    assert {job_id: str(one.last) for job_id, one in forced(cancellation).items()} == {
        "0": "accepted",
        "1": "unanswered",
    }


@pytest.mark.parametrize(
    ("reason", "job_id", "conditions"),
    [
        pytest.param("1", "1", (), id="no-condition"),
        pytest.param("1+remote_stopped", "1", ("remote_stopped",), id="one"),
        pytest.param("1+asynchronous+policy_allows", "1", ("asynchronous", "policy_allows"), id="two-in-order"),
        pytest.param("a+b+remote_stopped", "a+b", ("remote_stopped",), id="a-plus-in-the-job-id"),
        pytest.param(
            "a+remote_stopped+b+asynchronous", "a+remote_stopped+b", ("asynchronous",), id="a-condition-in-it"
        ),
    ],
)
def test_a_reason_names_its_job_and_its_conditions(reason: str, job_id: str, conditions: tuple[str, ...]) -> None:
    assert read_reason(reason) == (job_id, conditions)


def test_the_reason_of_a_shut_gate_can_be_read_back(build: Any) -> None:
    one = gate(build.cancellation(), build.stuck(0), build.policy(), build.now)

    assert one.shut
    assert read_reason(one.reason) == (one.job_id, one.shut)
