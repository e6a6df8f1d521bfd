"""PURE: how a cancellation ended, judged from what was sent and what is seen."""

from __future__ import annotations

from .cancellation import Cancellation, Sent
from .decision import Finish
from .evidence.effect import effective, ended_before, forced, stop
from .evidence.proof import TWICE, said_now, word_for
from .model import Action, Evidence, JobState, Observation, Outcome, Policy, Source, Verb

CLOSED = frozenset({JobState.CANCELLED, JobState.GONE})
"""The states that a force leaves behind: they speak of the record, not of the remote process."""

BY_UNANSWERED = "our call went unanswered and the job has ended since: the end counts as after it"


def ended(cancellation: Cancellation, seen: Observation, policy: Policy) -> Finish:
    """Name the outcome of a cancellation whose job is seen to have ended, or to be gone."""
    if seen.state is JobState.GONE:
        outcome, detail = _gone(cancellation, policy)
    else:
        outcome, detail = _final(cancellation, seen, policy)
    evidence = Evidence.NONE if outcome is Outcome.NOT_FOUND else _evidence(cancellation, seen, policy)
    return Finish(outcome, evidence, "; ".join(part for part in (detail, seen.detail) if part))


def _gone(cancellation: Cancellation, policy: Policy) -> tuple[Outcome, str]:
    """Judge a record that is not there (any more)."""
    called, delete, known = stop(cancellation), effective(cancellation, Action.DELETE), _known(cancellation)
    if cancellation.spec.verb is Verb.DELETE and (delete or (called and known)):
        doubt = _doubt(delete) if cancellation.progress.end is None else ""
        return Outcome.DELETED, doubt if delete else "somebody else removed the record after our stop"
    if called and (known or called.accepted):
        vanished = "" if policy.steps.cancel_removes else "the record vanished after our stop"
        return Outcome.CANCELLED, "; ".join(part for part in (vanished, _doubt(called)) if part)
    if known:
        return Outcome.ALREADY_FINISHED, "the record vanished before we changed anything"
    return Outcome.NOT_FOUND, "our call went unanswered, and no such job was ever seen" if called else ""


def _final(cancellation: Cancellation, seen: Observation, policy: Policy) -> tuple[Outcome, str]:
    """Judge a job that has ended and still has its record."""
    if not _after_us(cancellation, seen, policy):
        return Outcome.ALREADY_FINISHED, ""
    called, forces = stop(cancellation), forced(cancellation).values()
    if not _stopped(cancellation, seen, policy):
        return Outcome.COMPLETED_ANYWAY, _doubt(called)
    return (Outcome.FORCE_CANCELLED, _doubt(*forces)) if forces else (Outcome.CANCELLED, _doubt(called))


def _stopped(cancellation: Cancellation, seen: Observation, policy: Policy) -> bool:
    """A job in the cancelled state; a parent that merely closed counts if a child was cancelled after our call."""
    if seen.state is not JobState.SUCCEEDED:
        return seen.state is JobState.CANCELLED
    cancelled = (child for child in seen.children if child.state is JobState.CANCELLED)
    return any(not ended_before(cancellation, child, policy) for child in cancelled)


def _after_us(cancellation: Cancellation, seen: Observation, policy: Policy) -> bool:
    """Whether the end counts as after our asking: unless the backend's own times prove otherwise."""
    called = stop(cancellation)
    if called is None:
        return cancellation.progress.seen_alive and bool(cancellation.progress.sent)
    return not ended_before(cancellation, seen, policy)


def _doubt(*calls: Sent | None) -> str:
    """Say so where the outcome rests on calls that all went unanswered."""
    made = [call for call in calls if call is not None]
    return BY_UNANSWERED if made and not any(call.accepted for call in made) else ""


def _evidence(cancellation: Cancellation, seen: Observation, policy: Policy) -> Evidence:
    """Say what stands behind the claim that the job has stopped."""
    if cancellation.progress.end is None and seen.state is JobState.GONE and seen.source is not Source.OWN:
        return Evidence.UNVERIFIED
    forces = forced(cancellation)
    if forces and any(member.state in CLOSED for member in seen.family):
        return _proof(cancellation, tuple(forces), policy, Evidence.UNVERIFIED)
    gone = seen.state is JobState.GONE and cancellation.progress.end is None and not policy.gone_means_stopped
    unproven = gone or any(member.provisional for member in seen.family)
    claim = Evidence.UNVERIFIED if unproven else Evidence.REPORTED
    if unproven or not policy.steps.force:
        return _proof(cancellation, (cancellation.job_id,), policy, claim)
    return claim


def _proof(cancellation: Cancellation, job_ids: tuple[str, ...], policy: Policy, otherwise: Evidence) -> Evidence:
    """Say what the second source, asked at the end, and somebody's word prove of these jobs' processes.

    The second source has the last word: one that contradicts leaves nothing proven.
    """
    if policy.probes:
        said = [said_now(cancellation, job_id) for job_id in job_ids]
        if any(one is not None and not one.gone for one in said):
            return Evidence.UNVERIFIED
        enough = TWICE if otherwise is Evidence.UNVERIFIED else 1
        if all(one is not None and one.times >= enough for one in said):
            return Evidence.PROBED
    if otherwise is Evidence.UNVERIFIED and all(word_for(cancellation, job_id) for job_id in job_ids):
        return Evidence.ATTESTED
    return otherwise


def _known(cancellation: Cancellation) -> bool:
    return cancellation.progress.seen_alive or cancellation.progress.end is not None
