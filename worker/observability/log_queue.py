"""Log lines that never block the caller: a thread writes them, and counts those that it has to drop."""

import os
import queue
import select
import threading
import time
import weakref
from contextlib import suppress
from typing import TextIO, TypeAlias

import structlog

from .log_files import LogFile

GATHER = 0.02
"""Seconds from a line to its writing, in which others join it: a write costs a system call and a switch of threads."""
TOGETHER = 1000
"""The most lines that are written in one go."""
SHUTDOWN_TIMEOUT = 1.0
"""The most seconds that a process waits at its end until queued lines are written."""


class Descriptor:
    """A standard stream without Python's buffer: its lock would hold up the end of a process that hangs in a write."""

    def __init__(self, stream: TextIO) -> None:
        stream.flush()
        self.encoding = stream.encoding
        self._errors = stream.errors or "strict"
        self._number = stream.fileno()
        self.isatty = stream.isatty

    def write(self, text: str) -> None:
        """Write all of a text, however long that takes; raises OSError if nobody will ever read it."""
        left = text.encode(self.encoding, self._errors)
        while left:
            try:
                left = left[os.write(self._number, left) :]
            except BlockingIOError:  # another process made the shared pipe non-blocking
                select.select((), (self._number,), ())


Outlet: TypeAlias = Descriptor | LogFile | TextIO
"""Where lines end up; `write` writes all of a text."""


class LogQueue:
    """A stream, as loggers want it, that never waits: lines queue up for a thread, and are dropped when it is full.

    Other threads, signal handlers and finalizers may write at any time. A forked child begins with an empty queue and
    a thread of its own.
    """

    def __init__(self, outlet: Outlet, most: int) -> None:
        """Up to `most` lines may wait."""
        self.encoding = outlet.encoding
        self.isatty = outlet.isatty
        self._outlet = outlet
        self._most = most
        self._begin()
        begin = weakref.WeakMethod(self._begin)
        os.register_at_fork(after_in_child=lambda: (found := begin()) and found())

    def write(self, text: str) -> int:
        """Have a text written soon, or count it as dropped."""
        if self._lines.qsize() < self._most or threading.current_thread() is self._thread:
            self._lines.put(text)
        else:
            with self._lock:
                self._dropped += 1
        if self._thread is None:
            self._start()
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread writes as soon as it can."""

    def drain(self, seconds: float = SHUTDOWN_TIMEOUT) -> None:
        """Wait until everything queued is written, for at most this many seconds."""
        written = threading.Event()
        self._lines.put(written)
        self._start()
        written.wait(seconds)

    def _begin(self) -> None:
        self._lines: queue.SimpleQueue[str | threading.Event] = queue.SimpleQueue()
        self._lock = threading.RLock()  # a signal handler may log in the midst of anything
        self._dropped = 0
        self._thread: threading.Thread | None = None

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="canceller-logs", daemon=True)
                with suppress(RuntimeError):  # at the very end of a process no thread can be started
                    self._thread.start()

    def _run(self) -> None:
        while True:
            batch = self._gathered()
            with suppress(OSError, ValueError):  # the reader is gone: work goes on
                self._outlet.write("".join(text for text in batch if isinstance(text, str)))
            reported = self._report()
            for written in (one for one in batch if isinstance(one, threading.Event)):
                if reported:
                    self._lines.put(written)  # after the report
                else:
                    written.set()

    def _gathered(self) -> list[str | threading.Event]:
        batch = [self._lines.get()]
        if isinstance(batch[0], str):
            time.sleep(GATHER)
        with suppress(queue.Empty):
            batch += [self._lines.get_nowait() for _ in range(min(self._lines.qsize(), TOGETHER))]
        return batch

    def _report(self) -> bool:
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            log = structlog.get_logger(__name__)  # got only now: the logs may have been reconfigured
            log.warning("log.lines_dropped", lines=dropped, hint="they are read too slowly; see CANCELLER_LOG_QUEUE")
        return dropped > 0
