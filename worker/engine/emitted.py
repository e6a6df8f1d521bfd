"""Reports the events that a pass has emitted: as log lines, and to the observer."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from ..domain.cancellation import Cancellation
from ..domain.event_drafts import EventDraft
from ..observability.log_fields import context, loggable
from ..observability.observer import EventEmitted, Observer

log = structlog.get_logger(__name__)


def report(cancellation: Cancellation, events: Sequence[EventDraft], observer: Observer) -> None:
    """Report events that are stored."""
    whose = context(cancellation) if events else {}
    for event in events:
        log.info(f"cancellation.{event.name}", **whose, **loggable(event))
        observer(EventEmitted(cancellation, event))
