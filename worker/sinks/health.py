"""PURE: whether a receiver takes anything at all."""

from __future__ import annotations

from dataclasses import dataclass, field

MANY = 20
"""Subjects that must fail, with no delivery between, before the receiver itself is taken to be down."""
PROBE_EVERY = 1.0
"""Seconds from one try to the next while the receiver is down."""
LONGEST_PAUSE = 3600.0
"""The most seconds for which a receiver that is down can ask to be left alone."""


@dataclass(slots=True)
class Health:
    """Counts failures. While the receiver is down, one delivery at a time is tried, so none uses up its tries fast."""

    failing: set[str] = field(default_factory=set)
    down: bool = False
    """Whether many subjects have failed, and none was delivered since."""
    probe_at: float = 0.0
    """When the next try may be made while it is down, in milliseconds."""

    def failed(self, order: str, now: float, retry_after: float | None) -> None:
        """Note that an event could not be delivered."""
        self.failing.add(order)
        self.down = len(self.failing) >= MANY
        self.probe_at = now + max(PROBE_EVERY, min(retry_after or 0.0, LONGEST_PAUSE)) * 1000

    def delivered(self) -> bool:
        """Note a delivery; say whether this is the first one after the receiver was down."""
        was_down, self.down = self.down, False
        self.failing.clear()
        return was_down
