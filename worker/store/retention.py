"""PURE: how long what has ended is kept, and how many bytes of dead letters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ..settings.environment import Settings

DAY = 86400.0
UNSIGNED = "dead:unsigned"
LETTERS = ("dead", UNSIGNED)
"""The streams of dead letters. The second has those of unknown senders, if signatures are checked."""
LETTERS_SHARE = 0.1
"""The most that dead letters take up, as a share of Redis's memory limit."""
UNVERIFIED_SHARE = 0.1
"""The share of those bytes that is for dead letters of unknown senders."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what has ended is kept, in seconds, and how many bytes of dead letters."""

    events: float = 7 * DAY
    records: float = 7 * DAY
    dead_letters: float = 30 * DAY
    dead_letters_size: float = 64e6

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what the environment says."""
        kept = settings.keep_events, settings.keep_records, settings.keep_dead_letters
        return cls(*kept, settings.dead_letters_size)

    def letters_limit(self, memory: float, *, unverified: bool) -> int:
        """Return how many bytes of dead letters are kept; unknown senders can't push out the others'.

        `memory` is Redis's limit in bytes, 0 for none.
        """
        most = min(self.dead_letters_size, memory * LETTERS_SHARE) if memory else self.dead_letters_size
        return int(most * (UNVERIFIED_SHARE if unverified else 1 - UNVERIFIED_SHARE))


USUAL = Retention()
