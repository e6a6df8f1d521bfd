"""The log of `dev`: lines of all processes, and the events, in one."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ...protocol.messages import Event
from ...views.about import about
from ...views.summary import gist
from ..output import Output

STARTED = "engine.started"
"""What a worker logs once it has started."""
TOLD_BY_EVENTS = ("cancellation.", "command.rejected")
"""Prefixes of the names of log lines that repeat an event."""
NOISE = "celery."
"""The prefix of the names of loggers whose lines matter only if something is wrong."""
UNSAID = frozenset({"event", "level", "logger", "timestamp"})
QUIET = frozenset({"debug", "info"})
TIME = slice(11, 19)
"""The part of an ISO time that a line shows."""


class MergedLog:
    """Writes one line for each thing that happens; `worker_started` is set once a worker has started."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._lock = threading.Lock()
        self._readers: list[threading.Thread] = []
        self.worker_started = threading.Event()

    def say(self, text: str) -> None:
        """Write something of `dev` itself."""
        now = datetime.now(UTC).isoformat()
        self._write({"source": "dev", "text": text, "time": now}, now, "dev", text)

    def event(self, event: Event) -> None:
        """Write an event."""
        who = f"{about(event)}  {event.name}  "
        self._write({"source": "event", **event.model_dump(exclude_none=True)}, event.time, "event", who, gist(event))

    def read(self, source: str, process: subprocess.Popen[bytes]) -> None:
        """Write what a process logs to its standard output, until that is closed."""
        thread = threading.Thread(target=self._read, args=(source, process), name=f"log of {source}", daemon=True)
        self._readers.append(thread)
        thread.start()

    def finish(self, seconds: float) -> None:
        """Wait for the last lines of processes that have ended."""
        for thread in self._readers:
            thread.join(timeout=seconds)

    def _read(self, source: str, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101 - it was started with a pipe
        with process.stdout as lines:
            for line in lines:
                if text := line.decode(errors="replace").strip():
                    self._line(source, text)

    def _line(self, source: str, text: str) -> None:
        try:
            said = json.loads(text)
        except ValueError:
            said = None
        if not isinstance(said, Mapping) or "event" not in said:
            said = {"event": text, "timestamp": datetime.now(UTC).isoformat(), "level": "info"}
        if said["event"] == STARTED:
            self.worker_started.set()
        level = str(said.get("level", "info"))
        noise = level in QUIET and str(said.get("logger", "")).startswith(NOISE)
        if noise or str(said["event"]).startswith(TOLD_BY_EVENTS):
            return
        shown = {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in said.items()
            if name not in UNSAID
        }
        named = " ".join(f"{name}={value}" for name, value in shown.items())
        mark = "" if level in QUIET else f"{level}: "
        self._write({"source": source, **said}, str(said.get("timestamp")), source, f"{mark}{said['event']}  {named}")

    def _write(self, whole: Mapping[str, Any], time: str, source: str, text: str, end: str = "") -> None:
        self.show(whole, [f"{time[TIME]}  {source:9} {text}"], end)

    def show(self, whole: Mapping[str, Any], lines: Sequence[str], end: str = "") -> None:
        """Write an object if the output is JSON, else lines, each with the coloured `end`."""
        with self._lock:
            try:
                if self._output.json:
                    self._output.object(whole)
                    return
                for line in lines:
                    self._output.line(line, end)
            except OSError:  # the reader is gone; the shutdown must still be orderly
                self._output.silence(lines=True)
