"""When a backend's clock is trusted: it runs like ours, and does not contradict what we saw and did."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from worker.domain.cancellation import ClockReading, Sighting
from worker.domain.evidence.clock import cancelling_for, not_before, read
from worker.domain.model import Action, Observation

A_DAY = 86400.0


def reading(build: Any, theirs: float, ours: float = 0, **changes: Any) -> ClockReading:
    one: ClockReading = build.reading(build.at(theirs), build.at(ours), **changes)
    return one


def taken(
    build: Any, before: ClockReading | None, theirs: float | None, asked: float, came: float, speed: float = 1
) -> ClockReading | None:
    """The reading after a reply with this `Date`."""
    date: datetime | None = None if theirs is None else build.at(theirs)
    return read(before, date, build.at(asked), build.at(came), speed)


def test_a_reply_without_a_date_changes_nothing(build: Any) -> None:
    assert taken(build, reading(build, 0), None, 9, 9) == reading(build, 0)
    assert taken(build, None, None, 9, 9) is None


def test_the_first_date_is_only_a_reading(build: Any) -> None:
    assert taken(build, None, 500, 8, 9) == reading(build, 500, 9)


@pytest.mark.parametrize(
    ("theirs", "asked", "came"),
    [
        pytest.param(510, 10, 10, id="exactly"),
        pytest.param(498, 0, 0, id="as-slow-as-a-date-may-mislead"),
        pytest.param(502, 0, 0, id="as-fast-as-a-date-may-mislead"),
        pytest.param(508.1, 10, 10, id="a-little-slow"),
        pytest.param(512, 10, 10, id="whole-seconds"),
        pytest.param(510, 10, 19, id="stamped-when-the-call-came-in"),
        pytest.param(519, 10, 19, id="stamped-when-the-reply-went-out"),
        pytest.param(500 + A_DAY * 1.009, A_DAY, A_DAY, id="a-percent-fast"),
    ],
)
def test_a_date_that_has_moved_as_our_time_did_makes_it_steady(
    build: Any, theirs: float, asked: float, came: float
) -> None:
    assert taken(build, reading(build, 500), theirs, asked, came) == reading(build, 500, steady=True)


@pytest.mark.parametrize("steady", [True, False])
@pytest.mark.parametrize(
    "theirs",
    [
        pytest.param(500 + A_DAY, id="A10-a-gateways-clock-is-a-day-ahead"),
        pytest.param(500 - A_DAY, id="A10-and-the-reply-after-it"),
        pytest.param(500, id="a-clock-that-stands"),
        pytest.param(507.7, id="more-than-a-date-may-mislead"),
        pytest.param(512.3, id="ahead-by-more"),
    ],
)
def test_a_date_that_has_not_moved_as_our_time_did_begins_a_new_reading(
    build: Any, theirs: float, *, steady: bool
) -> None:
    before = reading(build, 500, steady=steady)

    assert taken(build, before, theirs, 10, 10) == reading(build, theirs, 10, anew=True)


def test_a_steady_clock_stays_measured_from_its_first_reading(build: Any) -> None:
    before = reading(build, 500, steady=True)

    assert taken(build, before, 560, 60, 60) is before


def test_a_new_reading_may_become_steady(build: Any) -> None:
    before = reading(build, 900, 10, anew=True)

    assert taken(build, before, 910, 20, 20) == reading(build, 900, 10, steady=True, anew=True)


@pytest.mark.parametrize(
    ("speed", "theirs", "fits"),
    [
        pytest.param(60, 1100, True, id="sixty-times-ours"),
        pytest.param(60, 510, False, id="ours"),
        pytest.param(60, 1226, True, id="two-seconds-of-ours-ahead"),
        pytest.param(60, 1227, False, id="more-than-that"),
        pytest.param(0.5, 503, True, id="half-of-ours-and-two-seconds-of-theirs-behind"),
        pytest.param(0.5, 502.9, False, id="more-than-that-behind"),
    ],
)
def test_a_simulators_clock_moves_at_the_speed_that_is_said(
    build: Any, speed: float, theirs: float, *, fits: bool
) -> None:
    after = taken(build, reading(build, 500), theirs, 10, 10, speed)

    assert after is not None
    assert after.steady is fits


# How long a job has been in CANCELLING


def stuck(build: Any, spent: float | None, now: float, **changes: Any) -> Observation:
    """A job that has been in CANCELLING for so long on the backend's clock, which shows our time."""
    since = {} if spent is None else {"since": build.at(now - spent)}
    seen: Observation = build.seen("cancelling", **{"clock": build.at(now), **since, **changes})
    return seen


def spent(build: Any, seen: Observation, now: float = 100, *, speed: float = 1, **changes: Any) -> tuple[float, bool]:
    """How long the job counts as being there, given a clock watched for a minute and a first sight 10 s ago."""
    sight = Sighting(build.at(now - 10))
    known = {"clock": build.steady(now, build.at(now)), "looked_at": build.at(now), "cancelling": {"1": sight}}
    return cancelling_for(
        build.cancellation(**{**known, **changes}), seen, build.policy(clock_speed=speed), build.at(now)
    )


def test_the_backends_clock_says_how_long_a_job_has_been_stuck(build: Any) -> None:
    assert spent(build, stuck(build, 1800, 100)) == (1800, True)


@pytest.mark.parametrize(
    ("seen", "changes"),
    [
        pytest.param({"spent": None}, {}, id="no-time-of-the-state"),
        pytest.param({"clock": None}, {}, id="no-date"),
        pytest.param({}, {"clock": None}, id="no-reading"),
        pytest.param({}, {"steady": False}, id="A10-a-clock-that-was-read-once"),
        pytest.param({}, {"watched": 4.9}, id="A10-a-clock-that-was-watched-for-a-moment"),
        pytest.param({"ahead": A_DAY}, {}, id="A10-one-date-a-day-ahead"),
        pytest.param({"ahead": -A_DAY}, {}, id="one-date-a-day-behind"),
        pytest.param({"spent": 2700}, {"not_before": 60}, id="F12-a-date-45-minutes-ahead-of-the-scheduler"),
    ],
)
def test_the_wait_counts_from_our_first_sight_if_the_backends_clock_does_not_count(
    build: Any, seen: dict[str, Any], changes: dict[str, Any]
) -> None:
    known: dict[str, Any] = {}
    if "clock" in changes:
        known["clock"] = None
    if "steady" in changes:
        known["clock"] = reading(build, 40, 40)
    if since := changes.get("watched"):
        known["clock"] = reading(build, 100 - since, 100 - since, steady=True)
    if before := changes.get("not_before"):
        known["cancelling"] = {"1": Sighting(build.at(90), not_before=build.at(before))}
    changed: dict[str, Any] = {"clock": None} if "clock" in seen else {}
    if ahead := seen.get("ahead"):
        changed = {"clock": build.at(100 + ahead)}

    assert spent(build, stuck(build, seen.get("spent", 1800), 100, **changed), **known) == (10, False)


def test_without_a_sighting_no_time_has_passed_on_our_clock(build: Any) -> None:
    assert spent(build, stuck(build, None, 100), cancelling={}) == (0, False)


def test_a_clock_that_was_watched_for_five_seconds_says_so_without_a_sight(build: Any) -> None:
    changes = {"cancelling": {}, "clock": reading(build, 95, 95, steady=True)}

    assert spent(build, stuck(build, 1800, 100), **changes) == (1800, True)


def test_a_slow_look_may_be_dated_when_it_began(build: Any) -> None:
    seen = stuck(build, 1800, 91)

    assert spent(build, seen, looked_at=build.at(91)) == (1800, True)


def test_a_look_that_was_not_noted_began_now(build: Any) -> None:
    assert spent(build, stuck(build, 1800, 100), looked_at=None) == (1800, True)


@pytest.mark.parametrize(
    ("there", "counts"),
    [
        pytest.param(40, True, id="as-long-as-we-know-it-may-have-been"),
        pytest.param(42, True, id="within-what-a-date-may-mislead"),
        pytest.param(42.1, False, id="F12-longer-than-it-can-have-been"),
    ],
)
def test_a_time_counts_unless_it_began_before_we_saw_or_did_something_else(
    build: Any, there: float, *, counts: bool
) -> None:
    sight = {"1": Sighting(build.at(90), not_before=build.at(60))}

    assert spent(build, stuck(build, there, 100), cancelling=sight)[1] is counts


def test_at_another_speed_it_may_have_been_there_for_longer(build: Any) -> None:
    seen = build.seen("cancelling", since=build.at(600), clock=build.at(3000))
    known = {
        "clock": reading(build, 0, 50, steady=True),
        "cancelling": {"1": Sighting(build.at(90), not_before=build.at(60))},
    }

    assert spent(build, seen, speed=60, **known) == (2400, True)


# When it was certainly not there yet


def call(build: Any, last: str, at: float) -> dict[str, Any]:
    return {"sent": {Action.CANCEL: build.sent(last, at=at)}}


@pytest.mark.parametrize(
    ("changes", "job_id", "expected"),
    [
        pytest.param({}, "1", None, id="nothing-is-known"),
        pytest.param({"alive": 7}, "1", 7, id="it-was-alive-then"),
        pytest.param({"call": ("accepted", 5)}, "1", 5, id="our-cancel-has-put-it-there"),
        pytest.param({"call": ("unanswered", 5)}, "1", None, id="an-unanswered-cancel-shows-nothing"),
        pytest.param({"call": ("accepted", 5), "alive": 7}, "1", 7, id="alive-after-our-cancel"),
        pytest.param({"call": ("accepted", 9), "alive": 7}, "1", 9, id="our-cancel-after-that"),
        pytest.param({"child": 6, "alive": 7}, "2", 6, id="a-child-was-alive-then"),
        pytest.param({"alive": 7}, "2", None, id="its-parents-life-is-not-its-own"),
        pytest.param({"sight": 3, "alive": 7, "looked": 8}, "1", 8, id="its-time-has-moved-since-the-look-before"),
    ],
)
def test_a_job_was_certainly_not_in_cancelling_when_something_else_was_seen_or_done(
    build: Any, changes: dict[str, Any], job_id: str, expected: float | None
) -> None:
    known: dict[str, Any] = call(build, *changes["call"]) if "call" in changes else {}
    known |= {
        name: build.at(changes[key]) for key, name in (("alive", "alive_at"), ("looked", "looked_at")) if key in changes
    }
    if "child" in changes:
        known["children"] = {"2": build.child(0, changes["child"])}
    if "sight" in changes:
        known["cancelling"] = {"1": Sighting(build.at(changes["sight"]))}
    moment = not_before(build.cancellation(**known), job_id)

    assert moment == (None if expected is None else build.at(expected))


# The faults, look by look


def test_a10_one_date_far_ahead_among_good_ones_forces_nothing(build: Any) -> None:
    """A gateway answers one look instead of the backend, with its own clock."""
    one = build.cancellation(sent=build.cancelled())
    for at in (0, 2, 10, 20):
        one = build.looked(one, stuck(build, at, at, since_text="T"), at)
    far = stuck(build, 20, 22, since_text="T", clock=build.at(22 + A_DAY))
    one = build.looked(one, far, 22)

    assert cancelling_for(one, far, build.policy(), build.at(22)) == (22, False)


def test_f12_a_date_that_is_ahead_of_the_schedulers_own_times_never_counts(build: Any) -> None:
    """`Date` is the front server's, 45 minutes ahead; the times in the body are the scheduler's."""
    one, ahead = build.cancellation(sent=build.cancelled()), timedelta(minutes=45)
    for at in (0, 2, 10, 60):
        seen = build.seen("cancelling", since=build.now, since_text="T", clock=build.at(at) + ahead)
        one = build.looked(one, seen, at)

    assert cancelling_for(one, seen, build.policy(), build.at(60)) == (60, False)
