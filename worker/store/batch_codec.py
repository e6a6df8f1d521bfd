"""How batches are stored in Redis: their state is a JSON object that scripts own, their parts are packed commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from ..protocol.batches import (
    BatchCounts,
    BatchOptions,
    BatchPart,
    BatchResult,
    BatchState,
    BatchStatus,
    member_id,
)
from .codec import moment

LONGEST_NAME = 64
"""Characters of a backend's name."""
LINE_LETTERS = {
    "outcome": "o",
    "cancellation_id": "c",
    "evidence": "e",
    "safe_to_rerun": "s",
    "detail": "d",
    "job_state": "j",
    "raw_state": "r",
    "plan": "p",
    "error": "er",
}
"""What `lua/include/batches.lua` calls each part of a result."""


class BatchRecord(Struct, frozen=True):
    """A batch as it is stored; `lua/include/batches.lua` explains its fields. Times are in milliseconds."""

    state: BatchState
    options: dict[str, Any]
    parts: int
    received: int
    selected: int
    cursor: int
    open: int
    rejected: int
    created: int
    finished: dict[str, int]
    backends: list[str] | dict[str, Any] = []
    started: int | None = None
    ended: int | None = None
    by: str = ""
    reason: str = ""
    hold: int = 0
    held: int = 0
    cut: int | None = None
    passed: dict[str, int] = {}


class Line(Struct, frozen=True, rename=LINE_LETTERS):
    """The result of a member as it is stored."""

    outcome: str
    cancellation_id: str | None = None
    evidence: str | None = None
    safe_to_rerun: bool | None = None
    detail: str | None = None
    job_state: str | None = None
    raw_state: str | None = None
    plan: dict[str, Any] | None = None
    error: str | None = None


CUT = Line("aborted", evidence="none", safe_to_rerun=False, detail="the batch was aborted before it was started")
"""The result of a member that an abort has kept from starting."""
RECORD = msgspec.json.Decoder(BatchRecord)
LINE = msgspec.json.Decoder(Line)


def status_of(batch_id: str, record: BatchRecord) -> BatchStatus:
    """Return what is known of a batch."""
    waiting = record.selected - record.cursor + sum(record.passed.values())
    counts = BatchCounts(record.selected, waiting, record.open, record.rejected, dict(record.finished))
    return BatchStatus(
        id=batch_id,
        state=record.state,
        options=BatchOptions(**record.options),
        counts=counts,
        parts=record.parts,
        received=record.received,
        created_at=moment(record.created),
        started_at=None if record.started is None else moment(record.started),
        ended_at=None if record.ended is None else moment(record.ended),
        by=record.by,
        reason=record.reason,
        hold=bool(record.hold),
        held=bool(record.held),
        backends=tuple(record.backends),
    )


def result_of(batch_id: str, index: int, content: Any, line: Line | None, cancellation_id: str | None) -> BatchResult:
    """Return the result of a member; `line` is None if it has not ended, `cancellation_id` is that of an open one."""
    asked: Mapping[str, Any] = content if isinstance(content, Mapping) else {}
    own = (asked.get(name) for name in ("backend", "job_id", "verb"))
    backend, job_id, verb = (str(one) if isinstance(one, str | int) else "" for one in own)
    named = (member_id(batch_id, index, content), backend, job_id, verb)
    if line is None:
        return BatchResult(index, *named, cancellation_id=cancellation_id)
    plan = None if line.plan is None else {"children": [], **line.plan}
    return BatchResult(
        index,
        *named,
        outcome=line.outcome,
        evidence=line.evidence,
        safe_to_rerun=line.safe_to_rerun,
        detail=line.detail or "",
        job_state=line.job_state,
        raw_state=line.raw_state,
        cancellation_id=line.cancellation_id,
        plan=plan,
        error=line.error,
    )


def backends_of(part: BatchPart) -> list[str]:
    """Return the names of the backends that a part's commands name, as far as any backend could be called so."""
    named = (one.get("backend") for one in part.commands if isinstance(one, Mapping))
    return sorted(
        {name for name in named if isinstance(name, str) and len(name) <= LONGEST_NAME and name.isprintable()}
    )
