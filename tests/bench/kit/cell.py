"""One deployment under test: the embedded Redis (AOF everysec), real workers and the CPU time that each has used.

Processes are started as in `tests.chaos.world`: `python -m celery -A worker worker`, with nothing switched off. Logs go
to a file, in the format and at the level that are the defaults in production.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redis

from tests.chaos.world import Server, Worker, environment

START_SECONDS = 60.0
QUEUE = "commands"
ROLES = ("worker", "redis", "remote")


class Stuck(Exception):
    """Something did not happen in time."""


def until(done: Callable[[], bool], seconds: float, what: str, every: float = 0.02) -> None:
    """Wait for something.

    Raises:
        Stuck: it did not happen.

    """
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise Stuck(f"{what}: not within {seconds:g} s")
        time.sleep(every)


def ess(name: str, base_url: str, more: str = 'poll = { first = "0s" }\n') -> str:
    """Write one backend's table; `more` has further lines of TOML."""
    return f'[backends.{name}]\nkind = "oracle-ess"\nbase_url = "{base_url}"\nauth = {{ type = "none" }}\n{more}\n'


@dataclass
class Cell:
    """A running deployment."""

    directory: Path
    server: Server
    env: Mapping[str, str]
    workers: list[Worker] = field(default_factory=list)

    @property
    def broker(self) -> str:
        """The Redis as a broker URL of kombu's."""
        return self.server.url.replace("unix://", "redis+socket://")

    @property
    def redis_pid(self) -> int:
        """The process id of Redis."""
        process = self.server._embedded._server
        assert process
        return process.pid

    @property
    def worker_pids(self) -> list[int]:
        """The process ids of all workers."""
        return [worker._process.pid for worker in self.workers]

    def client(self) -> redis.Redis:
        """Return a client of this Redis that waits for as long as a bench needs."""
        return redis.Redis.from_url(self.server.url, socket_timeout=120)

    def start_workers(self, count: int = 1) -> None:
        """Start more workers, and wait until their engines run."""
        more = [Worker(f"worker{len(self.workers) + at}", self.directory, self.env) for at in range(count)]
        self.workers += more
        for worker in more:
            _wait_for(worker)

    def stop_workers(self) -> None:
        """End all workers."""
        for worker in self.workers:
            worker.stop()
        self.workers = []


def _wait_for(worker: Worker) -> None:
    until(lambda: worker.ready(called=False) or not worker.alive, START_SECONDS, "engine.started")
    if not worker.alive:
        raise Stuck(f"a worker ended by itself: {worker.log.read_text(errors='replace')[-2000:]}")


@contextlib.contextmanager
def cell(backends: str, *, workers: int = 1, env: Mapping[str, str] | None = None) -> Iterator[Cell]:
    """Set up a deployment in a directory of its own, and take it down with all its data."""
    with tempfile.TemporaryDirectory(prefix="canceller-bench-", dir="/tmp") as name:
        directory = Path(name)
        file = directory / "backends.toml"
        file.write_text(backends)
        server = Server(directory / "redis", "everysec")
        one = Cell(directory, server, environment(server, file, env or {}))
        try:
            one.start_workers(workers)
            yield one
        finally:
            one.stop_workers()
            server.stop()


class Meter:
    """CPU seconds, user and system, that groups of processes have used since `start`; children count."""

    def __init__(self, **pids: int | Sequence[int]) -> None:
        self._groups = {role: [one] if isinstance(one, int) else list(one) for role, one in pids.items()}
        self.start()

    def start(self) -> None:
        """Start measuring."""
        self._before = self._now()

    def spent(self) -> dict[str, float]:
        """Return the CPU seconds of each group."""
        return {role: seconds - self._before[role] for role, seconds in self._now().items()}

    def _now(self) -> dict[str, float]:
        return {role: sum(map(_used, pids)) for role, pids in self._groups.items()}


def _used(pid: int) -> float:
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    return float(sum(times.user + times.system for times in (one.cpu_times() for one in family)))


def memory(pid: int) -> int:
    """Return a process's resident bytes."""
    return int(psutil.Process(pid).memory_info().rss)
