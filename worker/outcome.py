"""PURE: how a cancellation ended, judged from what was sent and what is seen."""

from __future__ import annotations

from datetime import datetime

from worker.cancellation import Cancellation, Sent, sent_key
from worker.decision import Finish
from worker.gate import forced, word_for
from worker.model import Action, Evidence, JobState, Observation, Outcome, Policy, Verb

CLOCK_ERROR = 2.0
"""Seconds by which a `Date` header (whole seconds) and a call's way may mislead about a moment."""

CLOSED = frozenset({JobState.CANCELLED, JobState.GONE})
"""The states that a force leaves behind: they speak of the record, not of the remote process."""

BY_UNANSWERED = "our call went unanswered and the job has ended since: the end counts as after it"


def ended(cancellation: Cancellation, seen: Observation, policy: Policy, now: datetime) -> Finish:
    """Name the outcome of a cancellation whose job is seen to have ended, or to be gone."""
    if seen.state is JobState.GONE:
        outcome, detail = _gone(cancellation, policy)
    else:
        outcome, detail = _final(cancellation, seen, now)
    evidence = Evidence.NONE if outcome is Outcome.NOT_FOUND else _evidence(cancellation, seen, policy)
    return Finish(outcome, evidence, "; ".join(part for part in (detail, seen.detail) if part))


def _gone(cancellation: Cancellation, policy: Policy) -> tuple[Outcome, str]:
    """Judge a record that is not there (any more)."""
    stop, delete, known = _stop(cancellation), _effective(cancellation, Action.DELETE), _known(cancellation)
    if cancellation.orders.verb is Verb.DELETE and (delete or (stop and known)):
        doubt = _doubt(delete) if cancellation.progress.end is None else ""
        return Outcome.DELETED, doubt if delete else "somebody else removed the record after our stop"
    if stop and (known or stop.accepted):
        vanished = "" if policy.steps.cancel_removes else "the record vanished after our stop"
        return Outcome.CANCELLED, "; ".join(part for part in (vanished, _doubt(stop)) if part)
    if known:
        return Outcome.ALREADY_FINISHED, "the record vanished before we changed anything"
    return Outcome.NOT_FOUND, "our call went unanswered, and no such job was ever seen" if stop else ""


def _final(cancellation: Cancellation, seen: Observation, now: datetime) -> tuple[Outcome, str]:
    """Judge a job that has ended and still has its record."""
    if not _after_us(cancellation, seen, now):
        return Outcome.ALREADY_FINISHED, ""
    stop, forces = _stop(cancellation), forced(cancellation)
    if not _stopped(seen):
        return Outcome.COMPLETED_ANYWAY, _doubt(stop)
    return (Outcome.FORCE_CANCELLED, _doubt(*forces)) if forces else (Outcome.CANCELLED, _doubt(stop))


def _stopped(seen: Observation) -> bool:
    """A job in the cancelled state; a parent that merely closed counts when a child of it was cancelled."""
    if seen.state is JobState.SUCCEEDED:
        return any(child.state is JobState.CANCELLED for child in seen.children)
    return seen.state is JobState.CANCELLED


def _after_us(cancellation: Cancellation, seen: Observation, now: datetime) -> bool:
    """Whether the end counts as after our asking."""
    stop = _stop(cancellation)
    if stop is not None and (stop.accepted or cancellation.progress.seen_alive):
        return True
    if stop is None:
        return cancellation.progress.seen_alive and bool(cancellation.progress.sent)
    return seen.state is JobState.CANCELLED or not _proven_before(stop, seen, now)


def _proven_before(stop: Sent, seen: Observation, now: datetime) -> bool:
    """Whether the backend's own times show that the job ended before our unanswered call.

    The call's moment on the backend's clock is its `Date` now, less the time that has passed here since, if
    that clock runs as fast as ours. It proves nothing about a cancelled job: that may have been our doing.
    """
    if seen.ended_at is None or seen.clock is None:
        return False
    age = (now - stop.first_at).total_seconds()
    return (seen.clock - seen.ended_at).total_seconds() > age + CLOCK_ERROR


def _doubt(*calls: Sent | None) -> str:
    """Say so where the outcome rests on calls that all went unanswered."""
    made = [call for call in calls if call is not None]
    return BY_UNANSWERED if made and not any(call.accepted for call in made) else ""


def _evidence(cancellation: Cancellation, seen: Observation, policy: Policy) -> Evidence:
    """Say what stands behind the claim that the job has stopped."""
    end = cancellation.progress.end
    by_force = bool(forced(cancellation)) and any(member.state in CLOSED for member in seen.family)
    if seen.state is JobState.GONE:
        verified = end.verified if end is not None else policy.gone_means_stopped
    else:
        verified = all(member.verified for member in seen.family)
    if verified and not by_force:
        return Evidence.REPORTED
    calls = forced(cancellation)
    if cancellation.progress.probed_gone or (calls and all(call.probed for call in calls)):
        return Evidence.PROBED
    attested = all(word_for(cancellation, job_id) for job_id in _doubtful(cancellation, seen))
    return Evidence.ATTESTED if attested else Evidence.UNVERIFIED


def _doubtful(cancellation: Cancellation, seen: Observation) -> tuple[str, ...]:
    """Return the jobs whose end a word must prove: those that were forced or whose state proves nothing, or the job."""
    sent = cancellation.progress.sent
    forces = {job_id: sent.get(sent_key(Action.FORCE, job_id)) for job_id in (one.job_id for one in seen.family)}
    doubted = (
        member.job_id
        for member in seen.family
        if not member.verified or ((force := forces[member.job_id]) and force.effective)
    )
    return tuple(doubted) or (cancellation.job_id,)


def _stop(cancellation: Cancellation) -> Sent | None:
    """Return the call that may have stopped the job, or None if nothing was sent that could have."""
    return _effective(cancellation, Action.CANCEL) or _effective(cancellation, Action.DELETE)


def _effective(cancellation: Cancellation, action: Action) -> Sent | None:
    sent = cancellation.progress.sent.get(action)
    return sent if sent is not None and sent.effective else None


def _known(cancellation: Cancellation) -> bool:
    return cancellation.progress.seen_alive or cancellation.progress.end is not None
