"""Logs lasting problems, such as Redis being down: at once, then at intervals, however many callers notice."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import structlog

log = structlog.get_logger(__name__)

EVERY = 30.0
"""Seconds from one line about an outage to the next."""
SELDOM = 60.0
"""Seconds from one line to the next about what a person has to put right."""


class Outage:
    """One server's outages; `event` is what their log lines are called, `setting` where its address comes from."""

    def __init__(self, event: str, setting: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._event = event
        self._hint = f"check that {setting} is right and that this server is running; retrying until then"
        self._clock = clock
        self._told_at = -inf
        self._refused_at = -inf

    def goes_on(self, error: str, hint: str = "") -> None:
        """Note a failed call.

        One with a `hint` was refused: that problem lasts even while other calls are answered.
        """
        now = self._clock()
        if now - (self._refused_at if hint else self._told_at) < EVERY:
            return
        if hint:
            self._refused_at = now
        else:
            self._told_at = now
        log.warning(self._event, error=error, hint=hint or self._hint)

    def is_over(self) -> None:
        """Note an answered call."""
        if self._told_at > -inf:
            self._told_at = -inf
            log.info(f"{self._event.partition('.')[0]}.available_again")


@dataclass(slots=True)
class Seldom:
    """Limits a log line: at once, then once a minute at most."""

    clock: Callable[[], float] = time.monotonic
    told_at: float = -inf

    def due(self) -> bool:
        """Whether to log now; if so, this counts as logged."""
        now = self.clock()
        if now - self.told_at < SELDOM:
            return False
        self.told_at = now
        return True
