"""The simulator's own clock: real time, faster, and movable by hand."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Simulated time in seconds since 1970.

    Args:
        speed: Simulated seconds per real second; 0 stands still until `advance`.
        start: Where simulated time begins, in seconds since 1970; now when left out.
        real: The source of real time in seconds; only differences matter.

    """

    def __init__(
        self, speed: float = 1.0, *, start: float | None = None, real: Callable[[], float] = time.monotonic
    ) -> None:
        """Start the clock."""
        self._real = real
        self._speed = _checked_speed(speed)
        self._base = time.time() if start is None else start
        self._since = real()

    @property
    def speed(self) -> float:
        """Simulated seconds per real second."""
        return self._speed

    def now(self) -> float:
        """Return the simulated time in seconds since 1970, cut to whole milliseconds as replies are."""
        return math.floor(self._exact() * 1000 + 1e-6) / 1000

    def advance(self, seconds: float) -> float:
        """Jump ahead by simulated seconds and return the new time."""
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(f"the clock only moves forward, not by {seconds}")
        self._base += seconds
        return self.now()

    def set_speed(self, speed: float) -> None:
        """Change the speed from now on."""
        checked = _checked_speed(speed)
        self._base, self._since = self._exact(), self._real()
        self._speed = checked

    def _exact(self) -> float:
        return self._base + (self._real() - self._since) * self._speed


def _checked_speed(speed: float) -> float:
    if not (math.isfinite(speed) and speed >= 0):
        raise ValueError(f"speed must be a number from 0 up, not {speed}")
    return float(speed)


def as_datetime(at: float) -> datetime:
    """Turn seconds since 1970 into an aware UTC time."""
    return datetime.fromtimestamp(at, UTC)


def http_date(at: float) -> str:
    """Format a time for the `Date` header (whole seconds)."""
    return format_datetime(as_datetime(at), usegmt=True)


def iso_utc(at: float) -> str:
    """Format a time as ISO 8601 with milliseconds and Z."""
    return iso_naive(at) + "Z"


def iso_naive(at: float) -> str:
    """Format a time as ISO 8601 with milliseconds and no zone."""
    return as_datetime(at).replace(tzinfo=None).isoformat(timespec="milliseconds")


def iso_seconds(at: float) -> str:
    """Format a time as ISO 8601 with whole seconds and no zone (SEED S4 sample, SRC H5)."""
    return as_datetime(at).replace(tzinfo=None).isoformat(timespec="seconds")


def millis(at: float) -> int:
    """Format a time as 13-digit milliseconds (DOC M2, M3)."""
    return round(at * 1000)
