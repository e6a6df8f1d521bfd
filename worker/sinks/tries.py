"""PURE: the results of tries, when the next one is made, and when there is none."""

from __future__ import annotations

from msgspec import Struct

FIRST, FACTOR, LONGEST = 1.0, 2.0, 4 * 3600.0
"""Seconds before the second try, the growth of further waits, and the longest: 20 tries take about a day."""
JITTER = 0.2
"""The share by which a wait is shorter or longer, so that what failed together is not tried together."""
ENOUGH = 3
"""Tries that must have been refused before it is believed that all will be."""


class Failure(Struct, frozen=True):
    """Why a try failed. `refused` means that trying again is of no use, `retry_after` is in seconds, if given."""

    reason: str
    refused: bool = False
    retry_after: float | None = None


class Limits(Struct, frozen=True):
    """When a delivery is given up: after some tries, some seconds of refusals, or some seconds in the stream."""

    max_tries: int = 20
    believe_after: float = 120.0
    keep_at_most: float = 30 * 86400.0


class Tried(Struct, frozen=True):
    """What is known of an event's deliveries so far. `refused_since` is in milliseconds, 0 if it is not refused."""

    tries: int = 0
    refused_since: int = 0

    def after(self, failure: Failure, now: float) -> Tried:
        """Return the same with one more try, which failed at `now` (ms)."""
        return Tried(self.tries + 1, (self.refused_since or int(now)) if failure.refused else 0)

    def hopeless(self, limits: Limits, now: float, speed: float) -> str:
        """Say why no further try is made, empty if one is; `now` is in ms, `speed` that of a fast clock."""
        if self.tries >= limits.max_tries:
            return "1 try failed" if self.tries == 1 else f"{self.tries} tries failed"
        refused_for = (now - self.refused_since) / 1000 * speed
        if self.refused_since and self.tries >= ENOUGH and refused_for >= limits.believe_after:
            return f"the receiver refused it {self.tries} times"
        return ""


UNTRIED = Tried()


def pause(tries: int, retry_after: float | None, chance: float) -> float:
    """Return the seconds until the next try after this many tries; `chance` is from 0 to 1."""
    wait: float = min(LONGEST, FIRST * FACTOR ** min(tries - 1, 60))
    return max(wait * (1 - JITTER + 2 * JITTER * chance), retry_after or 0.0)
