"""When to look again: the plain plan, and what is learned."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain import polling
from worker.domain.model import AnswerKind, Policy, Poll
from worker.engine.stop_times import StopTimes

TYPICAL = (20.0, 30.0)
LEARNER = next(str(n) for n in range(99) if not polling.is_plain(str(n)))
TEACHER = next(str(n) for n in range(99) if polling.is_plain(str(n)))


def asked(build: Any, id_: str = LEARNER, **changes: Any) -> Any:
    return build.cancellation(id=id_, sent=build.cancelled(), **changes)


def wait(build: Any, after: float, policy: Policy, id_: str = LEARNER, waits: int = 1) -> float:
    return polling.next_look(asked(build, id_, waits=waits), policy, build.at(after)).total_seconds()


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param(2, 20, id="until-half-have-stopped"),
        pytest.param(20.5, 30, id="then-until-nearly-all-have"),
        pytest.param(19.5, 30, id="no-look-within-a-breath-of-the-last"),
    ],
)
def test_a_job_is_looked_at_when_jobs_here_usually_have_stopped(build: Any, after: float, expected: float) -> None:
    policy = build.policy(stop_times=TYPICAL)
    assert expected - after <= wait(build, after, policy) <= (expected - after) * 1.1


def test_the_rare_late_one_is_looked_at_by_the_plain_plan(build: Any) -> None:
    assert wait(build, 31, build.policy(stop_times=TYPICAL), waits=3) == wait(build, 31, build.policy(), waits=3)


def test_one_in_four_keeps_to_the_plain_plan() -> None:
    assert 200 < sum(polling.is_plain(str(n)) for n in range(1000)) < 300


def test_a_plain_cancellation_is_looked_at_as_if_nothing_were_known(build: Any) -> None:
    learned, plain = build.policy(stop_times=TYPICAL), build.policy()
    assert wait(build, 2, learned, TEACHER) == wait(build, 2, plain, TEACHER)


def test_the_first_look_comes_when_jobs_here_usually_have_stopped(build: Any) -> None:
    policy = build.policy(stop_times=TYPICAL)
    assert 20 <= polling.first_look(asked(build), policy, build.now).total_seconds() <= 22


@pytest.mark.parametrize("typical", [(), (0.5, 1.0)], ids=["nothing-learned", "sooner-than-poll-first"])
def test_the_first_look_is_never_before_poll_first(build: Any, typical: tuple[float, ...]) -> None:
    assert polling.first_look(asked(build), build.policy(stop_times=typical), build.now) == timedelta(
        seconds=build.policy().poll.first
    )


def test_a_call_that_was_not_taken_is_looked_at_poll_first_later(build: Any) -> None:
    cancellation = build.cancellation(id=LEARNER, sent=build.cancelled("unanswered"))
    policy = build.policy(stop_times=TYPICAL)
    assert polling.first_look(cancellation, policy, build.now) == timedelta(seconds=policy.poll.first)


def test_what_was_learned_never_waits_past_poll_max(build: Any) -> None:
    assert wait(build, 2, build.policy(stop_times=(3000.0, 4000.0))) == 60


def test_looks_at_once_after_the_answer_grow_all_the_same(build: Any) -> None:
    policy = build.policy(poll=Poll(first=0, max=10, factor=2))
    waits = [wait(build, 0, policy, TEACHER, n) for n in range(9)]
    assert waits[0] == 0
    assert waits[1:5] == sorted(waits[1:5])
    assert 8 <= waits[-1] <= 10


def test_the_largest_factor_ends_at_poll_max(build: Any) -> None:
    assert wait(build, 0, build.policy(poll=Poll(first=1, max=60, factor=1e300)), TEACHER, 9) == pytest.approx(60, 0.2)


@given(st.lists(st.floats(0, 1e5), min_size=polling.ENOUGH, max_size=200))
def test_what_is_usual_lies_within_what_was_seen(stops: list[float]) -> None:
    half, most = polling.typical_stop_times(stops)
    assert min(stops) <= half <= most <= max(stops)


def test_nothing_is_learned_from_too_few_stops() -> None:
    assert polling.typical_stop_times([20.0] * (polling.ENOUGH - 1)) == ()


def test_only_plain_cancellations_with_an_accepted_cancel_are_learned_from(build: Any) -> None:
    stop_times = StopTimes()
    untaken = build.cancellation(id=TEACHER, sent=build.cancelled(AnswerKind.UNANSWERED))
    for _ in range(polling.ENOUGH):
        for one in (asked(build), untaken, build.cancellation(id=TEACHER)):
            stop_times.learn(one, build.at(20))
    assert stop_times.typical == ()


def test_a_backend_that_has_become_faster_is_learned_anew(build: Any) -> None:
    stop_times = StopTimes()
    for seconds in (20, 5):
        for _ in range(64):
            stop_times.learn(asked(build, TEACHER), build.at(seconds))
        assert stop_times.typical == (seconds, seconds)
