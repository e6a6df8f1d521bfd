from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from worker.domain.decision import Finish, Hold, Send, Wait
from worker.domain.escalation import decide
from worker.domain.model import Action, Evidence, Outcome, Poll, Verb

CANCEL = Send(Action.CANCEL, "1")
DELETE = Send(Action.DELETE, "1")
NOTHING_HAPPENED = ["rejected", "busy", "not_found"]


def until(build: Any, decision: Any) -> float:
    """The seconds from now until a wait is over."""
    assert isinstance(decision, Wait | Hold)
    return float((decision.until - build.now).total_seconds())


@pytest.mark.parametrize("action", [Action.CANCEL, Action.DELETE])
@pytest.mark.parametrize("later", [0.0, 3600.0, 80000.0])
def test_an_accepted_call_is_never_repeated(build: Any, action: Action, later: float) -> None:
    verb = Verb.DELETE if action is Action.DELETE else Verb.CANCEL
    seen = build.seen("succeeded" if action is Action.DELETE else "active")
    cancellation = build.cancellation(verb=verb, sent={action: build.sent("accepted")})
    assert isinstance(decide(cancellation, seen, build.policy(), build.at(later)), Wait)


def test_an_accepted_call_stays_accepted_when_a_later_try_was_not(build: Any) -> None:
    cancellation = build.cancellation(sent=build.cancelled("busy", accepted=True, count=2))
    assert isinstance(decide(cancellation, build.seen(), build.policy(), build.at(9999)), Wait)


@pytest.mark.parametrize(
    ("later", "repeats"),
    [pytest.param(1.999, False, id="before-poll-first"), pytest.param(2.0, True, id="at-poll-first")],
)
def test_an_unanswered_cancel_is_repeated_poll_first_later(build: Any, later: float, *, repeats: bool) -> None:
    cancellation = build.cancellation(sent=build.cancelled("unanswered"))
    decision = decide(cancellation, build.seen(), build.policy(), build.at(later))
    assert decision == CANCEL if repeats else until(build, decision) == 2.0


def test_a_look_that_began_too_early_does_not_allow_a_repeat(build: Any) -> None:
    """It may have read the job's state before the unanswered call had its effect, however late its own reply came."""
    cancellation = build.cancellation(sent=build.cancelled("unanswered"), looked_at=build.at(1.9))
    assert not isinstance(decide(cancellation, build.seen(), build.policy(), build.at(5)), Send)


@pytest.mark.parametrize("last", ["unanswered", "busy", "rejected"])
@pytest.mark.parametrize("poll", [Poll(0.0, 60.0), Poll(2.0, 60.0)], ids=["no-first", "first"])
def test_the_wait_before_a_repeat_grows_with_each_try(build: Any, last: str, poll: Poll) -> None:
    def wait(count: int) -> float:
        sent = build.cancelled(last, last_at=build.at(100), count=count, retry_after=0.0 if last == "busy" else None)
        decision = decide(build.cancellation(sent=sent), build.seen(), build.policy(poll=poll), build.at(100))
        return 0.0 if isinstance(decision, Send) else until(build, decision) - 100

    waits = [wait(count) for count in range(1, 12)]

    longest = 600 if last == "rejected" else 60
    assert waits[0] == poll.first
    assert all(later > earlier for earlier, later in pairwise(waits[:6]))
    assert 0.8 * min(longest, 0.1 * 2**10) <= waits[-1] <= longest


def test_an_unanswered_cancel_is_not_repeated_when_the_look_shows_its_effect(build: Any) -> None:
    cancellation = build.cancellation(sent=build.cancelled("unanswered"))
    assert isinstance(decide(cancellation, build.stuck(5), build.policy(), build.at(100)), Wait)


def test_an_unanswered_cancel_is_not_repeated_while_nothing_can_be_seen(build: Any) -> None:
    cancellation = build.cancellation(sent=build.cancelled("unanswered"), failed_looks=1)
    assert isinstance(decide(cancellation, build.answer("unanswered"), build.policy(), build.at(100)), Wait)


@pytest.mark.parametrize("last", NOTHING_HAPPENED)
def test_a_cancel_that_changed_nothing_is_tried_again(build: Any, last: str) -> None:
    cancellation = build.cancellation(sent=build.cancelled(last))
    assert decide(cancellation, build.seen(), build.policy(), build.at(2)) == CANCEL


@pytest.mark.parametrize("last", NOTHING_HAPPENED)
def test_what_is_turned_down_again_and_again_is_tried_ever_more_rarely(build: Any, last: str) -> None:
    cancellation = build.cancellation(sent=build.cancelled(last, count=5))
    assert 0.8 * 32 <= until(build, decide(cancellation, build.seen(), build.policy(), build.now)) <= 32


def test_a_backend_that_says_when_to_come_back_is_obeyed(build: Any) -> None:
    cancellation = build.cancellation(sent=build.cancelled("busy", retry_after=30))
    assert until(build, decide(cancellation, build.seen(), build.policy(), build.at(29))) == 30
    assert decide(cancellation, build.seen(), build.policy(), build.at(30)) == CANCEL


LASTED, FRESH = ("refused", -120, 0, 3), ("refused", -9, 0, 3)


@pytest.mark.parametrize(
    ("doubt", "final"),
    [
        pytest.param(None, True, id="in-its-own-words"),
        pytest.param(LASTED, True, id="by-anybody-but-it-has-lasted"),
        pytest.param(FRESH, False, id="by-anybody"),
    ],
)
def test_a_refusal_that_counts_is_final_where_a_look_shows_the_job_alive(
    build: Any, doubt: tuple[str, float, float, int] | None, *, final: bool
) -> None:
    said = {"doubt": build.doubt(*doubt)} if doubt else {}
    sent = build.cancelled("refused", unanswered=True, count=2, detail="no right", **said)
    decision = decide(build.cancellation(sent=sent), build.seen(), build.policy(), build.now)

    assert (decision == Finish(Outcome.REFUSED, Evidence.NONE, "no right")) is final


def test_a_refusal_that_counts_says_nothing_of_a_job_that_has_ended(build: Any) -> None:
    sent = build.cancelled("refused", unanswered=True, count=2)
    decision = decide(
        build.cancellation(sent=sent, seen_alive=True), build.seen("cancelled"), build.policy(), build.now
    )

    assert isinstance(decision, Finish)
    assert decision.outcome is Outcome.CANCELLED
