"""PURE: what an event is about, in a few words."""

from __future__ import annotations

from ..protocol.messages import Event
from .batches import short


def about(event: Event) -> str:
    """Name a job and its backend, or a batch by the first digits of its id."""
    if event.type.startswith("canceller.batch."):
        return f"batch {short(event.subject or '-')}"
    return f"{event.backend or '-'} {event.subject or '-'}"
