"""Which backends some living worker serves, by the beats that this worker has seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from math import inf

LIFE = 5.0
"""Seconds without a beat after which no living worker serves a backend."""
GRACE = 30.0
"""Seconds without a beat for which a worker that serves a backend may be on its way back, as in a rolling deploy."""
MOST_UNSEEN = 2.0
"""Seconds from one look to the next that count at most: while nobody could look, nobody could beat either."""


class Serving:
    """Counts for how long a backend was not announced anew.

    Each beat changes the number with which a backend is announced. So no clock of Redis's decides, which may step.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looked_at = clock()
        self._seen: dict[str, tuple[float, float]] = {}

    def see(self, announced: Mapping[str, float]) -> None:
        """Take in what backends are announced with now, 0 for never; the first sight of one counts as a beat."""
        now = self._clock()
        since = min(now - self._looked_at, MOST_UNSEEN)
        self._looked_at = now
        for backend, number in announced.items():
            before, silence = self._seen.get(backend, (None, 0.0))
            self._seen[backend] = number, silence + since if number == before else 0.0

    def announcement(self, backend: str) -> float:
        """Return with what a backend was announced last."""
        return self._seen[backend][0]

    def silence(self, backend: str) -> float:
        """Return for how many seconds no beat of a backend was seen; infinite for one that is not known at all."""
        return self._seen[backend][1] if backend in self._seen else inf

    @property
    def known(self) -> frozenset[str]:
        """The backends that living workers serve."""
        return frozenset(backend for backend, (_, silence) in self._seen.items() if silence < LIFE)
