"""PURE: a batch at a glance: a meter of what became of its members, and the orders that its state allows."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ..domain.decision import ENDED
from ..protocol.batches import BatchState, BatchStatus
from .batches import ended

WIDTH = 1000.0
"""The width of a meter, in units of its own."""
FAILED = frozenset({"refused", "timed_out"})


class Part(Struct, frozen=True):
    """A part of a meter: how many members, and where it is drawn."""

    kind: str
    number: int
    x: float
    width: float


class Progress(Struct, frozen=True):
    """A batch and its meter; `offers` are the orders that its state allows."""

    status: BatchStatus
    meter: tuple[Part, ...]
    ended: int
    offers: tuple[str, ...]


OFFERS: Mapping[BatchState, tuple[str, ...]] = {
    BatchState.RECEIVING: ("abort",),
    BatchState.RUNNING: ("pause", "abort"),
    BatchState.PAUSED: ("resume", "abort"),
}
"""The orders that each state allows; a state that is not listed allows none."""


def progress(status: BatchStatus) -> Progress:
    """Draw a batch: the parts of its meter from left to right, those without members left out."""
    counts = status.counts
    finished = counts.finished
    stopped = sum(number for outcome, number in finished.items() if outcome in ENDED)
    failed = sum(number for outcome, number in finished.items() if outcome in FAILED) + counts.rejected
    other = sum(finished.values()) + counts.rejected - stopped - failed
    numbers = {"stopped": stopped, "other": other, "failed": failed, "open": counts.open, "waiting": counts.waiting}
    whole = max(1, sum(numbers.values()))
    meter: list[Part] = []
    x = 0.0
    for kind, number in numbers.items():
        if number:
            width = WIDTH * number / whole
            meter.append(Part(kind, number, x, width))
            x += width
    return Progress(status, tuple(meter), ended(counts), OFFERS.get(status.state, ()))
