"""What one process knows of the time, and tells Redis with each beat; `lua/clock.lua` says what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from ..observability.outage import Seldom

log = structlog.get_logger(__name__)

PROMPT = 1.0
"""Seconds within which an answer must come for the time in it to be known well enough."""
UNTOLD = b"?"
"""What a script says of a step while only another worker can tell whether there was one."""


def passing() -> float:
    """Return the seconds on a clock that nobody sets; where there is one that goes on in a suspended machine, on that.

    A suspended machine's own Redis is late by the same while, so that must count as time that has passed. In a virtual
    machine that is paused no clock goes on: its pause looks like a step of Redis's clock, and waits last longer by it.
    """
    return time.clock_gettime(_CLOCK)


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Witness:
    """Remembers the time of the last prompt answer, and measures by its own clock how long ago that was."""

    def __init__(self, server: str = "", passing: Callable[[], float] = passing) -> None:
        """`server` is what the log calls the server whose clock is watched; nothing is logged without it."""
        self._server = server
        self.now = passing
        """Returns the seconds on this process's own clock."""
        self._known: tuple[int, float] | None = None
        self._waiting_since: float | None = None
        self._seldom = Seldom()

    def knows(self, asked: float) -> tuple[int, int]:
        """Say, for a beat that is sent at `asked`, what `observe` in `clock.lua` takes."""
        if self._known is not None:
            known, at = self._known
            return known, _milliseconds(asked - at)
        return -1, _milliseconds(asked - (asked if self._waiting_since is None else self._waiting_since))

    def hears(self, asked: float, now: int, step: int | bytes) -> None:
        """Take in the answer to a beat that was sent at `asked`: the time, and the step of Redis's clock."""
        answered = self.now()
        if step == UNTOLD:
            self._waiting_since = asked if self._waiting_since is None else self._waiting_since
            return
        self._waiting_since = None
        if answered - asked > PROMPT:
            return  # what looks like a step may be this answer's way: the next beat tells
        self._known = (now, answered)
        if int(step) and self._server and self._seldom.due():
            log.warning(f"{self._server}.clock_stepped", seconds=round(int(step) / 1000), hint=HINT)


HINT = (
    "the clock of the Redis host was set, or another host has taken over: deadlines and waits go on by the workers' "
    "own clocks, as if it had not been"
)


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
