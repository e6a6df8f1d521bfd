"""A process that works on request: it prints `ready`, reads lines `FIRST N` and answers each with a line of JSON."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.bench.kit.cell import Stuck
from worker.local.child_process import stop_all, tied

ROOT = Path(__file__).resolve().parents[3]


class Program:
    """Such a process; a context manager. `command` starts with the path of a program."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self._command, self._env = command, env

    def __enter__(self) -> Self:
        """Start it and wait until it is ready."""
        self._process = subprocess.Popen(
            tied(self._command), cwd=ROOT, env=self._env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self._process.pid
        self._line("ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        stop_all([self._process], 5)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def go(self, first: int, n: int, *more: float) -> dict[str, Any]:
        """Have it do `n` jobs from `first` on; return its figures, at least `seconds`."""
        self.start(first, n, *more)
        return self.end()

    def start(self, first: int, n: int, *more: float) -> None:
        """Have it begin."""
        assert self._process.stdin
        self._process.stdin.write(f"{' '.join(map(str, (first, n, *more)))}\n".encode())
        self._process.stdin.flush()

    def end(self) -> dict[str, Any]:
        """Wait until it has done what it began."""
        found: dict[str, Any] = json.loads(self._line("{"))
        return found

    def _line(self, start: str) -> str:
        """Return the next line that starts like this; skip what libraries print in between."""
        assert self._process.stdout
        for raw in self._process.stdout:
            if raw.decode().startswith(start):
                return raw.decode()
        raise Stuck(f"{' '.join(self._command)} has ended")
