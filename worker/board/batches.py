"""The orders that people give about batches: their forms, how they are sent, and how their effect is recognised."""

from __future__ import annotations

from collections.abc import Mapping

from ..client import AsyncClient, BatchState, InvalidCommand
from .actions import Form, Given, Problem

FORMS: Mapping[str, Form] = {
    "pause": Form(
        "Pause",
        "Nothing new is started until the batch is resumed. What is open goes on, unless it is held too.",
        "hold",
        "Hold what is open, too",
        kind="checkbox",
    ),
    "resume": Form(
        "Resume", "The batch goes on: earlier failures no longer count, and what the pause holds is released."
    ),
    "abort": Form("Abort", "What has not started ends as aborted without a call. What is open is aborted."),
}
"""The orders that pages offer, in their order."""
EFFECTS: Mapping[str, frozenset[BatchState]] = {
    "pause": frozenset({BatchState.PAUSED}),
    "resume": frozenset({BatchState.RUNNING, BatchState.FINISHED}),
    "abort": frozenset({BatchState.ABORTING, BatchState.FINISHED}),
}
"""The states that show that an order has taken effect."""


async def send(client: AsyncClient, batch_id: str, one: Given) -> str:
    """Send an order about a batch; return its id, by which a rejection can be found.

    Raises:
        Problem: the client does not send it; the text says why.

    """
    batch = client.batch_by_id(batch_id)
    try:
        order: str = await getattr(batch, one.action)(by=one.by, reason=one.reason, **one.more)
    except InvalidCommand as error:
        raise Problem(str(error)) from None
    return order
