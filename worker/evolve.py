"""PURE: how a cancellation's progress changes with each fact; decides nothing.

Every function takes a `Cancellation` and returns the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from worker.cancellation import Cancellation, End, Intent, Sent, Sight, sent_key
from worker.decision import Send
from worker.model import Action, Answer, AnswerKind, Job, JobState, Observation

NOTE_LIMIT = 300
FACTS_LIMIT = 512
UNANSWERED = Answer(AnswerKind.UNANSWERED, detail="the worker stopped between the intent and the answer")


def progress(cancellation: Cancellation, **changes: Any) -> Cancellation:
    """Return the cancellation with some of its progress replaced."""
    return replace(cancellation, progress=replace(cancellation.progress, **changes))


def intended(cancellation: Cancellation, send: Send, now: datetime) -> Cancellation:
    """Note a changing call before it is made."""
    return progress(cancellation, intent=Intent(send.action, send.job_id, now))


def answered(cancellation: Cancellation, send: Send, answer: Answer, now: datetime) -> Cancellation:
    """Take in the answer to the intended call, or that there was none.

    A snapshot that shows the job ended before the call proves that the call changed nothing.
    """
    key = sent_key(send.action, send.job_id)
    kind = AnswerKind.REJECTED if answer.before is not None and answer.before.final else answer.kind
    earlier = cancellation.progress.sent.get(key)
    intent = cancellation.progress.intent
    sent = Sent(
        first_at=earlier.first_at if earlier else intent.at if intent else now,
        last_at=now,
        last=kind,
        count=earlier.count + 1 if earlier else 1,
        accepted=kind is AnswerKind.ACCEPTED or bool(earlier and earlier.accepted),
        unanswered=kind is AnswerKind.UNANSWERED or bool(earlier and earlier.unanswered),
        allowed=send.allowed,
        probed=send.action is Action.FORCE and cancellation.progress.probed_gone,
        detail=answer.detail[:NOTE_LIMIT] if kind is not AnswerKind.ACCEPTED else "",
        retry_after=answer.retry_after,
    )
    return progress(cancellation, intent=None, sent={**cancellation.progress.sent, key: sent}, waits=0)


def recovered(cancellation: Cancellation) -> tuple[Cancellation, Send] | None:
    """Turn an intent that a dead worker left open into an unanswered call, or return None if there is none."""
    intent = cancellation.progress.intent
    if intent is None:
        return None
    send = Send(intent.action, intent.job_id)
    return answered(cancellation, send, UNANSWERED, intent.at), send


def observed(
    cancellation: Cancellation, seen: Observation, now: datetime, looks: int = 0, asked: datetime | None = None
) -> Cancellation:
    """Take in what so many looks, or a snapshot in an answer, has shown; `asked` is when the look began."""
    seen = named(seen, cancellation.job_id)
    before = cancellation.progress
    raw = seen.raw[:NOTE_LIMIT]
    return progress(
        cancellation,
        looks=before.looks + looks,
        looked_at=asked or now,
        vague_at=before.vague_at or asked or now if seen.vague else None,
        failed_looks=0,
        waits=before.waits if raw == before.raw else 0,
        state=seen.state,
        raw=raw,
        seen_alive=before.seen_alive or not seen.final,
        parent=before.parent or seen.parent,
        end=End(seen.state, seen.raw, _verified(seen)) if _ended_with_record(seen) else before.end,
        cancelling=_sights(before.cancelling, seen, now),
        facts=_facts(before.facts, seen.facts),
        note=seen.detail[:NOTE_LIMIT],
    )


def named(seen: Observation, job_id: str) -> Observation:
    """Return an observation that says whose it is; an adapter may leave that out for the job itself."""
    return seen if seen.job_id else replace(seen, job_id=job_id)


def child_job(parent: Job, job_id: str) -> Job:
    """Return a child of a job, as an adapter needs it."""
    return replace(parent, id=job_id)


def looked(cancellation: Cancellation) -> Cancellation:
    """Count one look."""
    return progress(cancellation, looks=cancellation.progress.looks + 1)


def look_failed(cancellation: Cancellation, answer: Answer) -> Cancellation:
    """Take in that a look showed nothing."""
    detail = f"the last look failed: {answer.detail or answer.kind}"[:NOTE_LIMIT]
    return progress(cancellation, failed_looks=cancellation.progress.failed_looks + 1, note=detail)


def waiting(cancellation: Cancellation, why: str) -> Cancellation:
    """Count one wait and say what it is for."""
    return progress(cancellation, waits=cancellation.progress.waits + 1, next=why)


def _verified(seen: Observation) -> bool:
    return all(member.verified for member in seen.family)


def _ended_with_record(seen: Observation) -> bool:
    return seen.final and seen.state is not JobState.GONE


def _sights(before: Mapping[str, Sight], seen: Observation, now: datetime) -> Mapping[str, Sight]:
    """Keep the first sight of each job in CANCELLING; a moved backend time starts it again."""
    return {
        member.job_id: _sight(before.get(member.job_id), member, now)
        for member in seen.family
        if member.state is JobState.CANCELLING
    }


def _sight(before: Sight | None, member: Observation, now: datetime) -> Sight:
    if before is not None and before.since_text == member.since_text:
        return before
    return Sight(now, member.since_text)


def _facts(before: Mapping[str, str], new: Mapping[str, str]) -> Mapping[str, str]:
    """Merge the facts that support asks for, within the contract's 512 bytes."""
    merged = {**before, **new}
    if len(msgspec.json.encode(merged)) <= FACTS_LIMIT:
        return merged
    kept: dict[str, str] = {}
    for name, value in merged.items():
        if len(msgspec.json.encode({**kept, name: value})) <= FACTS_LIMIT:
            kept[name] = value
    return kept


def actions(cancellation: Cancellation) -> Mapping[str, int]:
    """Count the calls that were made, by action, leaving out what never was."""
    counts = {str(Action.LOOK): cancellation.progress.looks}
    for key, sent in cancellation.progress.sent.items():
        name = key.partition(":")[0]
        counts[name] = counts.get(name, 0) + sent.count
    return {name: count for name, count in counts.items() if count}
