"""PURE: ends a dry run: turns the decision that would have been made into the outcome `planned`."""

from __future__ import annotations

from collections.abc import Mapping

from .cancellation import Cancellation
from .decision import Decision, Finish, Hold, Plan, Send
from .model import Action, Evidence, JobState, Observation, Outcome, Verb

NOTHING = "nothing"
NO_NEED: Mapping[Outcome, str] = {
    Outcome.NOT_FOUND: "there is no such job",
    Outcome.ALREADY_FINISHED: "the job has ended",
}
"""Why nothing is sent, by the outcome that a cancellation would have."""


def planned(cancellation: Cancellation, seen: Observation, decision: Decision) -> Finish:
    """End a dry run, given what would be decided now without it."""
    if isinstance(decision, Finish):
        plan = Plan(NOTHING, NO_NEED.get(decision.outcome, decision.detail))
    elif seen.state is JobState.CANCELLING:
        plan = Plan(NOTHING, "the job is being cancelled already")
    elif isinstance(decision, Send):
        plan = Plan(str(cancellation.spec.verb), _because(cancellation, seen, decision))
    else:
        assert not isinstance(decision, Hold)  # noqa: S101 - nothing was sent that a force could follow
        plan = Plan(NOTHING, decision.why)
    return Finish(Outcome.PLANNED, Evidence.NONE, f"would send {plan.would}: {plan.because}", plan)


def _because(cancellation: Cancellation, seen: Observation, send: Send) -> str:
    deleting = cancellation.spec.verb is Verb.DELETE
    found = "the job has ended and its record still exists" if seen.final else "nothing shows that the job has ended"
    steps = "; a cancel goes first" if deleting and send.action is Action.CANCEL else ""
    unlisted = f"; not all of its children could be seen: {seen.unlisted.detail}" if seen.unlisted is not None else ""
    return found + steps + unlisted
