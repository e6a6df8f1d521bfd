"""The table of vanished records is right, whatever was sent and seen before."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from unit.domain.endings import finish

from worker.domain.cancellation import End
from worker.domain.model import Action, AnswerKind, JobState, Outcome, Verb
from worker.domain.outcome import BY_UNANSWERED, GONE, Effect

MAY_HAVE = {AnswerKind.ACCEPTED, AnswerKind.UNANSWERED}


def pasts(verb: Verb, *actions: Action) -> st.SearchStrategy[dict[str, Any]]:
    """What may have been sent and seen for a command of this verb."""
    return st.fixed_dictionaries(
        {
            "verb": st.just(verb),
            "calls": st.dictionaries(st.sampled_from(actions), st.sampled_from(AnswerKind)),
            "seen_alive": st.booleans(),
            "end": st.sampled_from([None, End(JobState.SUCCEEDED, "SUCCEEDED")]),
            "kind": st.sampled_from(["ess", "oml", "mrs", "sahara"]),
        }
    )


PASTS = pasts(Verb.CANCEL, Action.CANCEL) | pasts(Verb.DELETE, Action.CANCEL, Action.DELETE)


def vanished(build: Any, calls: dict[Action, AnswerKind], **past: Any) -> Any:
    return finish(build, build.seen("gone"), sent={name: build.sent(last) for name, last in calls.items()}, **past)


def ever_seen(past: dict[str, Any]) -> bool:
    return past["seen_alive"] or past["end"] is not None


def test_the_table_has_a_row_for_each_call_that_a_verb_can_lead_to() -> None:
    rows = {
        (verb, effect, seen)
        for verb in Verb
        for effect in Effect
        for seen in (False, True)
        if verb is Verb.DELETE or effect not in {Effect.DELETE, Effect.DELETE_UNANSWERED}
    }
    assert set(GONE) == rows


@given(past=PASTS)
def test_a_vanished_job_is_not_found_exactly_if_it_was_never_seen_and_nothing_took_our_call(
    build: Any, past: dict[str, Any]
) -> None:
    taken = AnswerKind.ACCEPTED in past["calls"].values()
    delete_may_have_removed_it = past["verb"] is Verb.DELETE and past["calls"].get(Action.DELETE) in MAY_HAVE
    nothing = not ever_seen(past) and not taken and not delete_may_have_removed_it

    assert (vanished(build, **past).outcome is Outcome.NOT_FOUND) is nothing


@given(past=PASTS)
def test_a_vanished_job_had_finished_before_us_exactly_if_it_was_seen_and_no_call_can_have_had_an_effect(
    build: Any, past: dict[str, Any]
) -> None:
    before_us = ever_seen(past) and not MAY_HAVE & set(past["calls"].values())

    assert (vanished(build, **past).outcome is Outcome.ALREADY_FINISHED) is before_us


@given(past=PASTS)
def test_only_a_delete_ends_as_deleted(build: Any, past: dict[str, Any]) -> None:
    if vanished(build, **past).outcome is Outcome.DELETED:
        assert past["verb"] is Verb.DELETE
        assert MAY_HAVE & set(past["calls"].values())


@given(past=PASTS)
def test_an_outcome_that_rests_on_an_accepted_call_is_not_in_doubt(build: Any, past: dict[str, Any]) -> None:
    calls = set(past["calls"].values())
    if calls <= {AnswerKind.ACCEPTED}:
        assert BY_UNANSWERED not in vanished(build, **past).detail
