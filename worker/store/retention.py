"""PURE: how long what has ended is kept, and how many bytes of dead letters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from ..settings.environment import Settings

DAY = 86400.0
UNSIGNED = "dead:unsigned"
LETTERS = ("dead", UNSIGNED)
"""The streams of dead letters: all, but for those of strangers where it is known who may send."""
LETTERS_SHARE = 0.1
"""The share of Redis's memory limit that dead letters may take up."""
STRANGERS_SHARE = 0.1
"""The share of the dead letters' bytes that strangers' have."""


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

    @property
    def streams(self) -> Mapping[str, float]:
        """The streams, and for how many seconds their entries are kept."""
        return {"events": self.events} | dict.fromkeys(LETTERS, self.dead_letters)

    def letters_limit(self, memory: float, *, stranger: bool) -> int:
        """Return how many bytes of dead letters are kept, so that strangers push out nobody else's.

        `memory` is Redis's limit in bytes, 0 for none.
        """
        most = min(self.dead_letters_size, memory * LETTERS_SHARE) if memory else self.dead_letters_size
        return int(most * (STRANGERS_SHARE if stranger else 1 - STRANGERS_SHARE))


USUAL = Retention()
