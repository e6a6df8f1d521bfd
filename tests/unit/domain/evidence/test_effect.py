"""Whether an end may be our effect, and which of our calls may have had one."""

from __future__ import annotations

from typing import Any

import pytest

from worker.domain.evidence.effect import ended_before, forced, stop, undated
from worker.domain.model import Action, AnswerKind

A_WEEK, A_DAY = 604800.0, 86400.0
MAY_HAVE = {AnswerKind.ACCEPTED, AnswerKind.UNANSWERED}


@pytest.mark.parametrize("last", list(AnswerKind))
def test_a_call_may_have_had_an_effect_if_it_was_accepted_or_went_unanswered(build: Any, last: AnswerKind) -> None:
    cancellation = build.cancellation(sent=build.cancelled(last))

    assert (stop(cancellation) is not None) is (last in MAY_HAVE)


def test_a_call_that_was_never_made_had_none(build: Any) -> None:
    assert stop(build.cancellation()) is None


@pytest.mark.parametrize("last", list(AnswerKind))
def test_forced_are_the_jobs_whose_force_may_have_had_an_effect(build: Any, last: AnswerKind) -> None:
    cancellation = build.cancellation(sent={**build.cancelled(), "force:2": build.sent(last)})

    assert list(forced(cancellation)) == (["2"] if last in MAY_HAVE else [])


@pytest.mark.parametrize(
    ("cancel", "delete", "expected"),
    [
        pytest.param("", "", None, id="nothing"),
        pytest.param("accepted", "", Action.CANCEL, id="a-cancel"),
        pytest.param("", "unanswered", Action.DELETE, id="a-delete"),
        pytest.param("unanswered", "accepted", Action.CANCEL, id="both"),
        pytest.param("rejected", "accepted", Action.DELETE, id="a-cancel-that-changed-nothing"),
        pytest.param("busy", "busy", None, id="nothing-that-changed-anything"),
    ],
)
def test_what_may_have_stopped_a_job_is_the_first_call_that_may_have_had_an_effect(
    build: Any, cancel: str, delete: str, expected: Action | None
) -> None:
    calls = ((Action.CANCEL, cancel, 1), (Action.DELETE, delete, 2))
    sent = {action: build.sent(last, at=at) for action, last, at in calls if last}

    assert stop(build.cancellation(sent=sent)) == (sent[expected] if expected else None)


# An end that the backend dates before our call


def known(build: Any, **changes: Any) -> dict[str, Any]:
    """A cancel at 100 s, and a trusted clock that shows our time."""
    return {"sent": build.cancelled(at=100), "clock": build.steady(0, build.now), **changes}


@pytest.mark.parametrize(
    ("ended", "before"),
    [
        pytest.param(100 - A_WEEK, True, id="A11-a-week-ago"),
        pytest.param(97.9, True, id="before-our-call"),
        pytest.param(98, False, id="within-what-a-date-may-mislead"),
        pytest.param(101, False, id="after-our-call"),
    ],
)
def test_an_end_is_not_our_doing_if_the_backend_dates_it_before_our_call(
    build: Any, ended: float, *, before: bool
) -> None:
    seen = build.seen("cancelled", ended_at=build.at(ended))

    assert ended_before(build.cancellation(**known(build)), seen, build.policy()) is before


@pytest.mark.parametrize("offset", [-A_WEEK, -1500, 1500, 3e7])
def test_our_clock_is_not_compared_with_a_backends_that_shows_its_own(build: Any, offset: float) -> None:
    cancellation = build.cancellation(**known(build, clock=build.steady(0, build.at(offset))))
    ends = [build.seen("cancelled", ended_at=build.at(offset + at)) for at in (90, 110)]

    assert [ended_before(cancellation, seen, build.policy()) for seen in ends] == [True, False]


@pytest.mark.parametrize(
    ("ended", "alive", "before"),
    [
        pytest.param(100 - A_WEEK, None, True, id="a-week-ago"),
        pytest.param(100 - A_DAY - 1, None, True, id="longer-ago-than-time-zones-differ"),
        pytest.param(101 - A_DAY, None, False, id="as-long-ago-as-time-zones-differ"),
        pytest.param(100 - A_WEEK, 50, False, id="a-week-ago-and-we-saw-it-alive"),
    ],
)
def test_a11_where_no_clock_is_shown_ours_counts_for_ends_long_ago(
    build: Any, ended: float, alive: float | None, *, before: bool
) -> None:
    lived = {} if alive is None else {"alive_at": build.at(alive)}
    cancellation = build.cancellation(**known(build, clock=None, **lived))
    seen = build.seen("cancelled", ended_at=build.at(ended))

    assert ended_before(cancellation, seen, build.policy()) is before


@pytest.mark.parametrize(
    ("offset", "before"), [pytest.param(0, True, id="and-agrees"), pytest.param(-2 * A_WEEK, False, id="and-does-not")]
)
def test_a_clock_that_was_read_once_must_agree_with_ours(build: Any, offset: float, *, before: bool) -> None:
    cancellation = build.cancellation(**known(build, clock=build.reading(build.at(offset))))
    seen = build.seen("cancelled", ended_at=build.at(100 - A_WEEK))

    assert ended_before(cancellation, seen, build.policy()) is before


def test_at_another_speed_our_call_is_told_on_the_backends_clock(build: Any) -> None:
    reading = build.reading(build.now, build.now, steady=True)
    cancellation, policy = build.cancellation(**known(build, clock=reading)), build.policy(clock_speed=60)
    ends = [build.seen("cancelled", ended_at=build.at(60 * at)) for at in (99, 101)]

    assert [ended_before(cancellation, seen, policy) for seen in ends] == [True, False]


@pytest.mark.parametrize(
    ("changes", "ended"),
    [
        pytest.param({"clock": None}, 0, id="no-clock"),
        pytest.param({"clock": "once"}, 0, id="a-clock-that-was-read-once"),
        pytest.param({"sent": {}}, 0, id="nothing-was-sent"),
        pytest.param({}, None, id="the-end-has-no-time"),
        pytest.param({"alive_at": 50}, 40, id="we-saw-it-alive-after-that"),
    ],
)
def test_times_that_do_not_count_or_that_we_saw_refuted_prove_nothing(
    build: Any, changes: dict[str, Any], ended: float | None
) -> None:
    if changes.get("clock") == "once":
        changes = {"clock": build.reading(build.now)}
    if at := changes.get("alive_at"):
        changes = {"alive_at": build.at(at)}
    seen = build.seen("cancelled", ended_at=None if ended is None else build.at(ended))

    assert not ended_before(build.cancellation(**known(build, **changes)), seen, build.policy())


@pytest.mark.parametrize(
    ("alive", "before"),
    [
        pytest.param(48, True, id="before-that-end"),
        pytest.param(51, True, id="within-what-a-date-may-mislead"),
        pytest.param(51.1, False, id="after-it"),
    ],
)
def test_only_a_sight_of_life_after_that_end_refutes_it(build: Any, alive: float, *, before: bool) -> None:
    seen = build.seen("cancelled", ended_at=build.at(49))

    assert ended_before(build.cancellation(**known(build, alive_at=build.at(alive))), seen, build.policy()) is before


@pytest.mark.parametrize(
    ("children", "before"),
    [
        pytest.param({}, True, id="A11-a-child-that-was-never-seen-alive"),
        pytest.param({"2": (0, 30)}, True, id="A11-a-child-that-was-alive-before-its-end"),
        pytest.param({"2": (0, 60)}, False, id="a-child-that-we-saw-alive-after-its-end"),
        pytest.param({"3": (0, 60)}, True, id="another-childs-life-is-not-its-own"),
    ],
)
def test_each_child_has_a_life_of_its_own(
    build: Any, children: dict[str, tuple[float, float]], *, before: bool
) -> None:
    alive = {job_id: build.child(*moments) for job_id, moments in children.items()}
    changes = known(build, children=alive, alive_at=build.at(90))
    seen = build.seen("succeeded", job_id="2", ended_at=build.at(40))

    assert ended_before(build.cancellation(**changes), seen, build.policy()) is before


@pytest.mark.parametrize(
    ("reading", "clock", "waits"),
    [
        pytest.param({}, 101, True, id="A11-one-reading-dates-it-before-our-call"),
        pytest.param({"steady": True}, 101, False, id="two-readings"),
        pytest.param({"anew": True}, 101, False, id="readings-that-contradict-each-other"),
        pytest.param({}, None, False, id="a-look-without-a-clock"),
        pytest.param(None, 101, False, id="no-reading"),
    ],
)
def test_only_a_first_reading_asks_for_a_second(
    build: Any, reading: dict[str, Any] | None, clock: float | None, *, waits: bool
) -> None:
    read = None if reading is None else build.reading(build.now, build.now, **reading)
    seen = build.seen("cancelled", ended_at=build.now, clock=None if clock is None else build.at(clock))

    assert undated(build.cancellation(**known(build, clock=read)), seen, build.policy()) is waits


def test_an_end_after_our_call_needs_no_second_reading(build: Any) -> None:
    seen = build.seen("cancelled", ended_at=build.at(100), clock=build.at(101))

    assert not undated(build.cancellation(**known(build, clock=build.reading(build.now))), seen, build.policy())
