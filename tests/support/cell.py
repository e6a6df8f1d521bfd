"""A whole deployment for a test: its own Redis, simulated backends over real HTTP, real worker processes."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from celery import Celery

from worker.aio.loop_thread import LoopThread
from worker.local.embedded_redis import Embedded
from worker.simulator import Clock, Simulator

from .forked import Forked, is_possible
from .schemas import check_event

ROOT = Path(__file__).resolve().parents[2]
READY = "engine.started"


class Worker:
    """One `celery -A APP worker` process, ours unless said otherwise; its log is read as it comes."""

    def __init__(
        self, env: Mapping[str, str], log: Path, *options: str, app: str = "worker", fresh: bool = False
    ) -> None:
        """Start it; a `fresh` one is not forked from the server that the other processes are forked from."""
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._log = log
        words = ("-A", app, "worker", "--loglevel", "INFO", "-n", f"{log.stem}@%h", *options)
        self.process: Forked | subprocess.Popen[str]
        if fresh or not is_possible(env):
            command = [sys.executable, "-m", "celery", *words]
            self.process = subprocess.Popen(
                command, env=dict(env), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        else:
            self.process = Forked("celery", *words, env=env, cwd=ROOT)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text: str, seconds: float = 60) -> str:
        """Return the next log line that contains a text."""
        deadline = time.monotonic() + seconds
        while True:
            line = self._lines.get(timeout=max(0.01, deadline - time.monotonic()))
            if line is None:
                raise AssertionError(f"the worker ended before {text!r}:\n{self._log.read_text()}")
            if text in line:
                return line

    def ended(self) -> bool:
        """Say whether it has ended by itself."""
        if self.process.poll() is None:
            return False
        self._end()
        return True

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self._end()

    def stop(self, seconds: float = 60) -> float:
        """End it with SIGTERM; return how many seconds that took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=seconds)
        finally:
            self.process.kill()
            self._end()
        return time.monotonic() - started

    def _end(self) -> None:
        self.process.wait(timeout=60)
        self._reader.join(timeout=60)
        if self.process.stdout:
            self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout
        with self._log.open("a") as log:
            for line in self.process.stdout:
                log.write(line)
                log.flush()
                self._lines.put(line)
        self._lines.put(None)


@dataclass
class Cell:
    """What any user sees of a deployment: a broker to send to, a stream to read, backends to watch."""

    url: str
    directory: Path
    simulator: Simulator
    loop: LoopThread
    env: dict[str, str]
    redis: redis.Redis
    sender: Celery
    workers: list[Worker] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    position: str = "0-0"
    embedded: Embedded | None = None

    def start_worker(self, *options: str, fresh: bool = False) -> Worker:
        """Start a worker process, with options of Celery's, and wait until its engine runs."""
        worker = Worker(self.env, self.directory / f"worker{len(self.workers)}.log", *options, fresh=fresh)
        self.workers.append(worker)
        worker.wait_for(READY)
        return worker

    def send(self, verb: str, **command: Any) -> str:
        """Send one command as any producer would; return its id, the Celery task id."""
        return str(self.sender.send_task(f"worker.{verb}", kwargs=command, queue="commands").id)

    def read(self, seconds: float) -> None:
        """Read the event stream, waiting some seconds for the first entry; check each event against the schema."""
        reply: Any = self.redis.xread(
            {"{canceller}:events": self.position}, count=1000, block=max(1, int(seconds * 1000))
        )
        for _, entries in reply or []:
            for entry, fields in entries:
                self.position = entry.decode()
                self.events.append(json.loads(fields[b"event"]))
                check_event(self.events[-1])

    def catch_up(self) -> None:
        """Read all events that are in the stream by now, for claims about events that the test has not waited for."""
        before = -1
        while before != len(self.events):
            before = len(self.events)
            self.read(0.001)

    def wait_until(self, done: Callable[[], bool], seconds: float = 90) -> None:
        """Read events until a condition is true."""
        deadline = time.monotonic() + seconds
        while not done():
            left = deadline - time.monotonic()
            assert left > 0, f"not reached in {seconds} s; the last events: {self.events[-5:]}\n{self.logs(3000)}"
            self.read(min(left, 1.0))

    def wait_finished(self, count: int, seconds: float = 90) -> None:
        """Read events until that many cancellations have finished."""
        self.wait_until(lambda: len(self.of("finished")) >= count, seconds)

    def of(self, name: str) -> list[dict[str, Any]]:
        """Return the events of one type."""
        return [event for event in self.events if event["type"].endswith(f".{name}.v1")]

    def finished(self, backend: str, job_id: str) -> dict[str, Any]:
        """Return the one `finished` event of a job."""
        (event,) = [one for one in self.of("finished") if (one["backend"], one["subject"]) == (backend, job_id)]
        return event

    def check_sequences(self) -> None:
        """Check that each cancellation's events count 1, 2, 3 … and end with its one `finished`."""
        by_id: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for event in self.events:
            if "cancellationid" in event:
                by_id[event["cancellationid"]].append(event)
        for events in by_id.values():
            assert [event["sequence"] for event in events] == [f"{index + 1:010}" for index in range(len(events))]
            finished = [event for event in events if ".finished." in event["type"]]
            assert finished == events[-1:], events
        ids = [event["id"] for event in self.events]
        assert len(ids) == len(set(ids))

    def logs(self, last: int = 0) -> str:
        """Return each worker's log, or only its `last` characters."""
        return "\n".join(log.read_text()[-last:] for log in sorted(self.directory.glob("worker*.log")))


@contextmanager
def cell(
    directory: Path,
    backends: str,
    clock: Clock | None = None,
    knobs: Mapping[str, Any] | None = None,
    fsync: str = "everysec",
    more: Mapping[str, str] | None = None,
) -> Iterator[Cell]:
    """Run a deployment; `backends` is its backends file, with `{ess}`, `{oml}`, `{mrs}`, `{sahara}` as base URLs.

    `more` has additional variables of its environment.
    """
    with Embedded(directory / "redis", fsync=fsync) as embedded:
        client = redis.Redis.from_url(embedded.url)
        sender = Celery(broker=embedded.url.replace("unix://", "redis+socket://"))
        with cell_on(embedded.url, client, sender, directory, backends, clock, knobs, more) as one:
            one.embedded = embedded
            yield one


@contextmanager
def cell_on(
    url: str,
    client: redis.Redis,
    sender: Celery,
    directory: Path,
    backends: str,
    clock: Clock | None = None,
    knobs: Mapping[str, Any] | None = None,
    more: Mapping[str, str] | None = None,
) -> Iterator[Cell]:
    """Run a deployment on a Redis that somebody else runs; `client` and `sender` are closed with it."""
    loop = LoopThread("simulator")
    simulator = Simulator(clock=clock, knobs=knobs)
    loop.call(simulator.start())
    bases = {system: simulator.base_url(system) for system in ("ess", "oml", "mrs", "sahara")}
    file = directory / "backends.toml"
    for system, base in bases.items():
        backends = backends.replace(f"{{{system}}}", base)
    file.write_text(backends)
    env = {**os.environ, "REDIS_URL": url, "CANCELLER_BACKENDS": str(file), "CANCELLER_LOG_FORMAT": "json"}
    env |= more or {}
    one = Cell(url, directory, simulator, loop, env, client, sender)
    try:
        yield one
    finally:
        # Other tests are about how a worker stops; waiting for each one would cost every test a second.
        for worker in one.workers:
            if worker.process.poll() is None:
                worker.kill()
        client.close()
        sender.close()
        loop.call(simulator.stop())
        loop.close()
