"""The time of a pass: no wall clock is read."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(slots=True)
class Clock:
    """The time of a pass: Redis's at the claim, carried on by the monotonic clock. No wall clock is read.

    `started` is before the claim was asked for, which is when the lease may have begun; `answered` is after.
    """

    redis: datetime
    started: float = field(default_factory=time.monotonic)
    answered: float = field(default_factory=time.monotonic)
    _ahead: float = field(init=False)
    """Seconds from the monotonic clock to Redis's."""

    def __post_init__(self) -> None:
        self._ahead = self.redis.timestamp() - self.answered

    def now(self) -> datetime:
        """Return Redis's time now, late by the answer's way at most: nothing that waits comes early."""
        return datetime.fromtimestamp(time.monotonic() + self._ahead, UTC)

    def elapsed(self) -> float:
        """Return the seconds since the claim was asked for."""
        return time.monotonic() - self.started
