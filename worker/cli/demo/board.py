"""The progress of the cases of `demo`, and how it is drawn. No IO: the caller draws it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...protocol.messages import Event
from ...views.summary import gist
from ..output import COLOURS, Cell, Drawing
from .cases import CASES, Case
from .stage import SPEED

CHROME = 4
"""Lines of the live table that are not rows."""
STOPPED = ("cancelled", "force_cancelled")
"""The outcomes of members that were stopped."""
WIDE = 100
"""The terminal's columns from which on everything fits."""


@dataclass(slots=True)
class Row:
    """One case and its results so far; `name` is its job, as people name it, or its batch."""

    case: Case
    command_id: str
    name: str
    now: str = "sent"
    seen: list[str] = field(default_factory=list)
    outcome: str = ""
    evidence: str = ""
    cancel_sent_at: float | None = None
    ended_at: float = 0.0

    @property
    def right(self) -> bool:
        """Whether all is as expected."""
        proof = self.case.evidence in {"", self.evidence}
        return self.outcome == self.case.expected and proof and set(self.case.needs) <= set(self.seen)

    def take(self, event: Event) -> None:
        """Take in an event; of a batch's members, only the first one's events count."""
        if self.case.others:
            self._take_of_batch(event)
            return
        self.seen.append(event.name)
        self.now = f"{event.name}: {gist(event)}"
        if event.name == "cancel_sent":
            self.cancel_sent_at = time.monotonic()
        if event.name in {"finished", "rejected"}:
            self.outcome, self.evidence = event.outcome or event.name, str(event.data.get("evidence", ""))
            self.ended_at = time.monotonic()

    def _take_of_batch(self, event: Event) -> None:
        if not event.type.startswith("canceller.batch."):
            if event.subject == self.case.job_id:
                self.seen.append(event.name)
            return
        self.seen.append(event.name)
        self.now = f"{event.name}: {gist(event)}"
        if event.name == "finished":
            ended = dict(event.data["counts"]["finished"])
            stopped = sum(ended.pop(outcome, 0) for outcome in STOPPED)
            others = (f"{count} {outcome}" for outcome, count in ended.items())
            self.outcome = ", ".join((f"{stopped} stopped", *others))
            self.ended_at = time.monotonic()

    @property
    def state(self) -> str:
        """What happens now, in a few words."""
        if self.outcome:
            return self.outcome
        lives = {self.case.life, *(child["life"] for child in self.case.script.get("children", ()))}
        if self.seen[-1:] == ["cancel_sent"] and "stuck" in lives and self.cancel_sent_at is not None:
            minutes = (time.monotonic() - self.cancel_sent_at) * SPEED / 60
            return f"in CANCELLING for {minutes:.0f} min on ESS's clock"
        return self.now


class Board:
    """All cases."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        for number, case in enumerate(CASES, 1):
            jobs = f"{case.others + 1} jobs" if case.others else case.job_id
            self.rows.append(Row(case, f"demo-{number}", f"{case.backend} {jobs}"))
        self.started = time.monotonic()

    def now(self, height: int) -> Drawing:
        """Return the progress of the cases, as many as fit into `height` lines."""
        ended = sum(bool(row.outcome) for row in self.rows)
        seconds = time.monotonic() - self.started
        title = f"{ended} of {len(self.rows)} ended, {seconds:.0f} s; 30 minutes of the backends last 3 s"
        rows = [(Cell(row.name), Cell(row.case.shows), _word(row.state)) for row in self._shown(height)]
        return Drawing(("backend, job", "what it shows", "now"), rows, title)

    def _shown(self, height: int) -> Sequence[Row]:
        """Choose the rows that fit: what is open first, then what ended last; in the order of the cases."""
        newest = sorted(self.rows, key=lambda row: (bool(row.outcome), -row.ended_at))
        chosen = {id(row) for row in newest[: max(3, height - CHROME)]}
        return [row for row in self.rows if id(row) in chosen]

    def result(self, width: int) -> Drawing:
        """Return the table of expected and actual outcomes; with the evidence if there is room."""
        columns = ["", "what it shows", "backend, job", "expected", "outcome", *(["evidence"] if width >= WIDE else [])]
        rows: list[Sequence[Cell]] = []
        for row in self.rows:
            mark = Cell("✓", "green") if row.right else Cell("✗", "bold red")
            told = mark, Cell(row.case.shows), Cell(row.name), Cell(row.case.expected), _word(row.outcome or "none")
            rows.append((*told, Cell(row.evidence))[: len(columns)])
        return Drawing(columns, rows)

    def as_plain(self) -> list[dict[str, Any]]:
        """Return the same as plain values."""
        return [
            {
                "shows": row.case.shows,
                "backend": row.case.backend,
                "verb": row.case.verb,
                "job_id": row.case.job_id,
                "expected": row.case.expected,
                "outcome": row.outcome or None,
                "evidence": row.evidence or None,
                "events": row.seen,
                "right": row.right,
            }
            for row in self.rows
        ]


def _word(text: str) -> Cell:
    return Cell(text, COLOURS.get(text, ""))
