"""PURE: open cancellations at a glance: one row for each, and all of them summed up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from heapq import nsmallest

from msgspec import Struct, field

from ..domain.cancellation import Cancellation, attributed
from ..domain.escalation import FORCE_DUE
from ..domain.model import Force
from ..store.codec import Record
from .explain import held

STATES = ("accepted", "cancel_sent", "force_held", "force_sent", "delete_sent")
"""The states of an open cancellation, each named after the event that leads to it."""
NEXT_FORCES = 20
"""How many of the next force steps are shown."""


class Row(Struct, frozen=True):
    """One open cancellation.

    `force_at` is when its force step is due, None if none is ahead; `forced_by_word` says whether this step needs
    somebody's word that the process is gone. `gates` are the jobs whose force step is held, each with the conditions
    that are not met. `hold` says who holds it and why; empty if nobody does.
    """

    id: str
    backend: str
    job_id: str
    verb: str
    state: str
    raw: str
    accepted_at: datetime
    gives_up_at: datetime
    force_at: datetime | None = None
    forced_by_word: bool = False
    gates: tuple[tuple[str, tuple[str, ...]], ...] = ()
    hold: str = ""
    overdue: bool = False


class Count(Struct):
    """How many are in a state, and when the oldest of them was accepted."""

    number: int
    oldest: datetime


class Summary(Struct, frozen=True):
    """All open cancellations that are known, the oldest first."""

    rows: Sequence[Row] = ()
    counts: Mapping[str, Mapping[str, Count]] = field(default_factory=dict)
    forces: tuple[Row, ...] = ()
    held: tuple[Row, ...] = ()


def row_of(record: Record) -> Row:
    """Return the row of an open cancellation."""
    cancellation = record.cancellation
    spec, progress, hold = cancellation.spec, cancellation.progress, cancellation.spec.hold
    return Row(
        id=cancellation.id,
        backend=cancellation.backend,
        job_id=cancellation.job_id,
        verb=f"{spec.verb} (dry run)" if spec.dry_run else str(spec.verb),
        state=state_of(cancellation),
        raw=progress.raw,
        accepted_at=cancellation.accepted_at,
        gives_up_at=spec.give_up_at,
        force_at=force_at(cancellation),
        forced_by_word=spec.force is Force.ATTESTED,
        gates=tuple((job_id, tuple(names)) for job_id, names in held(cancellation)),
        hold=f"{attributed(hold.by, hold.signed_by)}: {hold.reason}" if hold is not None else "",
        overdue=progress.overdue,
    )


def state_of(cancellation: Cancellation) -> str:
    """Name the state of an open cancellation: a shut force gate, else the latest call."""
    if next(held(cancellation), None) is not None:
        return "force_held"
    sent = cancellation.progress.sent
    if not sent:
        return "accepted"
    latest = max(sent, key=lambda key: sent[key].last_at)
    return f"{latest.partition(':')[0]}_sent"


def force_at(cancellation: Cancellation) -> datetime | None:
    """Return when the force step is due, None if none is ahead or the policy forbids it.

    The record names only a time of day. The day is the one that is nearest to what the policy says.
    """
    text = cancellation.progress.next.partition(FORCE_DUE)[2].partition(" ")[0]
    if not text or cancellation.spec.force is Force.NEVER:
        return None
    stuck = [seen.at for seen in cancellation.progress.cancelling.values()]
    about = min(stuck, default=cancellation.accepted_at) + timedelta(seconds=cancellation.spec.force_after)
    at = datetime.combine(about.date(), datetime.strptime(text, "%H:%M:%S").time(), UTC)  # noqa: DTZ007 - a time of day
    return min((at + timedelta(days=days) for days in (-1, 0, 1)), key=lambda one: abs(one - about))


def summed_up(rows: Iterable[Row]) -> Summary:
    """Sum up all rows."""
    ordered = sorted(rows, key=lambda row: (row.accepted_at, row.id))
    counts: dict[str, dict[str, Count]] = defaultdict(dict)
    gates: list[Row] = []
    ahead: list[tuple[datetime, str, Row]] = []
    for row in ordered:
        count = counts[row.backend].get(row.state)
        if count is None:
            counts[row.backend][row.state] = Count(1, row.accepted_at)
        else:
            count.number += 1
        if row.gates:
            gates.append(row)
        elif row.force_at is not None:
            ahead.append((row.force_at, row.id, row))
    forces = tuple(row for _, _, row in nsmallest(NEXT_FORCES, ahead))
    return Summary(ordered, counts, forces, tuple(gates))


def selected(rows: Sequence[Row], backend: str, state: str) -> Sequence[Row]:
    """Return the rows of a backend and a state; an empty name selects all."""
    if not backend and not state:
        return rows
    return [row for row in rows if backend in {"", row.backend} and state in {"", row.state}]
