"""Every path that the record of one job can take by the core's own decisions: for the diagram in ARCHITECTURE.md."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from worker.backends.mrs import Mrs
from worker.backends.oracle_ess import OracleEss
from worker.backends.oracle_ml import OracleMl
from worker.backends.sahara import Sahara
from worker.domain import evolve
from worker.domain.cancellation import WHOLE, Attestation, Cancellation, Spec
from worker.domain.decision import Finish, Hold, Send
from worker.domain.escalation import after_answer, decide, needs_look
from worker.domain.model import Action, Answer, AnswerKind, Force, JobState, Observation, Policy, Source, Verb

T = datetime(2026, 11, 22, 10, tzinfo=UTC)
WAITS = [timedelta(minutes=2), timedelta(minutes=40)]
"""The time from one pass to the next: soon, or when the force step is due."""
STATES = [JobState.ACTIVE, JobState.CANCELLING, JobState.CANCELLED, JobState.GONE]
"""A job goes through these states in this order, and never back."""
STEPS = [OracleEss.steps, OracleMl.steps, Mrs.steps, Sahara.steps]
ANSWERS = [AnswerKind.ACCEPTED, AnswerKind.UNANSWERED, AnswerKind.REJECTED, AnswerKind.REFUSED]
FINISHED = "finished"


class Move(NamedTuple):
    """A record goes from one state to another."""

    source: str
    target: str


class Point(NamedTuple):
    """A record after a pass, and how far its job was seen to be."""

    record: Cancellation
    job: int
    now: datetime


def moves() -> set[Move]:
    """Return every move between two states that the core can make."""
    found: set[Move] = set()
    for steps in STEPS:
        for verb in Verb:
            for force in (Force.AUTO, Force.ATTESTED):
                policy = Policy(steps, force, gone_means_stopped=steps.gone_means_stopped)
                spec = Spec(verb, force, policy.force_after, T + timedelta(days=1))
                found |= _reached(Point(Cancellation("c1", "b", "1", T, spec), 0, T), policy)
    return {move for move in found if move.source != move.target}


def state(record: Cancellation) -> str:
    """Name the state of an open record by the event that brought it there."""
    sent = {key.partition(":")[0] for key in record.progress.sent}
    for action in (Action.DELETE, Action.FORCE):
        if action in sent:
            return f"{action}_sent"
    if record.progress.held:
        return "force_held"
    return "cancel_sent" if sent else "accepted"


def _reached(start: Point, policy: Policy) -> set[Move]:
    found: set[Move] = set()
    points, known = [start], set[object]()
    while points:
        point = points.pop()
        if (mark := _mark(point)) in known:
            continue
        known.add(mark)
        for seen, observation in _looks(point, policy):
            for move, after in _passes(seen, observation, policy):
                found.add(move)
                points += [after] if after else []
    return found


def _mark(point: Point) -> object:
    """Return everything about a point that a decision depends on, except its time."""
    record = point.record
    calls = tuple((key, sent.last, sent.accepted) for key, sent in sorted(record.progress.sent.items()))
    return calls, record.progress.held, record.progress.state, point.job, bool(record.spec.attestations)


def _looks(point: Point, policy: Policy) -> Iterator[tuple[Point, Observation | None]]:
    """Yield what the next pass may see, and when; an operator may have attested before that pass."""
    for words in (point.record.spec.attestations, {WHOLE: Attestation("ann", point.now)}):
        record = replace(point.record, spec=replace(point.record.spec, attestations=words))
        for now in (point.now + wait for wait in WAITS):
            if not needs_look(record, policy):
                yield Point(record, point.job, now), None
                continue
            for job in range(point.job, len(STATES)):
                seen = Observation(STATES[job], STATES[job].upper(), Source.OWN, job_id="1")
                yield Point(evolve.observed(record, seen, policy, now, looks=1), job, now), seen


def _passes(point: Point, seen: Observation | None, policy: Policy) -> Iterator[tuple[Move, Point | None]]:
    """Decide, and carry the decision out, with every answer that a call may get."""
    record, job, now = point
    decision = decide(record, seen, policy, now)
    if isinstance(decision, Finish):
        yield Move(state(record), FINISHED), None
    elif isinstance(decision, Send):
        for answer in (Answer(kind, Source.OWN) for kind in ANSWERS):
            after = evolve.answered(evolve.intended(record, decision, now), decision, answer, policy, now)
            yield Move(state(record), state(after)), Point(after, job, now)
            if isinstance(after_answer(after, decision, answer, policy, now), Finish):
                yield Move(state(after), FINISHED), None
    else:
        reasons = (decision.gate.reason,) if isinstance(decision, Hold) else ()
        after = evolve.progress(record, held=tuple(dict.fromkeys((*record.progress.held, *reasons))))
        yield Move(state(record), state(after)), Point(after, job, now)
