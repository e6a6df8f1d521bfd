"""What a worker process has learned about how long one backend's jobs take to stop."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from ..domain import polling
from ..domain.cancellation import Cancellation
from ..domain.model import Action

REMEMBERED = 64
"""Only the latest stops count: a backend's habits change."""


@dataclass(slots=True)
class StopTimes:
    """Learns from observed stops; `typical` goes into the policy of later passes."""

    typical: tuple[float, ...] = ()
    _stops: deque[float] = field(default_factory=partial(deque[float], maxlen=REMEMBERED))

    def learn(self, cancellation: Cancellation, now: datetime) -> None:
        """Learn from a job that was seen stopped."""
        asked = cancellation.progress.sent.get(Action.CANCEL)
        if asked is not None and asked.accepted and polling.is_plain(cancellation.id):
            self._stops.append((now - asked.last_at).total_seconds())
            self.typical = polling.typical_stop_times(list(self._stops))
