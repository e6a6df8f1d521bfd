"""A job that is gone in words which are not the API's own is so only when a second look, later, finds the same."""

from __future__ import annotations

from typing import Any

import pytest

from worker import evolve
from worker.decision import Finish, Wait
from worker.escalation import VAGUE_APART, decide
from worker.model import Outcome, Poll, Verb


def looked(build: Any, *looks: tuple[str, float]) -> Any:
    """A cancellation whose job was seen so, at so many seconds; a cancel was accepted before."""
    cancellation = build.cancellation(sent=build.cancelled())
    for what, at in looks:
        seen = build.seen("active" if what == "alive" else "gone", "404", vague=what == "vague")
        cancellation = evolve.observed(cancellation, seen, build.at(at), looks=1)
    return cancellation


def decided(build: Any, *looks: tuple[str, float], **changes: Any) -> Any:
    what, at = looks[-1]
    seen = build.seen("gone", "404", vague=what == "vague")
    return decide(looked(build, *looks), seen, build.policy(**changes), build.at(at))


@pytest.mark.parametrize(("poll", "wait"), [(Poll(5.0, 60.0), 5.0), (Poll(0.0, 60.0), VAGUE_APART)])
def test_one_vague_look_asks_for_another_one(build: Any, poll: Poll, wait: float) -> None:
    decision = decided(build, ("alive", 0), ("vague", 10), poll=poll)

    assert isinstance(decision, Wait)
    assert decision.until == build.at(10 + wait)


@pytest.mark.parametrize(
    ("looks", "ends"),
    [
        pytest.param([("plain", 10)], True, id="in-the-apis-words"),
        pytest.param([("vague", 10), ("vague", 12)], True, id="twice"),
        pytest.param([("vague", 10), ("plain", 11)], True, id="then-in-the-apis-words"),
        pytest.param([("vague", 10), ("vague", 11)], False, id="twice-at-nearly-one-moment"),
        pytest.param([("vague", 10), ("vague", 11), ("vague", 12)], True, id="three-times"),
        pytest.param([("vague", 10), ("alive", 11), ("vague", 12)], False, id="alive-in-between"),
    ],
)
def test_two_vague_looks_prove_what_one_in_the_apis_words_does(
    build: Any, looks: list[tuple[str, float]], *, ends: bool
) -> None:
    decision = decided(build, ("alive", 0), *looks)

    assert isinstance(decision, Finish) is ends
    assert not ends or decision.outcome is Outcome.CANCELLED


@pytest.mark.parametrize("verb", list(Verb))
def test_a_job_that_was_never_seen_is_not_found_in_the_same_way(build: Any, verb: Verb) -> None:
    gone = build.seen("gone", "404", vague=True)
    once = evolve.observed(build.cancellation(verb=verb), gone, build.at(1), looks=1)
    twice = evolve.observed(once, gone, build.at(4), looks=1)

    assert isinstance(decide(once, gone, build.policy(), build.at(1)), Wait)
    assert decide(twice, gone, build.policy(), build.at(4)).outcome is Outcome.NOT_FOUND


def test_at_the_end_of_the_time_one_vague_look_proves_nothing(build: Any) -> None:
    gone = build.seen("gone", "404", vague=True)
    cancellation = evolve.observed(build.cancellation(give_up=60), gone, build.at(60), looks=1)

    assert decide(cancellation, gone, build.policy(), build.at(60)).outcome is Outcome.TIMED_OUT
