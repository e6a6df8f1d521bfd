"""A Redis whose clock can be stepped: a real server that sees another time through a small preloaded C library.

This needs Linux, a C compiler and a dynamically linked server.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMPILER = shutil.which("cc") or shutil.which("gcc")
POSSIBLE = sys.platform == "linux" and COMPILER is not None

SHIM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *step; /* seconds, in a file that others write */

__attribute__((constructor)) static void begin(void) {
    int file = open(getenv("STEP_FILE"), O_RDONLY);
    void *found = mmap(NULL, sizeof *step, PROT_READ, MAP_SHARED, file, 0);
    if (found != MAP_FAILED) step = found;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && step && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *step;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *kept) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (kept) *kept = now.tv_sec;
    return now.tv_sec;
}
"""


class SteppedClock:
    """The clock of the servers that are started within `applied`; it is as far ahead as the last `set` says."""

    def __init__(self, directory: Path) -> None:
        assert COMPILER is not None
        self._file, self._library = directory / "step", directory / "stepped.so"
        source = directory / "stepped.c"
        source.write_text(SHIM, encoding="utf-8")
        self.set(0)
        subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", str(self._library), str(source)], check=True)

    def set(self, ahead: float) -> None:
        """Step the clock: from now on it is that many seconds ahead of the true time, or behind it if negative."""
        with self._file.open("r+b" if self._file.exists() else "w+b") as file:
            file.write(struct.pack("=q", int(ahead)))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give this clock to every process that is started meanwhile."""
        ours = {"LD_PRELOAD": str(self._library), "STEP_FILE": str(self._file)}
        before = {name: os.environ.get(name) for name in ours}
        os.environ.update(ours)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
