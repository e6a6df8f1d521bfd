"""PURE: how far a batch is, in numbers and in words."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from ..domain.model import Outcome
from ..protocol.batches import BatchCounts, BatchState, BatchStatus
from .explain import span

REJECTED: Final = "rejected"
FAILURES: Final = (str(Outcome.REFUSED), str(Outcome.TIMED_OUT), REJECTED)
"""The outcomes that count as failures of a batch."""
DRIFT: Final = (str(Outcome.CHANGED), str(Outcome.NOT_FOUND))
"""The outcomes of jobs that are not as a command expects them, whether there was a plan or not."""
PLAN_DRIFT: Final = (*DRIFT, str(Outcome.ALREADY_FINISHED))
"""The outcomes of jobs that are not as in the plan: a plan sends nothing for a job that has ended."""
WITHDRAWN: Final = (str(Outcome.ABORTED),)
WINDOW: Final = 30.0
"""Seconds over which the rate is measured."""
DIGEST: Final = "sha256:"
"""The prefix of the id of a batch that applies a plan: the id is the plan's digest."""
SHORT: Final = len(DIGEST) + 12
"""Characters of an id that are enough to name a batch."""


def short(batch_id: str) -> str:
    """Return an id as people write it: a digest by its first digits."""
    return batch_id[:SHORT] if batch_id.startswith(DIGEST) else batch_id


def drift_of(batch_id: str) -> tuple[str, ...]:
    """Return the outcomes of a batch's jobs that are not as they were when it was planned or asked for."""
    return PLAN_DRIFT if batch_id.startswith(DIGEST) else DRIFT


def ended(counts: BatchCounts) -> int:
    """Return how many members have ended."""
    return counts.rejected + sum(counts.finished.values())


def outcomes(counts: BatchCounts) -> str:
    """Say how members have ended, rejected ones included."""
    found = {**dict(sorted(counts.finished.items())), REJECTED: counts.rejected}
    return ", ".join(f"{count} {outcome}" for outcome, count in found.items() if count)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast members end, measured over the last half minute; times are seconds of any monotonic clock.

    `seen` pairs times with how many members had ended by then.
    """

    seen: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, at: float, done: int) -> None:
        """Note how many have ended by now."""
        self.seen.append((at, done))
        while len(self.seen) > 2 and self.seen[1][0] <= at - WINDOW:  # noqa: PLR2004 - a first and a last one
            self.seen.popleft()

    def measured(self, counts: BatchCounts) -> tuple[float, float | None]:
        """Return how many members end per second, 0 while that is unknown, and the seconds until all have ended."""
        rate = 0.0
        if self.seen:
            (start, before), (end, done) = self.seen[0], self.seen[-1]
            rate = (done - before) / (end - start) if end > start else 0.0
        return rate, (counts.waiting + counts.open) / rate if rate else None


def progress_line(status: BatchStatus, pace: Pace | None = None) -> str:
    """Say in one line how far a batch is, and how fast if it is watched."""
    counts = status.counts
    parts = [f"{ended(counts)} of {counts.selected} ended"]
    rate, left = pace.measured(counts) if pace is not None else (0.0, None)
    if status.state is BatchState.RUNNING and left is not None:
        parts.append(f"{rate:.3g}/s, {span(left)} left")
    if counts.open:
        parts.append(f"{counts.open} open")
    if told := outcomes(counts):
        parts.append(told)
    return "; ".join([*parts, *state_words(status)])


def state_words(status: BatchStatus) -> list[str]:
    """Say what holds a batch up, if anything does."""
    who = f" by {status.by}" if status.by else ""
    why = f": {status.reason}" if status.reason else ""
    match status.state:
        case BatchState.RECEIVING:
            return [f"{status.received} of {status.parts} parts have arrived"]
        case BatchState.PAUSED:
            held = (
                (", and what is open is held" if status.held else ", what is open is being held") if status.hold else ""
            )
            return [f"paused{who}{why}{held}"]
        case BatchState.ABORTING:
            return [f"being aborted{who}{why}"]
        case BatchState.INCOMPLETE:
            return [f"incomplete: {status.received} of {status.parts} parts arrived within a day"]
        case _:
            return []


def stands_still(status: BatchStatus) -> bool:
    """Whether nothing happens until somebody acts: it has paused by itself, and nothing is open."""
    return status.state is BatchState.PAUSED and status.by == "canceller" and not status.counts.open


def described(status: BatchStatus, pace: Pace | None = None) -> dict[str, Any]:
    """Return what is known of a batch as plain values."""
    counts = status.counts
    told: dict[str, Any] = {
        "batch_id": status.id,
        "state": str(status.state),
        "counts": {
            "selected": counts.selected,
            "waiting": counts.waiting,
            "open": counts.open,
            "rejected": counts.rejected,
            "finished": dict(counts.finished),
        },
        "options": status.options.model_dump(exclude_none=True),
        "backends": list(status.backends),
        **{name: getattr(status, name) for name in ("created_at", "started_at", "ended_at")},
        "by": status.by or None,
        "reason": status.reason or None,
        "hold": status.hold,
        "held": status.held,
    }
    if pace is not None:
        rate, left = pace.measured(counts)
        told |= {"rate": round(rate, 3), "seconds_left": None if left is None else round(left)}
    return told
