"""What one process knows of the time and reports with each beat; `lua/include/clock.lua` says how Redis uses it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import structlog

from ..observability.outage import Seldom

log = structlog.get_logger(__name__)

PROMPT = 1.0
"""Seconds within which an answer must come for its time to be accurate enough."""
UNKNOWN_STEP = b"?"
"""What a script returns as the step while only another worker can know whether there was one."""


passing = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
"""Returns the seconds on a clock that is never set and, if the system has such a clock, runs on during a suspend.

A Redis on the same machine is suspended with it, so that time must count as passed. While a virtual machine is paused,
none of its clocks runs: the pause looks like a step of Redis's clock, and prolongs waits.
"""


class Witness:
    """Remembers the time of the last prompt answer and measures on its own clock how long ago that was."""

    def __init__(self, server: str = "", passing: Callable[[], float] = passing) -> None:
        """`server` is the log's name for the server whose clock is watched; without it nothing is logged."""
        self._server = server
        self.now = passing
        """Returns the seconds on this process's own clock."""
        self._known: tuple[int, float] | None = None
        self._waiting_since: float | None = None
        self._seldom = Seldom()

    def knows(self, asked: float) -> tuple[int, int]:
        """Return the arguments of `observe.lua` for a beat that is sent at `asked`."""
        if self._known is not None:
            known, at = self._known
            return known, int((asked - at) * 1000)
        waiting_since = asked if self._waiting_since is None else self._waiting_since
        return -1, int((asked - waiting_since) * 1000)

    def hears(self, asked: float, now: int, step: int | bytes) -> None:
        """Note the answer to a beat that was sent at `asked`: the time, and the step of Redis's clock."""
        answered = self.now()
        if step == UNKNOWN_STEP:
            self._waiting_since = asked if self._waiting_since is None else self._waiting_since
            return
        self._waiting_since = None
        if answered - asked > PROMPT:
            return  # what looks like a step may be this answer's delay; the next beat will show
        self._known = (now, answered)
        if int(step) and self._server and self._seldom.due():
            log.warning(f"{self._server}.clock_stepped", seconds=round(int(step) / 1000), hint=HINT)


HINT = (
    "the clock of the Redis host was changed, or another host has taken over: deadlines and waits go by the workers' "
    "own clocks, as if that had not happened"
)
