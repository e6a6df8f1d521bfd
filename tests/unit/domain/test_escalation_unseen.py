"""What is decided after a look that shows nothing, or an end that is not proven yet."""

from __future__ import annotations

from typing import Any

import pytest

from worker.domain.cancellation import End
from worker.domain.decision import Finish, Hold, Wait
from worker.domain.escalation import decide
from worker.domain.model import Evidence, JobState, Outcome, Poll, Verb


def until(build: Any, decision: Any) -> float:
    """The seconds from now until a wait is over."""
    assert isinstance(decision, Wait | Hold)
    return float((decision.until - build.now).total_seconds())


def test_a_look_that_is_refused_ends_the_cancellation(build: Any) -> None:
    end = decide(build.cancellation(), build.answer("refused", 403, detail="no right"), build.policy(), build.now)
    assert end == Finish(Outcome.REFUSED, Evidence.NONE, "no right")


@pytest.mark.parametrize("source", ["own", "unsure", "credential"])
def test_a_look_that_is_refused_ends_nothing_once_a_call_was_accepted(build: Any, source: str) -> None:
    no = build.answer("refused", 403, source)
    cancellation = build.cancellation(sent=build.cancelled(), doubt=build.doubt("refused", 0, 600, 9))
    assert isinstance(decide(cancellation, no, build.policy(), build.at(600)), Wait)


@pytest.mark.parametrize(("failed", "longest"), [(0, 2), (1, 2), (2, 4), (3, 8), (9, 60), (10_000, 60)], ids=str)
def test_failed_looks_come_ever_more_rarely_and_never_past_poll_max(build: Any, failed: int, longest: float) -> None:
    cancellation = build.cancellation(failed_looks=failed)
    wait = until(build, decide(cancellation, build.answer("unanswered"), build.policy(), build.now))
    assert 0.8 * longest <= wait <= longest


def test_a_failed_look_waits_as_long_as_the_backend_asks(build: Any) -> None:
    busy = build.answer("busy", 429, retry_after=300)
    assert until(build, decide(build.cancellation(failed_looks=1), busy, build.policy(), build.now)) == 300


@pytest.mark.parametrize(
    ("asked", "longest", "due"),
    [
        pytest.param(30, 10, 30, id="as-long-as-it-asks"),
        pytest.param(86_400, 10, 300, id="five-minutes-at-most"),
        pytest.param(86_400, 900, 900, id="or-the-longest-poll"),
    ],
)
def test_no_retry_after_keeps_us_from_looking_for_long(build: Any, asked: float, longest: float, due: float) -> None:
    policy = build.policy(poll=Poll(2.0, float(longest)), warn_after=86_400.0)
    unseen = build.answer("busy", 503, retry_after=asked)
    assert until(build, decide(build.cancellation(sent=build.cancelled()), unseen, policy, build.now)) == due


# Refusals in doubt


@pytest.mark.parametrize(
    ("source", "changes", "row"),
    [
        pytest.param("unsure", {}, ("refused", 0, 0, 1), id="F3-one-403-html"),
        pytest.param("own", {"retry_after": 2.0}, ("refused", 0, 0, 1), id="F3-403-json-and-retry-after"),
        pytest.param("credential", {}, ("credential", 0, 0.001, 2), id="F3-two-401s-a-millisecond-apart"),
        pytest.param("credential", {}, ("credential", 0, 119, 9), id="F3-a-bad-minute-of-the-token-service"),
    ],
)
def test_a_look_that_is_refused_in_doubt_ends_nothing_yet(
    build: Any, source: str, changes: dict[str, Any], row: tuple[Any, ...]
) -> None:
    no, cancellation = build.answer("refused", 403, source, **changes), build.cancellation(doubt=build.doubt(*row))
    assert isinstance(decide(cancellation, no, build.policy(), build.at(row[2])), Wait)


@pytest.mark.parametrize(
    ("source", "claim"), [("unsure", "refused"), ("credential", "credential")], ids=["of-the-job", "of-the-credential"]
)
@pytest.mark.parametrize("sent", ["", "unanswered", "rejected", "refused"])
def test_a_doubtful_refusal_of_looks_ends_it_once_it_has_lasted_and_no_call_was_accepted(
    build: Any, source: str, claim: str, sent: str
) -> None:
    calls = build.cancelled(sent) if sent else {}
    cancellation = build.cancellation(doubt=build.doubt(claim, 0, 120, 3), sent=calls)
    end = decide(cancellation, build.answer("refused", 403, source, detail="no"), build.policy(), build.at(120))
    assert end == Finish(Outcome.REFUSED, Evidence.NONE, "no")


@pytest.mark.parametrize(
    ("row", "answer", "longest"),
    [
        pytest.param(("refused", 0, 0, 1), ("refused", 403, "unsure"), 30, id="refused"),
        pytest.param(("gone", 0, 0, 1), ("unanswered", None, "nobody"), 60, id="no-reply-says-nothing-in-doubt"),
        pytest.param(None, ("unanswered", 503, "unsure"), 60, id="nothing-is-in-doubt"),
    ],
)
def test_a_doubtful_refusal_is_asked_about_often_enough_to_last(
    build: Any, row: tuple[Any, ...] | None, answer: tuple[Any, ...], longest: float
) -> None:
    cancellation = build.cancellation(failed_looks=50, doubt=build.doubt(*row) if row else None)
    wait = until(build, decide(cancellation, build.answer(*answer), build.policy(), build.now))
    assert 0.8 * longest <= wait <= longest


def test_a_doubtful_refusal_is_not_asked_about_before_the_backends_retry_after(build: Any) -> None:
    no = build.answer("refused", 403, "unsure", retry_after=45)
    cancellation = build.cancellation(failed_looks=1, doubt=build.doubt("refused", 0, 0, 1))
    assert until(build, decide(cancellation, no, build.policy(), build.now)) == 45


@pytest.mark.parametrize("kind", ["busy", "unanswered", "refused"])
@pytest.mark.parametrize("status", [403, 404, 429, 503, 200])
def test_f10_retry_after_on_any_status_keeps_us_from_the_next_look(build: Any, kind: str, status: int) -> None:
    said = build.answer(kind, status, "unsure", retry_after=40)
    assert until(build, decide(build.cancellation(failed_looks=1), said, build.policy(), build.now)) == 40


@pytest.mark.parametrize(
    ("asked", "due"), [(None, 2), (1.0, 2), (40.0, 40), (86400.0, 300)], ids=["no", "sooner", "later", "far-too-late"]
)
@pytest.mark.parametrize("child", ["active", "cancelling"], ids=["waits", "holds"])
def test_f10_a_list_of_children_that_asks_to_come_back_later_is_obeyed(
    build: Any, child: str, asked: float | None, due: float
) -> None:
    why = build.answer("busy", 429, retry_after=asked)
    seen = build.seen(parent=True, unlisted=why, children=(build.stuck(9999, state=child, job_id="2"),))
    cancellation = build.cancellation(sent=build.cancelled(), clock=build.steady(), looked_at=build.now)
    decision = decide(cancellation, seen, build.policy(), build.now)
    assert isinstance(decision, Hold) is (child == "cancelling")
    assert 0.8 * due <= until(build, decision) <= due


@pytest.mark.parametrize(
    ("state", "changes"),
    [
        pytest.param("active", {"sent": {}}, id="the-cancel"),
        pytest.param("cancelled", {}, id="the-end"),
    ],
)
def test_f10_nothing_is_sent_before_a_lists_retry_after(build: Any, state: str, changes: dict[str, Any]) -> None:
    why = build.answer("busy", 403, retry_after=40)
    seen = build.seen(state, parent=True, unlisted=why)
    cancellation = build.cancellation(**{"sent": build.cancelled(), "looked_at": build.now, **changes})
    decision = decide(cancellation, seen, build.policy(), build.now)
    assert isinstance(decision, Wait)
    assert until(build, decision) == 40


# The deadline


@pytest.mark.parametrize(
    ("kind", "source", "row"),
    [
        pytest.param("unanswered", "nobody", None, id="no-reply"),
        pytest.param("refused", "unsure", ("refused", 0, 60, 2), id="a-refusal-in-doubt"),
        pytest.param("refused", "credential", ("credential", 0, 60, 2), id="a-credential-in-doubt"),
    ],
)
def test_at_the_deadline_a_look_that_shows_nothing_ends_as_timed_out(
    build: Any, kind: str, source: str, row: tuple[Any, ...] | None
) -> None:
    cancellation = build.cancellation(give_up=60, doubt=build.doubt(*row) if row else None)
    end = decide(cancellation, build.answer(kind, source=source), build.policy(), build.at(60))
    assert (end.outcome, end.evidence) == (Outcome.TIMED_OUT, Evidence.NONE)


def test_at_the_deadline_a_refusal_that_counts_still_tells_why(build: Any) -> None:
    end = decide(build.cancellation(give_up=60), build.answer("refused", detail="no"), build.policy(), build.at(60))
    assert end == Finish(Outcome.REFUSED, Evidence.NONE, "no")


def test_the_last_wait_ends_at_the_deadline(build: Any) -> None:
    no = build.answer("refused", 403, "unsure", retry_after=45)
    cancellation = build.cancellation(give_up=20, doubt=build.doubt("refused", 0, 0, 1))
    assert until(build, decide(cancellation, no, build.policy(), build.now)) == 20


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        pytest.param(("gone", 0, 60, 2), Outcome.TIMED_OUT, id="an-absence-in-doubt-proves-nothing"),
        pytest.param(("gone", 0, 120, 3), Outcome.CANCELLED, id="one-that-has-lasted-does"),
    ],
)
def test_at_the_deadline_a_doubtful_absence_is_believed_only_if_it_has_lasted(
    build: Any, row: tuple[Any, ...], outcome: Outcome
) -> None:
    cancellation = build.cancellation(give_up=120, sent=build.cancelled(), seen_alive=True, doubt=build.doubt(*row))
    end = decide(cancellation, build.seen("gone", source="unsure"), build.policy(), build.at(120))
    assert (end.outcome, end.safe_to_rerun) == (outcome, False)


@pytest.mark.parametrize("verb", list(Verb))
def test_an_absence_that_has_lasted_is_safe_only_where_an_end_was_seen_before(build: Any, verb: Verb) -> None:
    known = {"verb": verb, "sent": build.cancelled(), "seen_alive": True, "doubt": build.doubt("gone", 0, 120, 3)}
    gone, policy = build.seen("gone", source="unsure"), build.policy()
    ends = [
        decide(build.cancellation(**known, end=end), gone, policy, build.at(120))
        for end in (None, End(JobState.CANCELLED, "CANCELLED"))
    ]
    assert [end.safe_to_rerun for end in ends] == [False, True]


def test_at_the_deadline_a_family_that_one_list_shows_ended_is_not_confirmed_stopped(build: Any) -> None:
    cancellation = build.cancellation(give_up=60, sent=build.cancelled(), parent=True, closed_at=build.at(60))
    seen = build.seen("cancelled", parent=True)
    assert decide(cancellation, seen, build.policy(), build.at(60)).outcome is Outcome.TIMED_OUT


@pytest.mark.parametrize("source", ["own", "unsure"])
def test_an_end_that_is_not_proven_is_looked_at_again_and_nothing_is_sent(build: Any, source: str) -> None:
    cancellation = build.cancellation(doubt=build.doubt("gone", 0, 0, 1), parent=True)
    seen = build.seen("gone" if source == "unsure" else "cancelled", source=source)
    wait = decide(cancellation, seen, build.policy(), build.now)
    assert isinstance(wait, Wait)
    assert wait.why.startswith("look again")
