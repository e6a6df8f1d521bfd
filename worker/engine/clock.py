"""The time of a pass."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """The time of a pass: Redis's at the claim, carried on by the monotonic clock. No wall clock is read."""

    def __init__(self, redis: datetime, started: float | None = None) -> None:
        """Begin when the claim's reply, with the time `redis`, has just arrived.

        `started` is just before the claim was sent, the earliest time at which the lease may have begun.
        """
        answered = time.monotonic()
        self.redis = redis
        self.started = answered if started is None else started
        self._ahead = redis.timestamp() - answered
        """Seconds to add to the monotonic clock to get Redis's time."""

    def now(self) -> datetime:
        """Return Redis's time now. It lags by the reply's travel time at most, so nothing comes due early."""
        return datetime.fromtimestamp(time.monotonic() + self._ahead, UTC)

    def elapsed(self) -> float:
        """Return the seconds since the claim was sent."""
        return time.monotonic() - self.started
