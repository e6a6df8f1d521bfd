"""Child processes, which all end with their owner: the workers of `up`, `demo` and `dev`, servers, the simulator."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import IO

from ..settings.listen_address import ListenAddress
from ..settings.place import FOLDER, PACKAGE

HTTP = "CANCELLER_HTTP"
STOP_SECONDS = 9.0
QUIET_ROOT = "ignore:You're running the worker with superuser privileges"
"""Celery warns once in each worker; its advice, `--uid`, is no use for processes that another one owns."""

TIED = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
"""Runs a program that gets SIGTERM when its parent is killed (1 is PR_SET_PDEATHSIG, which outlives an exec).

A launcher, not `preexec_fn`: that runs between fork and exec, when a process with threads may deadlock.
The parent's id is compared because the parent may have ended before the signal was asked for.
"""


def start_worker(number: int, env: Mapping[str, str], log: IO[bytes] | int | None = None) -> subprocess.Popen[bytes]:
    """Start one Celery worker process; it logs to `log`, a file or PIPE, or else to the streams of this process.

    If it serves HTTP, its port is the environment's plus `number - 1`.
    """
    arguments = ["-m", "celery", "--quiet", "-A", PACKAGE, "worker", "--hostname", f"canceller{number}@%h"]
    return start(arguments, environment_of(number, env), log, None if log is None else subprocess.STDOUT)


def environment_of(number: int, env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the worker with this number: a port of its own, no warning of Celery's about root."""
    warnings, shared = env.get("PYTHONWARNINGS"), env.get(HTTP)
    own = {"PYTHONWARNINGS": f"{warnings},{QUIET_ROOT}" if warnings else QUIET_ROOT}
    if shared:
        own[HTTP] = str(ListenAddress.parse(shared).of_worker(number - 1))
    return {**env, **own}


def tied(command: Sequence[str]) -> list[str]:
    """Return a command line whose process ends when this one is killed; the program must be given as a path."""
    return [sys.executable, "-I", "-S", "-c", TIED, str(os.getpid()), *command]


def start(
    arguments: Sequence[str], env: Mapping[str, str], out: IO[bytes] | int | None, err: IO[bytes] | int | None
) -> subprocess.Popen[bytes]:
    """Start a Python process that ends when this one is killed."""
    # A session of its own: Ctrl-C reaches this process alone, which ends its children in order.
    return subprocess.Popen(  # noqa: S603 - our own interpreter and packages
        tied([sys.executable, *arguments]),
        env=dict(env),
        cwd=FOLDER,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        start_new_session=True,
    )


def stop_all(processes: Sequence[subprocess.Popen[bytes]], seconds: float = STOP_SECONDS) -> None:
    """End processes with SIGTERM together, and those left after `seconds` with SIGKILL."""
    deadline = time.monotonic() + seconds
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def first_line(process: subprocess.Popen[bytes], seconds: float) -> str:
    """Return the first line that a process writes to its pipe; empty if there is none within some seconds."""
    assert process.stdout is not None  # noqa: S101 - it was started with one
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return process.stdout.readline().decode() if selector.select(seconds) else ""
