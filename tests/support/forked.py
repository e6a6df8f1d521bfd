"""Python programs as processes that start without imports: each is forked from a server that has loaded the modules.

They are processes like any other: each has its own environment, working directory and output, and can be killed.
"""

from __future__ import annotations

import atexit
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        *("celery.bin.celery", "celery.apps.worker", "kombu.transport.redis", "redis.asyncio", "aiohttp", "httpx"),
        *("pydantic_settings", "structlog", "msgspec", "jwt", "typer", "rich.live", "rich.progress", "rich.table"),
        # Our own modules that read no environment when they are imported; `worker.celery` does, so it is not here.
        *("worker.runtime.process", "worker.client", "worker.simulator", "worker.cli.commands.show"),
    ]
)
READ_AT_START = ("LANG", "LC_", "LD_", "PYTHON")
"""Prefixes of variables that only count when a process starts."""


def is_possible(env: Mapping[str, str]) -> bool:
    """Say whether a process with this environment can be forked from one with ours."""
    return not any(
        env.get(name) != os.environ.get(name) for name in {*env, *os.environ} if name.startswith(READ_AT_START)
    )


class Forked:
    """A process that runs `python -m MODULE WORDS…`; its methods are those of subprocess.Popen."""

    def __init__(self, module: str, *words: str, env: Mapping[str, str], cwd: Path) -> None:
        ours, theirs = CONTEXT.Pipe(duplex=False)
        self._process = CONTEXT.Process(target=_run, args=(module, words, dict(env), cwd, {1: theirs, 2: theirs}))
        self._process.start()
        theirs.close()
        assert self._process.pid
        self.pid = self._process.pid
        self.stdout = os.fdopen(os.dup(ours.fileno()), encoding="utf-8")
        ours.close()

    @property
    def returncode(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; return its exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs.

        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as a crash would."""
        self.send_signal(signal.SIGKILL)


def run_forked(
    module: str, *words: str, env: Mapping[str, str], cwd: Path, stdin: str, seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run `python -m MODULE WORDS…` to its end.

    Raises:
        subprocess.TimeoutExpired: it took longer than `seconds`.

    """
    with tempfile.TemporaryDirectory() as place:
        files = [Path(place, name) for name in ("stdin", "stdout", "stderr")]
        files[0].write_text(stdin, encoding="utf-8")
        process = CONTEXT.Process(target=_run, args=(module, words, dict(env), cwd, dict(enumerate(files))))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, seconds)
        told, errors = (file.read_bytes().decode() for file in files[1:])  # no newlines are translated
        return subprocess.CompletedProcess([module, *words], process.exitcode, told, errors)


def _run(
    module: str, words: Sequence[str], env: Mapping[str, str], cwd: Path, files: Mapping[int, Connection | Path]
) -> None:
    for number, file in files.items():
        if isinstance(file, Path):
            os.dup2(os.open(file, os.O_RDWR | os.O_CREAT), number)
        else:
            os.dup2(file.fileno(), number)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        stream = os.fdopen(number, mode, 1 if number == 2 else -1, encoding="utf-8", closefd=False)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    os.chdir(cwd)
    sys.path.insert(0, str(cwd))
    sys.argv = [module, *words]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        # The fork server ends a child without running its exit handlers.
        atexit._run_exitfuncs()
