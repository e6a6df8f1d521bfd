"""The simulator's own clock: real time, or faster, and movable by hand."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Simulated time in seconds since 1970; any thread may read and move it.

    Args:
        speed: Simulated seconds per real second; at 0 the clock stands still until `advance`.
        start: Where simulated time begins, in seconds since 1970; now when left out.
        real: The source of real time in seconds; only differences matter.

    """

    def __init__(
        self, speed: float = 1.0, *, start: float | None = None, real: Callable[[], float] = time.monotonic
    ) -> None:
        """Start the clock."""
        self._real = real
        self._turn = RLock()
        self.speed = _checked_speed(speed)
        """Simulated seconds per real second; `set_speed` changes it."""
        self._base = time.time() if start is None else start
        self._since = real()

    def now(self) -> float:
        """Return the simulated time in seconds since 1970, cut to whole milliseconds as replies are."""
        with self._turn:
            exact = self._base + (self._real() - self._since) * self.speed
        return math.floor(exact * 1000 + 1e-6) / 1000

    def advance(self, seconds: float) -> float:
        """Jump ahead by simulated seconds and return the new time."""
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(f"the clock only moves forward, not by {seconds}")
        with self._turn:
            self._base += seconds
            return self.now()

    def set_speed(self, speed: float) -> None:
        """Change the speed from now on."""
        checked = _checked_speed(speed)
        with self._turn:
            real = self._real()
            self._base += (real - self._since) * self.speed
            self._since, self.speed = real, checked


def _checked_speed(speed: float) -> float:
    if not (math.isfinite(speed) and speed >= 0):
        raise ValueError(f"speed must be a number from 0 up, not {speed}")
    return float(speed)


def iso_utc(at: float, zone: str = "Z", timespec: str = "milliseconds") -> str:
    """Format a time in UTC as ISO 8601; an empty `zone` does not say which zone it is in."""
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat(timespec=timespec) + zone


iso_seconds = partial(iso_utc, zone="", timespec="seconds")
"""Formats a time with whole seconds and no zone (SEED S4 sample, SRC H5)."""


def millis(at: float) -> int:
    """Format a time as 13-digit milliseconds (DOC M2, M3)."""
    return round(at * 1000)
