"""Searches for cancellations by their id, a command's, a job's or a batch's, at a bounded cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..client import CancellerError, Rejected, UnknownBatch, UnknownCancellation
from ..store.codec import Snapshot as Seen
from ..views.open_rows import state_of
from ..views.summary import by_whom
from .board import Board

SEARCHED = 20_000
"""Newest events that are searched."""
MOST_FOUND = 100
LONGEST = 600
"""Characters of a query; no id has more."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A cancellation that was found; `state` is its outcome if it has ended."""

    id: str
    backend: str
    job_id: str
    verb: str
    state: str
    ended: bool
    accepted_at: datetime
    who: str
    command: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """All hits, the newest first, and notes to show with them."""

    rows: list[Hit]
    notes: list[str]
    batch: str = ""


async def search(board: Board, query: str) -> Found:
    """Search for everything that a query may name."""
    if not query or len(query) > LONGEST:
        return Found([], [] if not query else ["No id is that long."])
    found: dict[str, Seen] = {}
    notes: list[str] = []
    try:
        seen = await board.client.get(query)
        found[seen.record.cancellation.id] = seen
    except Rejected as rejected:
        notes.append(f"Command {query} was rejected: {rejected}")
    except CancellerError as error:
        if not isinstance(error, UnknownCancellation):
            notes.append(str(error))
    ids = [*await _open_of_job(board, query, notes)]
    ids += await board.overview.mentioned(query, query, SEARCHED, MOST_FOUND)
    for seen in await board.overview.snapshots(list(dict.fromkeys(ids))[:MOST_FOUND], commands=True):
        found[seen.record.cancellation.id] = seen
    rows = sorted(map(_hit, found.values()), key=lambda hit: hit.accepted_at, reverse=True)
    if len(rows) >= MOST_FOUND:
        notes.append(f"There may be more than these {MOST_FOUND}.")
    return Found(rows, notes, await _batch(board, query))


async def _batch(board: Board, query: str) -> str:
    """Return the id of the batch that a query names, empty if there is none."""
    try:
        return (await board.batches.status(query)).id
    except UnknownBatch:
        return ""


async def _open_of_job(board: Board, job_id: str, notes: list[str]) -> list[str]:
    now = await board.feed.current()
    found = []
    for backend in now.deployment.backends if now.deployment else ():
        if not backend.open:
            continue
        try:
            one = await board.store.open_id(backend.name, job_id)
        except CancellerError as several:
            notes.append(str(several))
        else:
            found += [one] if one else []
    return found


def _hit(seen: Seen) -> Hit:
    one, outcome = seen.record.cancellation, seen.record.outcome
    return Hit(
        id=one.id,
        backend=one.backend,
        job_id=one.job_id,
        verb=str(one.spec.verb),
        state=str(outcome) if outcome is not None else state_of(one),
        ended=outcome is not None,
        accepted_at=one.accepted_at,
        who=by_whom(seen.command),
        command=seen.command,
    )
