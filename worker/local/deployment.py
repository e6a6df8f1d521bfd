"""A whole deployment inside one process and its children, for tests: embedded Redis, simulator, one worker."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..aio.loop_thread import LoopThread
from ..domain.errors import CancellerError
from ..settings.celery import broker_url
from ..settings.env_file import DEPLOYMENT, process_environment
from ..simulator import Clock, Simulator
from .child_process import start_worker, stop_all
from .embedded_redis import Embedded
from .simulator_process import EXAMPLE_ADDRESS

START_SECONDS = 60.0
READY = b"engine.started"
"""What a worker logs once it has started."""


class DeploymentError(CancellerError):
    """The worker did not start; the text is what it logged."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What runs; `environment` are the variables that lead a producer to it."""

    simulator: Simulator
    environment: Mapping[str, str]


@contextmanager
def deployment(directory: Path, backends: str, speed: float) -> Iterator[Deployment]:
    """Run a deployment whose files are in a directory.

    Args:
        directory: Where its files are kept; it must exist.
        backends: The text of its backends file; the example's address in it is replaced by the simulator's.
        speed: Seconds of the backends' clock per real second.

    Raises:
        DeploymentError: the worker did not start.

    """
    with _simulator(speed) as simulator, Embedded(directory / "redis", fsync="no") as redis:
        file = directory / "backends.toml"
        text = backends.replace(EXAMPLE_ADDRESS, simulator.url.removeprefix("http://"))
        file.write_text(text, encoding="utf-8")
        leads = {
            "REDIS_URL": redis.url,
            "CELERY_BROKER_URL": broker_url(redis.url),
            "CANCELLER_BACKENDS": str(file),
            "CANCELLER_CLOCK_SPEED": f"{speed:g}",
        }
        others = {name: value for name, value in process_environment().items() if not name.startswith(DEPLOYMENT)}
        with _worker(directory / "worker.log", {**others, **leads, "CANCELLER_LOG_FORMAT": "json"}):
            yield Deployment(simulator, leads)


@contextmanager
def _simulator(speed: float) -> Iterator[Simulator]:
    """Run a simulator in a thread: a test uses its methods to make jobs and to see their true state."""
    loop, simulator = LoopThread("canceller-simulator"), Simulator(clock=Clock(speed))
    try:
        loop.call(simulator.start())
        yield simulator
    finally:
        loop.call(simulator.stop())
        loop.close()


@contextmanager
def _worker(log: Path, env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = start_worker(1, env, out)
    try:
        deadline = time.monotonic() + START_SECONDS
        while READY not in (said := log.read_bytes()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise DeploymentError(f"the worker did not start: {said.decode(errors='replace')[-2000:]}")
            time.sleep(0.01)
        yield process
    finally:
        stop_all([process])
