"""Child processes of `up`, `demo` and `dev`: real worker processes, all ended with their owner."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import IO

from ..settings.listen_address import ListenAddress
from ..settings.place import FOLDER, PACKAGE
from .embedded_redis import tied

HTTP = "CANCELLER_HTTP"
STOP_SECONDS = 9.0
QUIET_ROOT = "ignore:You're running the worker with superuser privileges"
"""Celery says so once in each worker, and its advice, `--uid`, is not for processes that belong to another one."""


def start_worker(number: int, env: Mapping[str, str], log: IO[bytes] | int | None = None) -> subprocess.Popen[bytes]:
    """Start one Celery worker process; it logs to `log`, a file or PIPE, or else to the streams of this process.

    Where it serves its metrics, its port is by `number - 1` higher than the environment says.
    """
    arguments = ["-m", "celery", "--quiet", "-A", PACKAGE, "worker", "--hostname", f"canceller{number}@%h"]
    return start(arguments, with_own_port(quiet(env), number), log, None if log is None else subprocess.STDOUT)


def with_own_port(env: Mapping[str, str], number: int) -> dict[str, str]:
    """Return an environment in which the worker with this number has a port of its own."""
    shared = env.get(HTTP)
    own = {HTTP: str(ListenAddress.parse(shared).of_worker(number - 1))} if shared else {}
    return {**env, **own}


def quiet(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without Celery's warning about root, and with all others as they were."""
    own = env.get("PYTHONWARNINGS")
    return {**env, "PYTHONWARNINGS": f"{own},{QUIET_ROOT}" if own else QUIET_ROOT}


def start(
    arguments: Sequence[str], env: Mapping[str, str], out: IO[bytes] | int | None, err: IO[bytes] | int | None
) -> subprocess.Popen[bytes]:
    """Start a Python process which ends when this one is killed."""
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
