"""PURE: whether a receiver takes anything at all."""

from __future__ import annotations

MANY = 20
"""Subjects that must fail, with no delivery between, before the receiver itself is taken to be down."""
PROBE_EVERY = 1.0
"""Seconds from one try to the next while the receiver is down."""
LONGEST_PAUSE = 3600.0
"""The most seconds that a receiver that is down can ask to be left alone."""


class Health:
    """Counts failures. While the receiver is down, one delivery at a time is tried, and none uses up its tries fast."""

    def __init__(self) -> None:
        self._failing: set[str] = set()
        self.probe_at = 0.0
        """When the next try may be made while it is down, in milliseconds."""

    @property
    def down(self) -> bool:
        """Whether many subjects have failed, and none was delivered since."""
        return len(self._failing) >= MANY

    def failed(self, order: str, now: float, retry_after: float | None) -> None:
        """Note that an event could not be delivered."""
        self._failing.add(order)
        self.probe_at = now + max(PROBE_EVERY, min(retry_after or 0.0, LONGEST_PAUSE)) * 1000

    def delivered(self) -> bool:
        """Note a delivery; say whether this is the first one after the receiver was down."""
        was_down = self.down
        self._failing.clear()
        return was_down
