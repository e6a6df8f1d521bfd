"""The chaos bench's upsets besides kills: a log that nobody reads, steps of Redis's clock, rolling deploys."""

from __future__ import annotations

import os
import random
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from tests.support.stepping import SteppedClock

STEPS = {"31 minutes ahead": 31 * 60, "an hour back": -3600, "25 hours ahead": 25 * 3600}
"""The offsets from the true time, in seconds, to which Redis's clock is stepped, one after the other."""


class Pipe:
    """A pipe for a worker's log, and a thread that copies it to the file, unless told not to read."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._may = threading.Event()
        self._may.set()

    def hold(self, *, unread: bool) -> None:
        """Stop reading for now, or go on."""
        (self._may.clear if unread else self._may.set)()

    def run(self, command: Sequence[str], env: Mapping[str, str], cwd: Path) -> subprocess.Popen[bytes]:
        """Start a process whose output goes to a separate pipe."""
        ours, theirs = os.pipe()
        try:
            process = subprocess.Popen(command, env=env, cwd=cwd, stdout=theirs, stderr=theirs)
        finally:
            os.close(theirs)
        threading.Thread(target=self._copy, args=(ours,), daemon=True).start()
        return process

    def _copy(self, ours: int) -> None:
        with open(ours, "rb", buffering=0) as source, self._log.open("ab", buffering=0) as log:
            while self._may.wait() and (part := source.read(65536)):
                log.write(part)


class Deploys:
    """The backends files of workers: at each start a worker may get one that lacks a backend that others know."""

    def __init__(self, file: Path, names: Sequence[str], dice: random.Random) -> None:
        self._whole = file
        self._names = names
        self._dice = dice
        self._left_out: dict[str, str] = {}

    def file_for(self, worker: str) -> Path:
        """Choose a worker's file; no two workers ever lack the same backend."""
        others = {name for one, name in self._left_out.items() if one != worker}
        if others:
            self._left_out.pop(worker, None)
            return self._whole
        left_out = self._left_out[worker] = self._dice.choice(self._names)
        file = self._whole.with_name(f"without-{left_out}.toml")
        tables = self._whole.read_text(encoding="utf-8").split("\n[backends.")
        kept = [table for table in tables if table.removeprefix("[backends.").partition("]")[0] != left_out]
        text = "\n[backends.".join(kept)
        file.write_text(text if text.startswith("[") else f"[backends.{text}", encoding="utf-8")
        return file


Upset = tuple[float, str, Callable[[], None]]
"""The seconds from the start, what happens then, and the function that does it."""


def upsets(clock: SteppedClock | None, pipes: Sequence[Pipe], unread: float, every: float) -> Iterator[Upset]:
    """Yield the upsets: logs are not read for so many seconds, then Redis's clock is stepped three times."""
    for pipe in pipes:
        yield every, "a log is not read", partial(pipe.hold, unread=True)
        yield every + unread, "a log is read again", partial(pipe.hold, unread=False)
    if clock is not None:
        for number, (name, seconds) in enumerate(STEPS.items(), 1):
            yield number * every, f"Redis's clock is {name}", partial(clock.set, seconds)


def clock_in(directory: Path) -> SteppedClock:
    """Return a clock for a Redis, with its files in a directory of its own."""
    directory.mkdir()
    return SteppedClock(directory)
