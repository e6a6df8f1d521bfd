"""Batches on the board: their progress as a drawn meter, and the orders that people give about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from ..client.async_client import AsyncClient
from ..domain.decision import ENDED
from ..errors import InvalidCommand
from ..protocol.batches import BatchState, BatchStatus
from .actions import Form, Given, Problem

WIDTH = 1000.0
"""The width of a meter, in units of its own."""
FAILED = frozenset({"refused", "timed_out"})
FORMS: Mapping[str, Form] = {
    "pause": Form(
        "Pause",
        "Nothing new is started until the batch is resumed. What is open goes on, unless it is held too.",
        "hold",
        "Hold what is open, too",
        kind="checkbox",
    ),
    "resume": Form("Resume", "The batch goes on: failures so far count no more, and what the pause holds is released."),
    "abort": Form("Abort", "What has not started ends as aborted without a call. What is open is aborted."),
}
"""The orders that pages offer, in their order."""
EFFECTS: Mapping[str, frozenset[BatchState]] = {
    "pause": frozenset({BatchState.PAUSED}),
    "resume": frozenset({BatchState.RUNNING, BatchState.FINISHED}),
    "abort": frozenset({BatchState.ABORTING, BatchState.FINISHED}),
}
"""The states that show that an order has taken effect."""


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


def progress(status: BatchStatus) -> Progress:
    """Draw a batch."""
    counts = status.counts
    return Progress(
        status,
        tuple(_parts(status)),
        sum(counts.finished.values()) + counts.rejected,
        () if status.state.final else tuple(_offers(status.state)),
    )


def _offers(state: BatchState) -> Iterator[str]:
    if state is BatchState.RUNNING:
        yield "pause"
    if state is BatchState.PAUSED:
        yield "resume"
    if state is not BatchState.ABORTING:
        yield "abort"


def _parts(status: BatchStatus) -> Iterator[Part]:
    """Return the parts of a meter from left to right, those without members left out."""
    counts = status.counts
    finished = counts.finished
    stopped = sum(number for outcome, number in finished.items() if outcome in ENDED)
    failed = sum(number for outcome, number in finished.items() if outcome in FAILED) + counts.rejected
    other = sum(finished.values()) + counts.rejected - stopped - failed
    numbers = {"stopped": stopped, "other": other, "failed": failed, "open": counts.open, "waiting": counts.waiting}
    whole = max(1, sum(numbers.values()))
    x = 0.0
    for kind, number in numbers.items():
        if number:
            width = WIDTH * number / whole
            yield Part(kind, number, x, width)
            x += width


def running(statuses: Sequence[BatchStatus]) -> list[Progress]:
    """Return the batches in which something may still happen."""
    return [progress(status) for status in statuses if not status.state.final]


async def send(client: AsyncClient, batch_id: str, one: Given) -> str:
    """Send an order about a batch; return its id, by which its rejection is known.

    Raises:
        Problem: the client does not send it, and why.

    """
    batch = client.batch_by_id(batch_id)
    try:
        order: str = await getattr(batch, one.action)(by=one.by, reason=one.reason, **one.more)
    except InvalidCommand as error:
        raise Problem(str(error)) from None
    return order
