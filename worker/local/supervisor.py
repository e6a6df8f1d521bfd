"""Keeps the worker processes of one machine running, until a signal ends them."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .child_process import stop_all

WRONG_CONFIGURATION = 2
"""The exit code of a worker that a restart can't help."""
LONGEST_PAUSE = 30.0
STEADY = 60.0
"""Seconds that a worker must live for its earlier deaths to be forgotten."""


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Turn SIGTERM, SIGINT and SIGHUP into an event; under `nohup` the closing of the terminal is ignored."""
    stopped = threading.Event()
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(slots=True)
class Place:
    """One worker's place: the process in it, or when the next one may start."""

    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    deaths: int = 0
    due_at: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """The worker processes; each place is filled again when its process dies."""

    start: Callable[[int], subprocess.Popen[bytes]]
    count: int
    report: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    places: dict[int, Place] = field(default_factory=dict)

    def restart_dead(self) -> int | None:
        """Start what is missing; return the exit code of a worker that a restart can't help, else None."""
        for number in range(1, self.count + 1):
            place = self.places.setdefault(number, Place())
            if place.process is not None and place.process.poll() is not None:
                code = place.process.returncode
                if code == WRONG_CONFIGURATION:
                    return code
                self._schedule_restart(number, place, code)
            if place.process is None and self.clock() >= place.due_at:
                place.process, place.started_at = self.start(number), self.clock()
        return None

    def _schedule_restart(self, number: int, place: Place, code: int) -> None:
        now = self.clock()
        place.deaths = 1 if now - place.started_at >= STEADY else place.deaths + 1
        pause = min(LONGEST_PAUSE, 2.0 ** (place.deaths - 1))
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        self.report(f"worker {number} has died {how}; the next one starts in {pause:g} s")
        place.process, place.due_at = None, now + pause

    def stop(self) -> None:
        """End all workers."""
        stop_all([place.process for place in self.places.values() if place.process is not None])
