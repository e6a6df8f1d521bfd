"""All that `demo` starts: an embedded Redis, the simulator in a process, and workers. All of it ends with the stage."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...domain.errors import CancellerError
from ...local.child_process import start_worker, stop_all
from ...local.embedded_redis import Embedded
from ...local.simulator_process import simulator_process
from ...settings.env_file import process_environment
from ...settings.environment import Settings
from .cases import JOBS_FILE

SPEED = 600.0
"""Simulated seconds in one real second: 30 minutes last 3 s."""
WORKERS = 2
EXAMPLE_POLL = ('max = "2s"', 'max = "300ms"')
"""Only the backends' clock is fast: two seconds between looks would be twenty minutes on it."""


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
    simulator = stack.enter_context(simulator_process(directory, SPEED, JOBS_FILE))
    backends = directory / "backends.toml"
    backends.write_text(simulator.example.replace(*EXAMPLE_POLL), encoding="utf-8")
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
    return Stage(Settings.load(env), directory, simulator.url, workers)
