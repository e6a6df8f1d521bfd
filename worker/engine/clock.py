"""The time of a pass."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(slots=True)
class Clock:
    """The time of a pass: Redis's at the claim, carried on by the monotonic clock. No wall clock is read.

    `started` is just before the claim was sent, the earliest time at which the lease may have begun; `answered` is when
    the claim's reply had come.
    """

    redis: datetime
    started: float = field(default_factory=time.monotonic)
    answered: float = field(default_factory=time.monotonic)
    _ahead: float = field(init=False)
    """Seconds from the monotonic clock to Redis's."""

    def __post_init__(self) -> None:
        self._ahead = self.redis.timestamp() - self.answered

    def now(self) -> datetime:
        """Return Redis's time now. It is late by the reply's way at most, so nothing comes due early."""
        return datetime.fromtimestamp(time.monotonic() + self._ahead, UTC)
