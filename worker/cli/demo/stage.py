"""All that `demo` starts: an embedded Redis, the simulator in a process, worker processes. All ends with the stage."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...errors import CancellerError
from ...local.child_process import start, start_worker, stop_all
from ...local.embedded_redis import Embedded
from ...settings.environment import Settings, process_environment
from ...settings.place import PACKAGE, shipped
from .cases import JOBS_FILE

SPEED = 600.0
"""Simulated seconds in one real second: 30 minutes last 3 s."""
WORKERS = 2
SIMULATOR_SECONDS = 20.0
EXAMPLE_ADDRESS = "127.0.0.1:8580"
"""Where the example of a backends file expects the simulator."""
EXAMPLE_POLL = ('max = "2s"', 'max = "300ms"')
"""Nothing but the backends' clock is fast: two seconds between looks would be twenty minutes of it."""
OURS = ("CANCELLER_", "REDIS_URL", "CELERY")


class DemoError(CancellerError):
    """The demo can't go on."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What runs: where it is, and the processes that must not die."""

    settings: Settings
    directory: Path
    simulator_url: str
    workers: Sequence[subprocess.Popen[bytes]]

    def check(self) -> None:
        """Make sure that all workers live.

        Raises:
            DemoError: one has died.

        """
        for number, process in enumerate(self.workers, 1):
            if process.poll() is not None:
                raise DemoError(f"worker {number} has ended with exit code {process.returncode}")


def forget_the_shell() -> None:
    """Drop all variables of this process that name a deployment: the demo touches only what it has started.

    From the process itself, not only for its children: Celery and pydantic read some of them on their own.
    """
    for name in [name for name in process_environment() if name.startswith(OURS)]:
        del os.environ[name]


@contextmanager
def stage() -> Iterator[Stage]:
    """Start everything in a temporary directory, which is kept if something fails."""
    directory = Path(tempfile.mkdtemp(prefix="canceller-demo-"))
    try:
        with ExitStack() as stack:
            yield _started(directory, stack)
    except KeyboardInterrupt:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    shutil.rmtree(directory, ignore_errors=True)


def _started(directory: Path, stack: ExitStack) -> Stage:
    redis = stack.enter_context(Embedded(directory / "redis"))
    simulator_url = stack.enter_context(_simulator(directory))
    backends = directory / "backends.toml"
    example = shipped("backends.toml").read_text(encoding="utf-8")
    example = example.replace(*EXAMPLE_POLL).replace(EXAMPLE_ADDRESS, simulator_url.removeprefix("http://"))
    backends.write_text(example, encoding="utf-8")
    own = {
        "REDIS_URL": redis.url,
        "CANCELLER_BACKENDS": str(backends),
        "CANCELLER_LOG_FORMAT": "json",
        "CANCELLER_CLOCK_SPEED": str(SPEED),
    }
    env = {**process_environment(), **own}
    workers: list[subprocess.Popen[bytes]] = []
    stack.callback(stop_all, workers)
    with (directory / "workers.log").open("ab") as log:
        workers += [start_worker(number, env, log) for number in range(1, WORKERS + 1)]
    return Stage(Settings.load(env), directory, simulator_url, workers)


@contextmanager
def _simulator(directory: Path) -> Iterator[str]:
    jobs, log = directory / "jobs.json", directory / "simulator.log"
    jobs.write_text(json.dumps(JOBS_FILE), encoding="utf-8")
    arguments = ["-m", f"{PACKAGE}.simulator", "--speed", str(SPEED), "--jobs", str(jobs)]
    with log.open("ab") as errors:
        process = start(arguments, process_environment(), subprocess.PIPE, errors)
    try:
        yield _address(process, log)
    finally:
        stop_all([process], 3.0)
        if process.stdout:
            process.stdout.close()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Read the line in which the simulator reports its address."""
    deadline = time.monotonic() + SIMULATOR_SECONDS
    with selectors.DefaultSelector() as selector:
        if process.stdout:
            selector.register(process.stdout, selectors.EVENT_READ)
        line = b""
        if process.stdout and selector.select(max(0.0, deadline - time.monotonic())):
            line = process.stdout.readline()
    url = line.decode().strip().rpartition(" ")[2]
    if not url.startswith("http://"):
        raise DemoError(f"the simulator did not start; its log is {log}")
    return url
