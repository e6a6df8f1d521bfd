"""What log lines tell of a cancellation."""

from __future__ import annotations

from typing import Any

from ..domain.cancellation import Cancellation
from ..domain.event_drafts import EventDraft


def context(cancellation: Cancellation) -> dict[str, Any]:
    """Return what every log line of a cancellation carries."""
    return {
        "cancellation_id": cancellation.id,
        "backend": cancellation.backend,
        "job_id": cancellation.job_id,
        **({"traceparent": cancellation.traceparent} if cancellation.traceparent else {}),
    }


LOGGED = ("outcome", "evidence", "raw_state", "answer", "detail", "gate", "target_job_id")


def loggable(fact: EventDraft) -> dict[str, Any]:
    """Return the parts of a fact that a log line shows; plain texts, which are most of them, are written fastest."""
    return {
        name: str(value) if isinstance(value, str) else value
        for name in LOGGED
        if (value := fact.data.get(name)) is not None
    }
