"""Which backends live workers serve: this worker, and others as far as it has seen their beats."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from math import inf

LIFE = 5.0
"""Seconds without a beat after which no live worker serves a backend."""
GRACE = 30.0
"""Seconds without a beat for which a worker that serves a backend may be on its way back, as in a rolling deploy."""
MOST_UNSEEN = 2.0
"""The most seconds of silence counted per check: while this worker could not check, others could not beat either."""


class Serving:
    """Counts for how long a backend was not announced again; `mine` are those that this worker serves.

    Each beat changes the number with which a backend is announced. Only that change counts, never Redis's clock, which
    may step.
    """

    def __init__(self, mine: Collection[str] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._mine = frozenset(mine)
        self._clock = clock
        self._looked_at = clock()
        self.announced: dict[str, float] = {}
        """The number with which each backend was announced last."""
        self._silence: dict[str, float] = {}

    def see(self, announced: Mapping[str, float]) -> None:
        """Note the number with which each backend is announced now, 0 for never; a first sight counts as a beat."""
        now = self._clock()
        since = min(now - self._looked_at, MOST_UNSEEN)
        self._looked_at = now
        for backend, number in announced.items():
            again = number == self.announced.get(backend)
            self._silence[backend] = self._silence[backend] + since if again else 0.0
        self.announced.update(announced)

    def silence(self, backend: str) -> float:
        """Return for how many seconds no beat of a backend was seen; infinite for an unknown one."""
        return self._silence.get(backend, inf)

    @property
    def known(self) -> frozenset[str]:
        """The backends that live workers serve, as far as this one knows."""
        return self._mine.union(backend for backend, silence in self._silence.items() if silence < LIFE)
