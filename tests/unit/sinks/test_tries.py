"""When a delivery is tried again, and when it is given up."""

from __future__ import annotations

import pytest

from worker.sinks.health import MANY, Health
from worker.sinks.tries import UNTRIED, Failure, Limits, Tried, pause

DAY = 86_400
GONE, DOWN = Failure("410", refused=True), Failure("503")


def failed(*failures: tuple[Failure, float]) -> Tried:
    """Return the state of a delivery after failures at these times, in seconds."""
    tried = UNTRIED
    for failure, at in failures:
        tried = tried.after(failure, at * 1000)
    return tried


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_twenty_tries_take_about_a_day(chance: float) -> None:
    whole = sum(pause(tries, None, chance) for tries in range(1, 20))

    assert 0.8 * DAY <= whole <= 1.3 * DAY


def test_waits_grow_with_jitter() -> None:
    assert [pause(tries, None, 0.5) for tries in (1, 2, 3, 14, 19, 1000)] == [1, 2, 4, 8192, 14_400, 14_400]
    assert pause(3, None, 0.0) < pause(3, None, 1.0)


@pytest.mark.parametrize(("asked", "waited"), [(None, 4), (1.0, 4), (90.0, 90)], ids=["nothing", "less", "more"])
def test_a_wait_is_as_long_as_the_receiver_asks(asked: float | None, waited: float) -> None:
    assert pause(3, asked, 0.5) == waited


@pytest.mark.parametrize(
    ("tried", "now", "hopeless"),
    [
        pytest.param(Tried(19), 0, False, id="before-the-last-try"),
        pytest.param(Tried(20), 0, True, id="after-the-last-try"),
        pytest.param(failed((GONE, 10), (GONE, 11), (GONE, 12)), 12, False, id="refused-for-seconds"),
        pytest.param(failed((GONE, 10), (GONE, 200)), 200, False, id="refused-twice"),
        pytest.param(failed((GONE, 10), (GONE, 60), (GONE, 130)), 130, True, id="refused-for-long"),
        pytest.param(failed((GONE, 10), (DOWN, 60), (GONE, 130)), 130, False, id="refused-with-another-answer-between"),
        pytest.param(failed((DOWN, 10), (DOWN, 60), (DOWN, 900)), 900, False, id="down-for-long"),
    ],
)
def test_an_event_is_given_up_when_trying_again_is_of_no_use(*, tried: Tried, now: float, hopeless: bool) -> None:
    assert bool(tried.hopeless(Limits(), now * 1000, 1.0)) is hopeless


def test_a_refusal_lasts_shorter_on_a_fast_clock() -> None:
    refused = failed((GONE, 10), (GONE, 11), (GONE, 12))

    assert refused.hopeless(Limits(), 12_000, 600.0)


def test_a_single_try_is_one_try() -> None:
    assert Tried(1).hopeless(Limits(max_tries=1), 0.0, 1.0) == "1 try failed"


def test_one_failing_subject_is_no_receiver_that_is_down() -> None:
    health = Health()
    for _ in range(10 * MANY):
        health.failed("one", 0, None)

    assert not health.down


def test_a_receiver_is_down_when_many_subjects_fail_until_one_arrives() -> None:
    health = Health()
    for number in range(MANY):
        health.failed(str(number), 0, None)
    assert health.down

    assert health.delivered()
    assert (health.down, health.delivered()) == (False, False)


@pytest.mark.parametrize(
    ("asked", "seconds"), [(None, 1), (30.0, 30), (1e6, 3600)], ids=["usual", "asked for", "asked for too long"]
)
def test_a_receiver_that_is_down_is_tried_seldom(asked: float | None, seconds: float) -> None:
    health = Health()
    health.failed("one", 5000, asked)

    assert health.probe_at == 5000 + seconds * 1000
