"""The fields of a cancellation's log lines."""

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


def loggable(draft: EventDraft) -> dict[str, Any]:
    """Return the fields of an event that a log line shows; plain texts, which most of them are, are written fastest."""
    return {
        name: str(value) if isinstance(value, str) else value
        for name in LOGGED
        if (value := draft.data.get(name)) is not None
    }
