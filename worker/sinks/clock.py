"""The deployment's time, as far as this worker knows it."""

from __future__ import annotations

import time


class Clock:
    """The deployment's time in milliseconds, by this worker's monotonic clock since it was last told.

    `speed` is that of a fast clock: waits are so much shorter.
    """

    def __init__(self, now: float, asked_at: float, speed: float = 1.0) -> None:
        self.speed = speed
        self.told(now, asked_at)

    def told(self, now: float, asked_at: float) -> None:
        """Note the time, and the monotonic time at which it was asked for."""
        self._now = now
        self.asked_at = asked_at

    def now(self) -> float:
        """Return the time."""
        return self._now + (time.monotonic() - self.asked_at) * 1000

    def since_asked(self) -> float:
        """Return the seconds since the time was last asked for."""
        return time.monotonic() - self.asked_at

    def after(self, seconds: float) -> float:
        """Return the time after a wait."""
        return self.now() + seconds * 1000 / self.speed
