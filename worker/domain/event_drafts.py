"""PURE: what the events of a cancellation say. The store adds the command's own fields, ids and times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, field, to_builtins

from .cancellation import Attestation, Cancellation, attributed
from .decision import Finish, Gate, Plan, Send
from .evidence.effect import ended_before
from .evidence.proof import Refuted, attestation_for
from .evolve import ALIVE, NOTE_LIMIT, actions
from .model import Action, Answer, AnswerKind, JobState, Observation, Outcome, Policy

CHILDREN_LIMIT = 1000
WHOLE_SECONDS = len("2026-11-22T10:00:00")

CHILD_OUTCOMES: Mapping[JobState, str] = {
    JobState.CANCELLED: "cancelled",
    JobState.SUCCEEDED: "completed_anyway",
    JobState.FAILED: "completed_anyway",
    JobState.GONE: "cancelled",
}


UNTOUCHED = frozenset({Outcome.ALREADY_FINISHED, Outcome.PLANNED, Outcome.CHANGED})
"""The outcomes that no call of ours has brought about: a child that has ended did so by itself."""


class EventDraft(Struct, frozen=True):
    """An event not yet numbered: the middle word of its type, and its `data` beside the command's own fields."""

    name: str
    data: Mapping[str, Any] = field(default_factory=dict)


def sent(send: Send, answer: Answer) -> EventDraft:
    """Report that a changing call was answered, or went unanswered."""
    said: object = "unanswered"
    if answer.kind is not AnswerKind.UNANSWERED:
        said = {"status": answer.status, "code": answer.code or None, "meaning": str(answer.kind)}
    detail = None if answer.kind is AnswerKind.ACCEPTED else answer.detail or None
    return EventDraft(f"{send.action}_sent", {"answer": said, "target_job_id": send.job_id, "detail": detail})


def held(gate: Gate, now: datetime) -> EventDraft:
    """Report that the force step is due and which of its preconditions are not met.

    The waiting time is over, so the step may be taken as soon as they are met: `earliest_at` is now.
    """
    conditions: dict[str, object] = {
        condition.name: {"met": "unknown" if condition.met is None else condition.met, "evidence": condition.evidence}
        for condition in gate.conditions
    }
    conditions["earliest_at"] = text(now)
    return EventDraft("force_held", {"gate": conditions, "target_job_id": gate.job_id})


def overdue(cancellation: Cancellation, policy: Policy) -> EventDraft:
    """Report that the job is not confirmed stopped after `warn_after`."""
    progress = cancellation.progress
    return EventDraft(
        "overdue",
        {
            "warn_after": policy.warn_after,
            "job_state": progress.state,
            "raw_state": progress.raw or None,
            "detail": progress.note or None,
            "calls": actions(cancellation),
        },
    )


def void(one: Refuted) -> EventDraft:
    """Report that an attestation no longer counts, and why."""
    return EventDraft(
        "attestation_void", {**_attestation(one.attestation), "child": one.child or None, "detail": one.why}
    )


def finished(cancellation: Cancellation, finish: Finish, seen: Observation | None, policy: Policy) -> EventDraft:
    """Report the end, with everything it rests on."""
    progress, spec = cancellation.progress, cancellation.spec
    about = (cancellation.job_id, *spec.attestations)
    attestations = (attestation_for(cancellation, job_id) for job_id in about)
    attestation = next((one for one in attestations if one is not None), None)
    children = seen.children[:CHILDREN_LIMIT] if seen is not None else ()
    withdrawn = spec.withdrawal if finish.outcome is Outcome.ABORTED else {}
    return EventDraft(
        "finished",
        {
            "outcome": finish.outcome,
            "evidence": finish.evidence,
            "safe_to_rerun": finish.safe_to_rerun,
            "job_state": progress.state or JobState.UNKNOWN,
            "raw_state": progress.end.raw if progress.end and progress.state is JobState.GONE else progress.raw or None,
            "detail": finish.detail,
            "calls": actions(cancellation),
            "backend_facts": dict(progress.facts),
            "children": [_child(cancellation, finish, child, policy) for child in children],
            **_attestation(attestation),
            **({"action": {"name": "abort", **withdrawn}} if withdrawn else {}),
            **(_plan(finish.plan, seen) if finish.plan is not None and seen is not None else {}),
            "accepted_at": text(cancellation.accepted_at),
            **_first_sent(cancellation),
        },
    )


def reappeared(seen: Observation, outcome: Outcome, ended_at: datetime) -> EventDraft:
    """Report that a job is alive again after its cancellation has ended."""
    living = [
        {"job_id": child.job_id, "job_state": child.state, "raw_state": child.raw}
        for child in seen.children[:CHILDREN_LIMIT]
        if child.state in ALIVE
    ]
    return EventDraft(
        "reappeared",
        {
            "outcome": outcome,
            "finished_at": text(ended_at),
            "job_state": seen.state,
            "raw_state": seen.raw[:NOTE_LIMIT],
            "children": living,
            "backend_facts": dict(seen.facts),
        },
    )


def _plan(plan: Plan, seen: Observation) -> Mapping[str, object]:
    """Return the result of a dry run."""
    children = [
        {"job_id": child.job_id, "job_state": child.state, "raw_state": child.raw}
        for child in seen.children[:CHILDREN_LIMIT]
    ]
    found = {"job_state": seen.state, "raw_state": seen.raw or None, "children": children}
    return {"plan": {"would": plan.would, "because": plan.because, **found}}


def effective(
    force: str, force_after_seconds: float, give_up_after: float, *, another: bool = False
) -> Mapping[str, Any]:
    """Return the values that apply to a command, given the backend's policy and the command's own wishes.

    `another` says that only somebody other than the requesters may attest.
    """
    waits = {"force": force, "force_after": force_after_seconds, "give_up_after": give_up_after}
    return {"effective": waits | ({"attest": "another"} if another else {})}


CHANGING = (Action.CANCEL, Action.FORCE, Action.DELETE)


def text(moment: datetime | None) -> str | None:
    """Write a moment as the events do: UTC, milliseconds, `Z`."""
    if moment is None:
        return None
    there = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return f"{to_builtins(there)[:WHOLE_SECONDS]}.{there.microsecond // 1000:03d}Z"


def _first_sent(cancellation: Cancellation) -> Mapping[str, str | None]:
    """Return when each kind of call was first made."""
    first: dict[str, datetime] = {}
    for key, one in cancellation.progress.sent.items():
        action = key.partition(":")[0]
        first[action] = min(first.get(action, one.first_at), one.first_at)
    return {f"{action}_sent_at": text(first.get(action)) for action in CHANGING}


def _attestation(attestation: Attestation | None) -> Mapping[str, str | None]:
    """Return who gave an attestation, and the verified producer if it was signed."""
    if attestation is None:
        return {"attested_by": None}
    verified = {"attestation_signed_by": attestation.signed_by} if attestation.signed_by else {}
    return {"attested_by": attributed(attestation.by, attestation.signed_by), **verified}


def _child(cancellation: Cancellation, finish: Finish, child: Observation, policy: Policy) -> dict[str, object]:
    before = finish.outcome in UNTOUCHED or ended_before(cancellation, child, policy)
    if before and child.final:
        return {"job_id": child.job_id, "outcome": str(Outcome.ALREADY_FINISHED), "raw_state": child.raw}
    by_force = cancellation.progress.sent.get(f"{Action.FORCE}:{child.job_id}")
    outcome = CHILD_OUTCOMES.get(child.state, "open")
    if outcome == "cancelled" and by_force is not None and by_force.effective:
        outcome = "force_cancelled"
    return {"job_id": child.job_id, "outcome": outcome, "raw_state": child.raw}
