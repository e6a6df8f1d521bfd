"""When an end that was seen is proven: in whose words a job is gone, which may still appear, what a family needs."""

from __future__ import annotations

from typing import Any

import pytest

from worker.domain.cancellation import Cancellation, End
from worker.domain.decision import Finish, Wait
from worker.domain.escalation import decide
from worker.domain.evidence.ending import Unproven, apart, unproven
from worker.domain.model import Evidence, JobState, Observation, Outcome, Poll


def after(build: Any, *looks: tuple[float, Observation], **changes: Any) -> Cancellation:
    """The cancellation after looks at these times."""
    cancellation: Cancellation = build.cancellation(**changes)
    for at, seen in looks:
        cancellation = build.looked(cancellation, seen, at)
    return cancellation


def judged(build: Any, *looks: tuple[float, Observation], policy: Any = None, **changes: Any) -> Unproven | None:
    """What is still missing to prove the end that the last of these looks has shown."""
    at, seen = looks[-1]
    return unproven(after(build, *looks, **changes), seen, policy or build.policy(), build.at(at))


@pytest.mark.parametrize("state", ["cancelled", "succeeded", "failed"])
def test_an_end_that_the_backend_reports_is_proven_at_once(build: Any, state: str) -> None:
    assert judged(build, (0, build.seen(state))) is None


def test_an_end_that_is_not_wholly_in_the_apis_own_words_must_last_and_stays_unverified(build: Any) -> None:
    """As that of a family whose list ends with a gateway's 404."""
    family = build.seen("cancelled", source="unsure", children=(build.seen("cancelled", job_id="2"),), parent=True)
    looks = [(at, family) for at in (1, 61, 121)]

    lacks = judged(build, *looks[:2])
    assert lacks is not None
    assert "what shows that the whole family has ended was not in the backend's own words" in lacks.why
    found = decide(after(build, *looks, sent=build.cancelled()), family, build.policy(), build.at(121))
    assert (found.outcome, found.evidence) == (Outcome.CANCELLED, Evidence.UNVERIFIED)
    assert not found.safe_to_rerun


# Absence


def test_a_job_is_gone_at_once_in_the_apis_own_words(build: Any) -> None:
    assert judged(build, (0, build.seen("gone"))) is None


@pytest.mark.parametrize(
    "times",
    [
        pytest.param([0], id="A7-the-gateway-says-404-once"),
        pytest.param([0, 1], id="A3-kong-has-no-route-in-two-looks-a-second-apart"),
        pytest.param([0, 1, 2, 4, 8], id="F2-a-404-for-eight-seconds"),
        pytest.param([0, 60, 119.9], id="a-moment-too-short"),
        pytest.param([0, 600], id="two-are-too-few"),
    ],
)
def test_a_job_that_anybody_may_have_called_gone_is_not_gone_yet(build: Any, times: list[float]) -> None:
    lacks = judged(build, *((at, build.seen("gone", source="unsure")) for at in times))

    assert lacks is not None
    assert "not in the backend's own words" in lacks.why


def test_a_job_that_anybody_may_have_called_gone_is_gone_once_that_has_lasted(build: Any) -> None:
    assert judged(build, *((at, build.seen("gone", source="unsure")) for at in (0, 60, 120))) is None


@pytest.mark.parametrize(
    "between",
    [
        pytest.param({"state": "active"}, id="alive"),
        pytest.param({"state": "cancelling"}, id="cancelling"),
        pytest.param({"state": "unknown"}, id="in-a-word-that-nobody-knows"),
    ],
)
def test_a_sight_of_the_job_in_between_begins_the_wait_anew(build: Any, between: dict[str, Any]) -> None:
    gone = build.seen("gone", source="unsure")

    assert judged(build, (0, gone), (60, build.seen(**between)), (120, gone)) is not None


def test_the_next_look_at_a_doubtful_absence_comes_soon_however_long_the_waits_have_grown(build: Any) -> None:
    lacks = judged(build, (0, build.seen("gone", source="unsure")), waits=50)

    assert lacks is not None
    assert build.at(1.6) <= lacks.until <= build.at(4)


def test_a_doubtful_absence_that_no_look_has_counted_is_the_first(build: Any) -> None:
    seen = build.seen("gone", source="unsure")

    assert unproven(build.cancellation(), seen, build.policy(believe_after=0), build.now) is not None


# A job that may still appear


@pytest.mark.parametrize("source", ["own", "unsure"])
def test_g7_a_job_that_was_never_known_may_appear_yet(build: Any, source: str) -> None:
    looks = ((at, build.seen("gone", source=source)) for at in (0, 60, 120))
    lacks = judged(build, *looks, policy=build.policy(appears_within=300))

    assert lacks is not None
    assert "may still appear" in lacks.why


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"seen_alive": True}, id="it-was-seen-alive"),
        pytest.param({"end": End(JobState.FAILED, "FAILED")}, id="its-end-was-seen"),
    ],
)
@pytest.mark.parametrize("sent", [None, "accepted"], ids=["nothing-sent", "our-call-was-taken"])
def test_g7_a_job_that_was_seen_does_not_appear_late(build: Any, sent: str | None, changes: dict[str, Any]) -> None:
    changes = {**changes, "sent": build.cancelled(sent) if sent else {}}

    assert judged(build, (1, build.seen("gone")), policy=build.policy(appears_within=300), **changes) is None


@pytest.mark.parametrize("source", ["own", "unsure"])
@pytest.mark.parametrize(
    ("now", "appears"),
    [
        pytest.param(61, True, id="in-the-first-look"),
        pytest.param(359.9, True, id="until-its-time-counted-from-the-answer-is-over"),
        pytest.param(360, False, id="its-time-is-over"),
    ],
)
def test_g7_a_job_that_took_our_call_unseen_may_appear_yet(
    build: Any, now: float, source: str, *, appears: bool
) -> None:
    looks = [(at, build.seen("gone", source=source)) for at in (now - 200, now - 100, now)]
    lacks = judged(build, *looks, policy=build.policy(appears_within=300), sent=build.cancelled(at=60))

    assert (lacks is not None) is appears


def test_g7_a_job_that_took_our_call_unseen_is_cancelled_once_its_time_is_over(build: Any) -> None:
    policy = build.policy(appears_within=10)
    cancellation, gone = build.cancellation(sent=build.cancelled(at=5)), build.seen("gone")

    assert isinstance(decide(cancellation, gone, policy, build.at(14.9)), Wait)
    assert decide(cancellation, gone, policy, build.at(15)).outcome is Outcome.CANCELLED
    assert decide(cancellation, gone, build.policy(), build.at(5.1)).outcome is Outcome.CANCELLED


@pytest.mark.parametrize("last", ["unanswered", "rejected", "not_found", "busy"])
def test_g7_a_call_that_was_not_accepted_shows_no_job(build: Any, last: str) -> None:
    policy = build.policy(appears_within=300)

    assert judged(build, (1, build.seen("gone")), policy=policy, sent=build.cancelled(last)) is not None


@pytest.mark.parametrize(
    ("now", "give_up", "waits", "due"),
    [
        pytest.param(0, 86400, 0, 2, id="after-poll-first"),
        pytest.param(9, 86400, 50, 10, id="when-its-time-is-over"),
        pytest.param(4, 5, 50, 5, id="at-the-deadline"),
        pytest.param(10, 86400, 0, None, id="its-time-is-over"),
        pytest.param(5, 5, 0, None, id="the-deadline-is-there"),
    ],
)
def test_g7_a_job_that_may_appear_is_looked_for_until_its_time_is_over(
    build: Any, now: float, give_up: float, waits: int, due: float | None
) -> None:
    changes = {"give_up": give_up, "waits": waits, "raw": "GONE"}
    policy = build.policy(appears_within=10, poll=Poll(2.0, 60.0))
    lacks = judged(build, (now, build.seen("gone")), policy=policy, **changes)

    assert (lacks and lacks.until) == (
        None if due is None else pytest.approx(build.at(due), abs=build.at(0.4) - build.now)
    )


def test_g7_a_late_job_ends_as_not_found_only_once_its_time_is_over(build: Any) -> None:
    policy = build.policy("oml", appears_within=10)
    cancellation, gone = build.cancellation(), build.seen("gone")

    assert isinstance(decide(cancellation, gone, policy, build.at(9.9)), Wait)
    assert decide(cancellation, gone, policy, build.at(10)).outcome is Outcome.NOT_FOUND


# An end that one reading of the backend's clock dates before our call


def dated(build: Any, **changes: Any) -> dict[str, Any]:
    """Progress with an accepted call at 100 s, and one reading of a clock that shows our time."""
    reading = {"theirs": build.at(100), "ours": build.at(100), "steady": False, **changes}
    return {"sent": build.cancelled(at=100), "clock": build.reading(**reading)}


@pytest.mark.parametrize(
    ("reading", "seen", "proven"),
    [
        pytest.param({}, {}, False, id="A11-one-reading-alone"),
        pytest.param({"steady": True}, {}, True, id="a-second-one-agrees"),
        pytest.param({"anew": True}, {}, True, id="a-second-one-contradicts"),
        pytest.param({}, {"clock": None}, True, id="this-look-shows-no-clock-so-the-next-may-not-either"),
        pytest.param({}, {"ended_at": None}, True, id="the-end-has-no-time"),
        pytest.param({}, {"ended": 99}, True, id="the-end-is-not-before-our-call"),
    ],
)
def test_an_end_that_one_reading_dates_before_our_call_waits_for_a_second(
    build: Any, reading: dict[str, Any], seen: dict[str, Any], *, proven: bool
) -> None:
    changes = {"clock": build.at(101), "ended_at": build.at(seen.pop("ended", 50)), **seen}
    cancellation = build.cancellation(**dated(build, **reading))
    lacks = unproven(cancellation, build.seen("cancelled", **changes), build.policy(), build.at(101))

    assert (lacks is None) is proven
    assert lacks is None or lacks.until == build.at(103)


def test_at_the_deadline_an_end_with_one_reading_counts_as_ended(build: Any) -> None:
    cancellation = build.cancellation(give_up=101, **dated(build))
    seen = build.seen("cancelled", clock=build.at(101), ended_at=build.at(50))
    end = decide(cancellation, seen, build.policy(), build.at(101))

    assert isinstance(end, Finish)
    assert end.outcome is Outcome.CANCELLED


# Families


@pytest.mark.parametrize(
    ("poll", "seconds"),
    [pytest.param(2.0, 2.0, id="poll-first"), pytest.param(0.0, 0.1, id="but-not-at-once")],
)
def test_two_looks_that_confirm_each_other_lie_a_poll_apart(build: Any, poll: float, seconds: float) -> None:
    assert apart(build.policy(poll=Poll(poll, 60.0))).total_seconds() == seconds


def ended_family(build: Any, **changes: Any) -> Observation:
    seen: Observation = build.seen("cancelled", parent=True, children=(build.seen("cancelled", job_id="2"),), **changes)
    return seen


@pytest.mark.parametrize(
    ("times", "proven"),
    [
        pytest.param([0], False, id="A5-one-list-alone"),
        pytest.param([0, 1.9], False, id="A5-two-lists-in-less-than-a-poll"),
        pytest.param([0, 2], True, id="two-lists-a-poll-apart"),
        pytest.param([0, 1, 2], True, id="three-lists"),
    ],
)
def test_a_family_has_ended_when_two_lists_a_poll_apart_show_so(
    build: Any, times: list[float], *, proven: bool
) -> None:
    lacks = judged(build, *((at, ended_family(build)) for at in times))

    assert (lacks is None) is proven
    assert lacks is None or lacks.until == build.at(times[-1] + 2)


def test_a_parent_of_none_needs_two_lists_too(build: Any) -> None:
    empty = build.seen("cancelled", parent=True)

    assert judged(build, (0, empty)) is not None
    assert judged(build, (0, empty), (2, empty)) is None


@pytest.mark.parametrize(("closed", "looked"), [(None, 9), (0, None)], ids=["never-seen-closed", "never-looked-at"])
def test_a_family_that_no_look_has_seen_closed_has_not_ended(
    build: Any, closed: float | None, looked: float | None
) -> None:
    moments = {
        name: None if at is None else build.at(at) for name, at in (("closed_at", closed), ("looked_at", looked))
    }

    assert unproven(build.cancellation(parent=True, **moments), build.seen("cancelled"), build.policy(), build.at(9))


@pytest.mark.parametrize(
    "between",
    [
        pytest.param({"children": "active"}, id="A5-a-child-that-an-empty-list-had-left-out"),
        pytest.param({"state": "active"}, id="the-parent-lives-again"),
        pytest.param({"unlisted": "unanswered"}, id="a-list-that-could-not-be-read"),
    ],
)
def test_what_is_not_an_end_in_between_begins_the_two_lists_anew(build: Any, between: dict[str, Any]) -> None:
    if child := between.get("children"):
        between = {"children": (build.seen(child, job_id="2"),)}
    if why := between.get("unlisted"):
        between = {"unlisted": build.answer(why, source="nobody")}
    other = build.seen(**{"state": "cancelled", "parent": True, **between})

    assert judged(build, (0, ended_family(build)), (2, other), (4, ended_family(build))) is not None


def test_a_gateways_404_is_none_of_the_two_lists(build: Any) -> None:
    looks = ((0, build.seen("gone", source="unsure")), (2, ended_family(build)))

    assert judged(build, *looks, parent=True) is not None


def test_a_job_without_children_needs_no_second_look(build: Any) -> None:
    assert judged(build, (0, build.seen("cancelled"))) is None
