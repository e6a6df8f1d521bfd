"""PURE: the whole story of a job in plain words: who asked, each call and answer, each wait and its cause, the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from ..domain.model import Action, AnswerKind, JobState, Outcome
from ..protocol.messages import Event
from ..store.codec import Snapshot
from .explain import words
from .story_words import told
from .waits import cause_of_wait

CHANGING = (str(Action.CANCEL), str(Action.FORCE), str(Action.DELETE))
SENT = tuple(f"{name}_sent" for name in CHANGING)
STOPPED_BY_SOMEBODY = frozenset({str(JobState.CANCELLED), str(JobState.CANCELLING)})
STILL_TRUE = frozenset({"seen", "next", "in the way"})
"""The labels in `explain` of what an open cancellation's story ends with."""
RECORD_ONLY = "its events are not among those that were searched; this is what its record says"


class Line(Struct, frozen=True):
    """One sentence of a story, and when it happened; `name` is its event's name, or says what it is about."""

    at: datetime | None
    name: str
    text: str


class Chapter(Struct, frozen=True):
    """The story of one cancellation, or of one rejected command; `missing` counts the events that were not found."""

    title: str
    cancellation_id: str
    outcome: str
    lines: tuple[Line, ...]
    missing: int = 0


class Known(Struct, frozen=True):
    """What is known of one cancellation: its events, the oldest first, and its record if that is still there."""

    cancellation_id: str
    events: tuple[Event, ...] = ()
    seen: Snapshot | None = None


def chapters(known: Sequence[Known], others: Sequence[Event], breaks: Sequence[Event], now: datetime) -> list[Chapter]:
    """Tell all that is known of a job, the newest first.

    `others` are events about it that are not numbered among a cancellation's own, such as `rejected`; `breaks` are
    those of its backend's breaker.
    """
    senders = sorted((one for one in known if _may_have_stopped(one)), key=_began)
    found = []
    for one in known:
        earlier = [sender for sender in senders if _began(sender) < _began(one)]
        chapter = _chapter(one, others, breaks, earlier[-1] if earlier else None, now)
        found.append((_began(one), chapter))
    lone = [event for event in others if event.name == "rejected"]
    found += [(when(event), _rejected(event)) for event in lone]
    return [chapter for _, chapter in sorted(found, key=lambda pair: pair[0], reverse=True)]


def when(event: Event) -> datetime:
    """Return the time of an event."""
    return datetime.fromisoformat(event.time)


def not_by_us(state: str, facts: Mapping[str, Any] | None = None) -> str:
    """Describe a stop that nothing we sent has caused; empty if the backend shows no stop."""
    if state not in STOPPED_BY_SOMEBODY:
        return ""
    cause = f"; its cause, by the backend: {facts['cause']}" if facts and facts.get("cause") else ""
    shown = "being cancelled" if state == JobState.CANCELLING else "cancelled"
    return f"not by us: the backend shows the job {shown}, and nothing that we sent has done that{cause}"


def by_nobody(state: str, raw: str, facts: Mapping[str, Any]) -> str:
    """Say what a backend shows of a job of which nothing is known here."""
    if state == JobState.GONE:
        return f"the backend knows no such job either ({raw})"
    others = not_by_us(state, facts)
    return others or f"the backend shows it {state} ({raw}), and nobody has asked to cancel it here"


def _began(known: Known) -> datetime:
    if known.events:
        return when(known.events[0])
    assert known.seen is not None  # noqa: S101 - without events it is known by its record
    return known.seen.record.cancellation.accepted_at


def _may_have_stopped(known: Known) -> bool:
    if known.seen is not None and known.seen.record.cancellation.progress.sent:
        return any(call.effective for call in known.seen.record.cancellation.progress.sent.values())
    return _had_effect(known.events)


def _had_effect(events: Sequence[Event]) -> bool:
    """Whether a changing call may have had an effect: one was not turned down, or its event is missing.

    If the job had already finished, none had.
    """
    if any(event.outcome == Outcome.ALREADY_FINISHED for event in events):
        return False
    answers = [event.data.get("answer") for event in events if event.name in SENT]
    turned_down = [one for one in answers if isinstance(one, Mapping) and one.get("meaning") != AnswerKind.ACCEPTED]
    counts = (event.data.get("calls") or {} for event in events)
    made = max((sum(calls.get(name, 0) for name in CHANGING) for calls in counts), default=0)
    return max(made, len(answers)) > len(turned_down)


def _chapter(
    known: Known, others: Sequence[Event], breaks: Sequence[Event], sender: Known | None, now: datetime
) -> Chapter:
    record = known.seen.record if known.seen is not None else None
    finished = next((event for event in known.events if event.name == "finished"), None)
    outcome = finished.outcome if finished is not None else record and record.outcome
    ours = (event for event in others if event.data.get("cancellation_id") == known.cancellation_id)
    after = [event for event in ours if event.name == "reappeared"]
    lines = [*_past((*known.events, *after), breaks, sender, now), *_record(known, now)]
    missing = max(0, record.sequence - len(known.events)) if record is not None else 0
    return Chapter(
        _title(known, str(outcome or "open")), known.cancellation_id, str(outcome or ""), tuple(lines), missing
    )


def _title(known: Known, outcome: str) -> str:
    if known.events:
        data = known.events[-1].data
        verb, backend, job_id = (str(data.get(name, "?")) for name in ("verb", "backend", "job_id"))
    else:
        assert known.seen is not None  # noqa: S101 - as in `_began`
        cancellation = known.seen.record.cancellation
        verb, backend, job_id = str(cancellation.spec.verb), cancellation.backend, cancellation.job_id
    return f"{verb} {backend} {job_id}: {outcome} (cancellation {known.cancellation_id})"


def _past(events: Sequence[Event], breaks: Sequence[Event], sender: Known | None, now: datetime) -> Iterator[Line]:
    """Describe each event, and what the time between two of them was spent on."""
    before: list[Event] = []
    for event in events:
        if before:
            cause = cause_of_wait(before, event, breaks)
            if cause:
                yield Line(None, "wait", cause)
        for text in told(event, now):
            yield Line(when(event), event.name, text)
        before.append(event)
        if event.name == "finished":
            yield from _others(event, before, sender)


def _others(finished: Event, events: Sequence[Event], sender: Known | None) -> Iterator[Line]:
    """Say so if somebody else has stopped the job, or a cancellation before this one."""
    data = finished.data
    state = (data.get("plan") or {}).get("job_state") or data.get("job_state")
    text = not_by_us(str(state), data.get("backend_facts"))
    if text and not _had_effect(events):
        if sender is None:
            yield Line(when(finished), "not by us", text)
        else:
            earlier = f"not by this cancellation; an earlier one asked for the same: {sender.cancellation_id}"
            yield Line(when(finished), "stopped before", earlier)


def _record(known: Known, now: datetime) -> Iterator[Line]:
    """Say what is true now of an open cancellation, and of any whose events were not found."""
    if known.seen is None:
        return
    pairs = words(known.seen, now)
    if not known.events:
        yield Line(None, "record", RECORD_ONLY)
        yield from (Line(None, label, text) for label, text in pairs if label != "cancellation")
    elif known.seen.record.outcome is None:
        yield from (Line(None, label, text) for label, text in pairs if label in STILL_TRUE)


def _rejected(event: Event) -> Chapter:
    data = event.data
    lines = tuple(Line(when(event), event.name, text) for text in told(event, when(event)))
    return Chapter(f"command {data.get('command_id', '?')}: rejected", "", "rejected", lines)
