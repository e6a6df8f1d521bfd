"""Tells that Redis is away: at once, and then from time to time, however many find out however often."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

import structlog

log = structlog.get_logger(__name__)

EVERY = 30.0
"""Seconds from one line about an outage to the next."""


class Outage:
    """One server's outages; `event` is what their log lines are called, `setting` where its address comes from."""

    def __init__(self, event: str, setting: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._event = event
        self._hint = f"is {setting} right, and does that server run? it is tried again and again"
        self._clock = clock
        self._told_at = -inf

    def goes_on(self, error: str) -> None:
        """Take notice of a call that failed."""
        now = self._clock()
        if now - self._told_at >= EVERY:
            self._told_at = now
            log.warning(self._event, error=error, hint=self._hint)

    def is_over(self) -> None:
        """Take notice of a call that was answered."""
        if self._told_at > -inf:
            self._told_at = -inf
            log.info(f"{self._event.partition('.')[0]}.available_again")
