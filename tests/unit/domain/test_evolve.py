from __future__ import annotations

import json
from typing import Any

import pytest

from worker.domain import evolve
from worker.domain.cancellation import End
from worker.domain.decision import Send
from worker.domain.model import Action, Answer, AnswerKind, JobState

CANCEL = Send(Action.CANCEL, "1")
KINDS = list(AnswerKind)


def take(build: Any, *answers: Answer, send: Send = CANCEL, **changes: Any) -> Any:
    """The cancellation after a call was made and answered, once for each answer, ten seconds apart."""
    cancellation = build.cancellation(**changes)
    for number, answer in enumerate(answers):
        cancellation = evolve.intended(cancellation, send, build.at(10 * number))
        cancellation = evolve.answered(cancellation, send, answer, build.policy(), build.at(10 * number + 1))
    return cancellation


def test_an_intent_is_noted_before_the_call(build: Any) -> None:
    intent = evolve.intended(build.cancellation(), Send(Action.FORCE, "7"), build.now).progress.intent
    assert (intent.action, intent.job_id, intent.at) == (Action.FORCE, "7", build.now)


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_closes_the_intent(build: Any, kind: AnswerKind) -> None:
    assert take(build, build.answer(kind)).progress.intent is None


@pytest.mark.parametrize("kind", KINDS)
def test_only_an_accepted_or_unanswered_call_may_have_changed_something(build: Any, kind: AnswerKind) -> None:
    cancellation = take(build, build.answer(kind))
    effective = kind in {AnswerKind.ACCEPTED, AnswerKind.UNANSWERED}
    assert cancellation.progress.sent["cancel"].effective is effective
    assert cancellation.job.stop_sent is effective


@pytest.mark.parametrize("first", [AnswerKind.ACCEPTED, AnswerKind.UNANSWERED])
@pytest.mark.parametrize("then", KINDS)
def test_what_a_call_may_have_changed_no_later_answer_undoes(build: Any, first: AnswerKind, then: AnswerKind) -> None:
    sent = take(build, build.answer(first), build.answer(then)).progress.sent["cancel"]
    assert sent.effective
    assert sent.last is then


def test_the_history_keeps_the_first_moment_the_last_and_the_count(build: Any) -> None:
    sent = take(build, *(build.answer("busy", retry_after=7),) * 3).progress.sent["cancel"]
    assert (sent.first_at, sent.last_at, sent.count, sent.retry_after) == (build.now, build.at(21), 3, 7)


def test_an_answer_without_an_intent_counts_from_itself(build: Any) -> None:
    cancellation = evolve.answered(build.cancellation(), CANCEL, build.answer("accepted"), build.policy(), build.at(5))
    assert cancellation.progress.sent["cancel"].first_at == build.at(5)


def test_what_was_said_is_kept_unless_it_was_accepted(build: Any) -> None:
    assert take(build, build.answer("rejected", detail="x" * 999)).progress.sent["cancel"].detail == "x" * 300
    assert take(build, build.answer("accepted", detail="fine")).progress.sent["cancel"].detail == ""


def test_an_answer_starts_the_looks_from_poll_first_again(build: Any) -> None:
    assert take(build, build.answer("accepted"), waits=9).progress.waits == 0


def test_a_force_counts_for_each_job_by_itself(build: Any) -> None:
    one = take(build, build.answer("accepted"), send=Send(Action.FORCE, "7", allowed=True))
    assert set(one.progress.sent) == {"force:7"}
    assert one.progress.sent["force:7"].allowed is True
    assert not one.job.stop_sent


@pytest.mark.parametrize(
    ("state", "kind"), [("succeeded", "rejected"), ("cancelled", "rejected"), ("active", "accepted")]
)
def test_a_snapshot_of_an_ended_job_proves_that_the_call_changed_nothing(build: Any, state: str, kind: str) -> None:
    answer = build.answer("accepted", before=build.seen(state))
    assert take(build, answer).progress.sent["cancel"].last == kind


def test_a_crash_between_intent_and_answer_is_an_unanswered_call_at_the_intents_time(build: Any) -> None:
    left_open = evolve.intended(build.cancellation(), Send(Action.FORCE, "7"), build.at(5))
    recovered = evolve.recovered(left_open, build.policy())
    assert recovered is not None
    cancellation, send = recovered
    sent = cancellation.progress.sent["force:7"]
    assert send == Send(Action.FORCE, "7")
    assert (sent.last, sent.last_at, sent.unanswered, sent.accepted) == ("unanswered", build.at(5), True, False)
    assert cancellation.progress.intent is None


def test_nothing_is_recovered_where_no_intent_is_open(build: Any) -> None:
    assert evolve.recovered(build.cancellation(), build.policy()) is None


# Looks


def test_a_look_is_taken_in(build: Any) -> None:
    seen = build.seen("active", "RUNNING", detail="on hold")
    progress = evolve.observed(build.cancellation(failed_looks=3), seen, build.policy(), build.at(5)).progress
    assert (progress.state, progress.raw, progress.note) == (JobState.ACTIVE, "RUNNING", "on hold")
    assert (progress.looked_at, progress.failed_looks) == (build.at(5), 0)


@pytest.mark.parametrize("state", list(JobState))
def test_only_a_word_that_shows_life_counts_as_a_sight_of_it(build: Any, state: JobState) -> None:
    progress = evolve.observed(build.cancellation(), build.seen(state), build.policy(), build.now).progress
    assert progress.seen_alive is (state in {"active", "cancelling"})


def test_a_job_that_was_seen_alive_counts_as_seen_alive_from_then_on(build: Any) -> None:
    assert evolve.observed(
        build.cancellation(seen_alive=True), build.seen("gone"), build.policy(), build.now
    ).progress.seen_alive


def test_a_parent_that_ended_over_a_living_child_was_seen_alive(build: Any) -> None:
    seen = build.seen("succeeded", children=(build.seen("active", job_id="2"),))
    progress = evolve.observed(build.cancellation(), seen, build.policy(), build.now).progress
    assert progress.seen_alive
    assert progress.end is None


@pytest.mark.parametrize("state", ["cancelled", "succeeded", "failed"])
def test_an_end_is_kept_for_when_its_record_is_gone(build: Any, state: str) -> None:
    seen = build.seen(state, "X", children=(build.seen("failed", job_id="2"),))
    cancellation = evolve.observed(build.cancellation(), seen, build.policy(), build.now)
    cancellation = evolve.observed(cancellation, build.seen("gone"), build.policy(), build.now)
    assert cancellation.progress.end == End(JobState(state), "X")


@pytest.mark.parametrize(("raw", "waits"), [("RUNNING", 5), ("STOPPING", 0)])
def test_a_change_starts_the_looks_from_poll_first_again(build: Any, raw: str, waits: int) -> None:
    cancellation = build.cancellation(raw="RUNNING", waits=5)
    assert evolve.observed(cancellation, build.seen("active", raw), build.policy(), build.now).progress.waits == waits


def test_a_very_long_word_is_no_change_each_time_it_is_seen(build: Any) -> None:
    seen = build.seen("unknown", "X" * 5000)
    cancellation = evolve.waiting(evolve.observed(build.cancellation(), seen, build.policy(), build.now), "again")
    assert evolve.observed(cancellation, seen, build.policy(), build.now).progress.waits == 1


@pytest.mark.parametrize(
    ("since", "state", "expected"),
    [
        pytest.param("T1", "cancelling", 0, id="the-first-sight-is-kept"),
        pytest.param("T2", "cancelling", 60, id="a-check-in-starts-it-again"),
        pytest.param("T1", "active", None, id="falling-back-ends-it"),
        pytest.param("T1", "cancelled", None, id="the-end-ends-it"),
    ],
)
def test_the_first_sight_of_cancelling(build: Any, since: str, state: str, expected: float | None) -> None:
    first = evolve.observed(build.cancellation(), build.seen("cancelling", since_text="T1"), build.policy(), build.now)
    then = evolve.observed(first, build.seen(state, since_text=since), build.policy(), build.at(60))
    wanted = {} if expected is None else {"1": (build.at(expected), since)}
    sights = then.progress.cancelling.items()
    assert {job_id: (sight.at, sight.since_text) for job_id, sight in sights} == wanted


def test_each_child_has_a_first_sight_of_its_own(build: Any) -> None:
    first = evolve.observed(build.cancellation(), build.stuck(None), build.policy(), build.now)
    seen = build.stuck(None, children=(build.stuck(None, job_id="2"), build.seen("active", job_id="3")))
    sights = evolve.observed(first, seen, build.policy(), build.at(9)).progress.cancelling
    assert {name: sight.at for name, sight in sights.items()} == {"1": build.now, "2": build.at(9)}


def test_a_look_without_an_id_is_at_the_job_itself(build: Any) -> None:
    progress = evolve.observed(build.cancellation(), build.stuck(None, job_id=""), build.policy(), build.now).progress
    assert set(progress.cancelling) == {"1"}


def test_a_failed_look_is_counted_and_told(build: Any) -> None:
    cancellation = build.cancellation(raw="RUNNING", state=JobState.ACTIVE)
    progress = evolve.look_failed(cancellation, build.answer("unanswered", detail="x" * 999), build.now).progress
    assert (progress.failed_looks, progress.raw, progress.looked_at) == (1, "RUNNING", None)
    assert progress.note.startswith("the last look failed: xxx")
    assert len(progress.note) == 300


def test_a_failed_look_without_a_word_says_what_kind_it_was(build: Any) -> None:
    assert "busy" in evolve.look_failed(build.cancellation(), build.answer("busy"), build.now).progress.note


# Facts and counts


def facts_of(build: Any, *several: dict[str, str]) -> dict[str, str]:
    cancellation = build.cancellation()
    for facts in several:
        cancellation = evolve.observed(cancellation, build.seen(facts=facts), build.policy(), build.now)
    return dict(cancellation.progress.facts)


def test_facts_of_several_looks_are_merged_and_the_newest_counts(build: Any) -> None:
    assert facts_of(build, {"a": "1", "b": "1"}, {"b": "2"}) == {"a": "1", "b": "2"}


@pytest.mark.parametrize("value", ["x" * 100, "ü" * 100, '"' * 100], ids=["plain", "two-bytes", "escaped"])
def test_facts_fit_the_contracts_512_bytes_as_they_are_written(build: Any, value: str) -> None:
    kept = facts_of(build, {f"name_{number}": value for number in range(9)})
    assert kept
    assert len(json.dumps(kept, ensure_ascii=False).encode()) <= 512


def test_a_fact_that_is_too_long_does_not_crowd_out_the_next(build: Any) -> None:
    assert facts_of(build, {"a": "x" * 600, "b": "1"}) == {"b": "1"}


def test_calls_are_counted_by_action_and_what_never_was_is_left_out(build: Any) -> None:
    sent = {
        "cancel": build.sent("busy", count=3),
        "force:1": build.sent(count=2),
        "force:2": build.sent(),
        "delete": build.sent(),
    }
    assert evolve.actions(build.cancellation(sent=sent)) == {"cancel": 3, "force": 3, "delete": 1}
    looked = evolve.look_failed(build.cancellation(looks=1), build.answer("busy"), build.now, looks=1)
    assert evolve.actions(looked) == {"look": 2}
    assert evolve.actions(build.cancellation()) == {}


def test_a_wait_is_counted_and_says_what_it_is_for(build: Any) -> None:
    progress = evolve.waiting(build.cancellation(), "look again").progress
    assert (progress.waits, progress.next) == (1, "look again")
