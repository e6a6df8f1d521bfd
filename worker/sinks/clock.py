"""The deployment's time, as far as this worker knows it."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """The deployment's time in milliseconds, carried on by this worker's monotonic clock.

    `told` is what it was when it was last asked for, at `asked_at` by the monotonic clock. A `speed` above 1 is that of
    a fast clock: it makes waits shorter.
    """

    told: float
    asked_at: float
    speed: float = 1.0

    def now(self) -> float:
        """Return the time."""
        return self.told + (time.monotonic() - self.asked_at) * 1000

    def since_asked(self) -> float:
        """Return the seconds since the time was last asked for."""
        return time.monotonic() - self.asked_at
