"""PURE: how a cancellation's progress changes with each new fact; decides nothing.

Every function takes a `Cancellation` and returns the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from . import polling
from .cancellation import Cancellation, End, Intent, Probed, Sent, Sighting, sent_key
from .decision import Send
from .evidence import clock, doubt, family, proof
from .force_gate import denied
from .model import Action, Answer, AnswerKind, JobState, Observation, Policy, Source, unanswered

ALIVE = frozenset({JobState.ACTIVE, JobState.CANCELLING})
"""The states that show a job alive: an unknown word shows neither that it runs nor that it has ended."""
NOTE_LIMIT = 300
FACTS_LIMIT = 512
UNANSWERED = unanswered("the worker stopped between the intent and the answer")


def progress(cancellation: Cancellation, **changes: Any) -> Cancellation:
    """Return the cancellation with some of its progress replaced."""
    return replace(cancellation, progress=replace(cancellation.progress, **changes))


def intended(cancellation: Cancellation, send: Send, now: datetime) -> Cancellation:
    """Record a changing call before it is made."""
    return progress(cancellation, intent=Intent(send.action, send.job_id, now))


def answered(cancellation: Cancellation, send: Send, answer: Answer, policy: Policy, now: datetime) -> Cancellation:
    """Record the answer to the intended call, or that there was none.

    If the answer's snapshot shows that the job had ended before the call, the call has changed nothing.
    """
    key = sent_key(send.action, send.job_id)
    kind = AnswerKind.REJECTED if answer.before is not None and answer.before.final else answer.kind
    earlier = cancellation.progress.sent.get(key)
    intent = cancellation.progress.intent
    begun = intent.at if intent else now
    sent = Sent(
        first_at=earlier.first_at if earlier else begun,
        last_at=now,
        last=kind,
        count=earlier.count + 1 if earlier else 1,
        accepted=kind is AnswerKind.ACCEPTED or bool(earlier and earlier.accepted),
        unanswered=kind is AnswerKind.UNANSWERED or bool(earlier and earlier.unanswered),
        allowed=send.allowed,
        probed=send.action is Action.FORCE and proof.proven_gone(cancellation, send.job_id, policy),
        detail=answer.detail[:NOTE_LIMIT] if kind is not AnswerKind.ACCEPTED else "",
        retry_after=answer.retry_after,
        doubt=doubt.continued(earlier.doubt if earlier else None, answer, now),
        held=cancellation.stood_still(now),
    )
    return progress(
        cancellation,
        intent=None,
        sent={**cancellation.progress.sent, key: sent},
        waits=0,
        clock=clock.read(cancellation.progress.clock, answer.clock, begun, now, policy.clock_speed),
    )


def recovered(cancellation: Cancellation, policy: Policy) -> tuple[Cancellation, Send] | None:
    """Turn an intent that a dead worker left open into an unanswered call, or return None if there is none."""
    intent = cancellation.progress.intent
    if intent is None:
        return None
    send = Send(intent.action, intent.job_id)
    return answered(cancellation, send, UNANSWERED, policy, intent.at), send


def observed(
    cancellation: Cancellation,
    seen: Observation,
    policy: Policy,
    now: datetime,
    looks: int = 0,
    asked: datetime | None = None,
) -> Cancellation:
    """Record what a look, or a snapshot in an answer, has shown; `asked` is when the look began."""
    asked = asked or now
    seen = family.whole(cancellation, seen)
    before = cancellation.progress
    raw = seen.raw[:NOTE_LIMIT]
    gone = seen.state is JobState.GONE
    alive = seen.state in ALIVE or (bool(seen.children) and any(child.state in ALIVE for child in seen.children))
    has_children = before.parent or seen.parent or bool(seen.children)
    unlisted = seen.unlisted.detail if seen.unlisted is not None else ""
    refuted = proof.refuted(cancellation, seen, asked)
    return progress(
        cancellation,
        looks=before.looks + looks,
        looked_at=asked,
        failed_looks=0,
        waits=before.waits if raw == before.raw else 0,
        state=seen.state,
        raw=raw,
        seen_alive=before.seen_alive or alive,
        alive_at=asked if alive else before.alive_at,
        parent=has_children,
        end=None if alive else End(seen.state, seen.raw) if seen.final and not gone else before.end,
        cancelling=_sightings(cancellation, seen, now),
        left=_left(cancellation, seen),
        denied=denied(before.denied, seen),
        facts=_facts(before.facts, seen.facts),
        note="; ".join([part for part in (seen.detail, unlisted) if part])[:NOTE_LIMIT],
        doubt=doubt.continued(before.doubt, seen, asked),
        closed_at=(before.closed_at or asked) if has_children and seen.final and not gone else None,
        family_at=before.family_at or (asked if has_children and seen.unlisted is None else None),
        children=family.remembered(cancellation, seen, asked),
        clock=clock.read(before.clock, seen.clock, asked, now, policy.clock_speed),
        probes=_still_gone(cancellation, seen, asked),
        void={**before.void, **dict.fromkeys(refuted, asked)} if refuted else before.void,
        pages=seen.pages,
        long=seen.long,
        quiet_until=_quiet_until(before.quiet_until, seen, policy, now),
    )


def probed(cancellation: Cancellation, job_id: str, gone: bool | None) -> Cancellation:  # noqa: FBT001 - the source's own answer
    """Record what the second source says about a job's process in the latest look, None if it can't say."""
    at = cancellation.progress.looked_at
    if at is None:
        return cancellation
    return progress(cancellation, probes=proof.probed(cancellation.progress.probes, job_id, gone, at))


def look_failed(cancellation: Cancellation, answer: Answer, now: datetime, looks: int = 0) -> Cancellation:
    """Record that a look showed nothing, or could not be made."""
    before = cancellation.progress
    detail = f"the last look failed: {answer.detail or answer.kind}"[:NOTE_LIMIT]
    return progress(
        cancellation,
        looks=before.looks + looks,
        failed_looks=before.failed_looks + 1,
        note=detail,
        doubt=doubt.continued(before.doubt, answer, now),
    )


def waiting(cancellation: Cancellation, why: str) -> Cancellation:
    """Count one wait and record what it is for."""
    return progress(cancellation, waits=cancellation.progress.waits + 1, next=why)


def _quiet_until(before: datetime | None, seen: Observation, policy: Policy, now: datetime) -> datetime | None:
    """Return the time before which replies to this or an earlier look asked us not to look again; None if past."""
    asked_for = now + polling.asked_for(seen.retry_after, policy)
    until = max(asked_for, before or asked_for)
    return until if until > now else None


def _sightings(cancellation: Cancellation, seen: Observation, now: datetime) -> Mapping[str, Sighting]:
    """Return the first sighting of each job in CANCELLING; another backend time starts a new one.

    An observation that may not be in the backend's own words starts none.
    """
    before = cancellation.progress.cancelling
    if seen.source is not Source.OWN:
        return before
    if not before and not seen.children and seen.state is not JobState.CANCELLING:
        return before
    return {
        member.job_id: _sighting(cancellation, member, now)
        for member in (seen, *seen.children)
        if member.state is JobState.CANCELLING
    } | {
        member.job_id: before[member.job_id]
        for member in seen.children
        if member.job_id in before and family.not_shown(member)
    }


def _sighting(cancellation: Cancellation, member: Observation, now: datetime) -> Sighting:
    """Return the sighting of one job; a look without a time neither restarts it nor hides a change of the time."""
    before, last = cancellation.progress.cancelling.get(member.job_id), proof.last_time(cancellation, member.job_id)
    if before is not None and before.since_text == member.since_text:
        return before if before.hidden is None else replace(before, hidden=None)
    not_before = clock.not_before(cancellation, member.job_id)
    new = Sighting(now, member.since_text, not_before, cancellation.stood_still(now))
    if member.since_text or not last:
        return new
    known = before or replace(new, since_text=last)
    return replace(known, hidden=known.hidden or new)


def _left(cancellation: Cancellation, seen: Observation) -> Mapping[str, str]:
    """Return the last times of jobs that were in CANCELLING and are now shown neither there nor running.

    If such a job has ended, its time is kept only while there is an attestation that a later one would refute.
    """
    progress = cancellation.progress
    if seen.source is not Source.OWN or not (progress.cancelling or progress.left):
        return progress.left
    return {
        member.job_id: last
        for member in (seen, *seen.children)
        if member.state not in ALIVE and (cancellation.spec.attestations or not member.ended)
        if not (member.job_id in progress.cancelling and family.not_shown(member))
        if (last := proof.last_time(cancellation, member.job_id)) is not None
    }


def _still_gone(cancellation: Cancellation, seen: Observation, asked: datetime) -> Mapping[str, Probed]:
    """Drop what the second source said about jobs that now show a sign of life."""
    probes = cancellation.progress.probes
    if not probes:
        return probes
    alive = proof.signs_of_life(cancellation, seen, asked)
    return {job_id: said for job_id, said in probes.items() if job_id not in alive}


def _facts(before: Mapping[str, str], new: Mapping[str, str]) -> Mapping[str, str]:
    """Merge the backend's facts, which its support asks for, within `FACTS_LIMIT` bytes."""
    if new.items() <= before.items():
        return before
    merged = {**before, **new}
    if len(msgspec.json.encode(merged)) <= FACTS_LIMIT:
        return merged
    kept: dict[str, str] = {}
    for name, value in merged.items():
        if len(msgspec.json.encode({**kept, name: value})) <= FACTS_LIMIT:
            kept[name] = value
    return kept


def actions(cancellation: Cancellation) -> Mapping[str, int]:
    """Count the calls that were made, by action; actions that were never taken are left out."""
    counts = {str(Action.LOOK): cancellation.progress.looks}
    for key, sent in cancellation.progress.sent.items():
        name = key.partition(":")[0]
        counts[name] = counts.get(name, 0) + sent.count
    return {name: count for name, count in counts.items() if count}
