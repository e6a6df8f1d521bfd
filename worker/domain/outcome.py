"""PURE: how a cancellation ended, judged from what was sent and what is seen."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from .cancellation import Cancellation
from .decision import Finish
from .evidence.effect import ended_before, forced, stop
from .evidence.proof import TWICE, attestation_for, said_now
from .model import Action, Evidence, JobState, Observation, Outcome, Policy, Source, Verb

CLOSED = frozenset({JobState.CANCELLED, JobState.GONE})
"""The states that a force leaves behind: they describe the record, not the remote process."""

BY_UNANSWERED = "our call went unanswered and the job has ended since: it counts as ended after the call"
VANISHED = "the record vanished after our stop"
VANISHED_BEFORE = "the record vanished before we changed anything"
REMOVED_BY_OTHERS = "somebody else removed the record after our stop"
NEVER_SEEN = "our call went unanswered, and no such job was ever seen"


class Effect(StrEnum):
    """The strongest of our calls that may have had an effect on a job whose record is gone."""

    NONE = "none"
    STOP_UNANSWERED = "stop unanswered"
    STOP = "stop accepted"
    DELETE_UNANSWERED = "delete unanswered"
    DELETE = "delete accepted, or made after the end was seen"


Seen = bool
"""Whether the job was ever seen, alive or ended."""

GONE: Mapping[tuple[Verb, Effect, Seen], tuple[Outcome, tuple[str, ...]]] = {
    (Verb.CANCEL, Effect.NONE, False): (Outcome.NOT_FOUND, ()),
    (Verb.CANCEL, Effect.NONE, True): (Outcome.ALREADY_FINISHED, (VANISHED_BEFORE,)),
    (Verb.CANCEL, Effect.STOP_UNANSWERED, False): (Outcome.NOT_FOUND, (NEVER_SEEN,)),
    (Verb.CANCEL, Effect.STOP_UNANSWERED, True): (Outcome.CANCELLED, (VANISHED, BY_UNANSWERED)),
    (Verb.CANCEL, Effect.STOP, False): (Outcome.CANCELLED, (VANISHED,)),
    (Verb.CANCEL, Effect.STOP, True): (Outcome.CANCELLED, (VANISHED,)),
    (Verb.DELETE, Effect.NONE, False): (Outcome.NOT_FOUND, ()),
    (Verb.DELETE, Effect.NONE, True): (Outcome.ALREADY_FINISHED, (VANISHED_BEFORE,)),
    (Verb.DELETE, Effect.STOP_UNANSWERED, False): (Outcome.NOT_FOUND, (NEVER_SEEN,)),
    (Verb.DELETE, Effect.STOP_UNANSWERED, True): (Outcome.DELETED, (REMOVED_BY_OTHERS,)),
    (Verb.DELETE, Effect.STOP, False): (Outcome.CANCELLED, (VANISHED,)),
    (Verb.DELETE, Effect.STOP, True): (Outcome.DELETED, (REMOVED_BY_OTHERS,)),
    (Verb.DELETE, Effect.DELETE_UNANSWERED, False): (Outcome.DELETED, (BY_UNANSWERED,)),
    (Verb.DELETE, Effect.DELETE_UNANSWERED, True): (Outcome.DELETED, (BY_UNANSWERED,)),
    (Verb.DELETE, Effect.DELETE, False): (Outcome.DELETED, ()),
    (Verb.DELETE, Effect.DELETE, True): (Outcome.DELETED, ()),
}
"""The outcome for a job whose record is gone or never existed, and what the event says about it."""


def ended(cancellation: Cancellation, seen: Observation, policy: Policy) -> Finish:
    """Name the outcome of a cancellation whose job is seen to have ended, or to be gone."""
    if seen.state is JobState.GONE:
        outcome, details = _gone(cancellation, policy)
    else:
        outcome, details = _final(cancellation, seen, policy)
    evidence = Evidence.NONE if outcome is Outcome.NOT_FOUND else _evidence(cancellation, seen, policy)
    return Finish(outcome, evidence, "; ".join(part for part in (*details, seen.detail) if part))


def _gone(cancellation: Cancellation, policy: Policy) -> tuple[Outcome, tuple[str, ...]]:
    """Judge a job whose record is gone by the table above."""
    verb, progress = cancellation.spec.verb, cancellation.progress
    called, delete = stop(cancellation), progress.sent.get(Action.DELETE)
    if verb is Verb.DELETE and delete is not None and delete.effective:
        certain = delete.accepted or progress.end is not None
        effect = Effect.DELETE if certain else Effect.DELETE_UNANSWERED
    elif called is not None:
        effect = Effect.STOP if called.accepted else Effect.STOP_UNANSWERED
    else:
        effect = Effect.NONE
    outcome, details = GONE[verb, effect, progress.seen_alive or progress.end is not None]
    if policy.steps.cancel_removes:
        details = tuple(detail for detail in details if detail != VANISHED)
    return outcome, details


def _final(cancellation: Cancellation, seen: Observation, policy: Policy) -> tuple[Outcome, tuple[str, ...]]:
    """Judge a job that has ended and still has its record.

    The job counts as ended after our call unless the backend's own times prove otherwise. If no call can have had an
    effect, that is still so if a call was tried and the job was seen alive.
    """
    called, progress = stop(cancellation), cancellation.progress
    if called is None:
        after_us = progress.seen_alive and bool(progress.sent)
    else:
        after_us = not ended_before(cancellation, seen, policy)
    if not after_us:
        return Outcome.ALREADY_FINISHED, ()
    calls, outcome = [called] if called else [], Outcome.CANCELLED
    forces = list(forced(cancellation).values())
    if not _stopped(cancellation, seen, policy):
        outcome = Outcome.COMPLETED_ANYWAY
    elif forces:
        calls, outcome = forces, Outcome.FORCE_CANCELLED
    doubtful = calls and not any(call.accepted for call in calls)
    return outcome, (BY_UNANSWERED,) if doubtful else ()


def _stopped(cancellation: Cancellation, seen: Observation, policy: Policy) -> bool:
    """Whether the job was cancelled; a parent that merely closed counts if a child was cancelled after our call."""
    if seen.state is not JobState.SUCCEEDED:
        return seen.state is JobState.CANCELLED
    cancelled = (child for child in seen.children if child.state is JobState.CANCELLED)
    return any(not ended_before(cancellation, child, policy) for child in cancelled)


def _evidence(cancellation: Cancellation, seen: Observation, policy: Policy) -> Evidence:
    """Return what supports the claim that the job and its children have stopped."""
    end_seen = seen.state is JobState.GONE and cancellation.progress.end is not None
    if seen.source is not Source.OWN and not end_seen:
        return Evidence.UNVERIFIED
    family = (seen, *seen.children)
    closed = forced(cancellation) if any(member.state in CLOSED for member in family) else {}
    uncertain = (member.job_id or cancellation.job_id for member in family if _uncertain(cancellation, member, policy))
    unproven = tuple(dict.fromkeys((*closed, *uncertain)))
    if unproven:
        return _proof(cancellation, unproven, policy, Evidence.UNVERIFIED)
    return (
        Evidence.REPORTED
        if policy.steps.force
        else _proof(cancellation, (cancellation.job_id,), policy, Evidence.REPORTED)
    )


def _uncertain(cancellation: Cancellation, member: Observation, policy: Policy) -> bool:
    """Whether a member's end may be taken back, or was not seen: its record is gone, and that proves nothing."""
    vanished = member.state is JobState.GONE and not policy.gone_means_stopped
    end_seen = cancellation.progress.end is not None and member.job_id in {"", cancellation.job_id}
    return member.provisional or (vanished and not end_seen)


def _proof(cancellation: Cancellation, job_ids: tuple[str, ...], policy: Policy, otherwise: Evidence) -> Evidence:
    """Return what the second source, asked at the end, and attestations prove about these jobs' processes.

    The second source has the last word: if it contradicts, nothing is proven.
    """
    if policy.probes:
        said = [said_now(cancellation, job_id) for job_id in job_ids]
        if any(one is not None and not one.gone for one in said):
            return Evidence.UNVERIFIED
        enough = TWICE if otherwise is Evidence.UNVERIFIED else 1
        if all(one is not None and one.times >= enough for one in said):
            return Evidence.PROBED
    if otherwise is Evidence.UNVERIFIED and all(attestation_for(cancellation, job_id) for job_id in job_ids):
        return Evidence.ATTESTED
    return otherwise
