"""The subjects measured: Canceller fed in two ways, the bare loop, the usual Celery pattern, and further peers."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import redis
from celery import Celery

from tests.bench.kit.celery import celery_worker, redis_server
from tests.bench.kit.cell import Cell, Meter, Stuck, cell, ess, until
from tests.bench.kit.events import EVENTS_EACH, position, redis_time, told, wait
from tests.bench.kit.program import Program
from tests.bench.kit.remote import Remote
from tests.bench.kit.report import Run
from tests.bench.kit.send import FIRST, commands, prebuilt, push, send_each, sender, submit

WARM = 200
WARM_SLOW = 40
PATIENCE = 600.0
PEER_EVENTS, PEER_QUEUE = "peer:events", "peer"
PEERS = Path(__file__).parent / "peers"

Feed = Callable[[Cell, redis.Redis], None]


@dataclass
class Bench:
    """What all subjects share."""

    remote: Remote
    n: int
    peer_n: int
    in_flight: int
    peer_python: str

    def chunked(self) -> Run:
        """Canceller, fed in `worker.submit` messages of 500."""
        return self._canceller("chunks", lambda one, _: _submit(one, range(FIRST, FIRST + self.n)))

    def variant(self, name: str, more: str = "", workers: int = 1) -> Run:
        """The same with another setting, or with more worker processes."""
        feed: Feed = lambda one, _: _submit(one, range(FIRST, FIRST + self.n))  # noqa: E731
        return self._canceller(name, feed, more, workers)

    def single(self) -> Run:
        """Canceller, fed in one `worker.cancel` message each."""
        messages = command_messages(self.n)  # made before the clock starts
        return self._canceller("messages", lambda _, client: push(client, messages))

    def intake(self) -> Run:
        """Canceller, fed in one `worker.cancel` message each, for a backend that may be called once in 1,000 s."""
        with self._cell("rate = 0.001") as one, one.client() as client:
            _submit(one, range(1, WARM + 1))
            wait(client, WARM, PATIENCE)
            messages = command_messages(self.n)
            before, meter = position(client), self._meter(one)
            began = redis_time(client)
            push(client, messages)
            until(lambda: told(client, before).accepted >= self.n, PATIENCE, "accepted events", every=0.25)
            cpu, found = meter.spent(), told(client, before)
        return Run("intake", self.n, found.last_accepted - began, cpu)

    def bare(self, name: str = "bare", client: str = "aiohttp") -> Run:
        """A loop with the same client that makes the same calls and stores nothing."""
        arguments = [self.remote.base_url(), str(self.in_flight), client]
        return self._program(
            name, Program([sys.executable, "-m", "tests.bench.throughput.bare", *arguments]), self.n, WARM
        )

    def retry(self) -> Run:
        """A Celery task with `self.retry(countdown=1)` and sync httpx, `prefork -c 2`."""
        self.remote.reset()
        messages = retry_messages(self.peer_n)
        flags = ("-P", "prefork", "-c", "2")
        with (
            redis_server() as (server, redis_pid),
            server.client() as client,
            celery_worker("celery_retry", flags, server, self.remote.base_url()) as pid,
        ):
            push(client, messages[:WARM_SLOW], PEER_QUEUE)
            wait(client, WARM_SLOW, PATIENCE, PEER_EVENTS)
            meter = Meter(worker=pid, redis=redis_pid, remote=self.remote.pid)
            began = redis_time(client)
            push(client, messages[WARM_SLOW:], PEER_QUEUE)
            wait(client, WARM_SLOW + self.peer_n, PATIENCE, PEER_EVENTS)
            seconds, cpu = redis_time(client) - began, meter.spent()
        return self._checked(Run("retry", self.peer_n, seconds, cpu), WARM_SLOW)

    def arq(self) -> Run:
        """The same pattern on arq."""
        with redis_server() as (server, redis_pid), ExitStack() as stack:
            socket = unquote(urlsplit(server.url).path)
            env = os.environ | {"BASE_URL": self.remote.base_url(), "SOCKET": socket}
            script = str(PEERS / "arq_jobs.py")
            worker = stack.enter_context(Program([self.peer_python, script, "worker"], env))
            producer = Program([self.peer_python, script, "submit"], env)
            return self._program("arq", producer, self.peer_n, WARM_SLOW, worker=worker.pid, redis=redis_pid)

    def dbos(self) -> Run:
        """The same as a DBOS workflow on SQLite."""
        with tempfile.TemporaryDirectory(prefix="canceller-bench-", dir="/tmp", ignore_cleanup_errors=True) as name:
            env = os.environ | {"BASE_URL": self.remote.base_url(), "DIRECTORY": name}
            program = Program([self.peer_python, str(PEERS / "dbos_workflows.py")], env)
            return self._program("dbos", program, max(50, self.peer_n // 3), 20)

    def _canceller(self, name: str, feed: Feed, more: str = "", workers: int = 1) -> Run:
        self.remote.reset()
        with self._cell(more, workers) as one, one.client() as client:
            _submit(one, range(1, WARM + 1))
            wait(client, EVENTS_EACH * WARM, PATIENCE)
            before, meter = position(client), self._meter(one)
            began = redis_time(client)
            feed(one, client)
            wait(client, EVENTS_EACH * (WARM + self.n), PATIENCE)
            cpu, found = meter.spent(), told(client, before)
        if found.outcomes != {"cancelled": self.n} or len(found.subjects) != self.n:
            raise Stuck(f"{name}: {found.outcomes} of {self.n}, {len(found.subjects)} jobs")
        accepted = {"accepted per second": self.n / (found.last_accepted - began)}
        return self._checked(Run(name, self.n, found.last_finished - began, cpu, accepted), WARM)

    def _program(self, name: str, program: Program, n: int, warm: int, **pids: int) -> Run:
        self.remote.reset()
        with program:
            program.go(1, warm)
            meter = Meter(**({"worker": program.pid} | pids), remote=self.remote.pid)
            seconds = program.go(FIRST, n)["seconds"]
            cpu = meter.spent()
        return self._checked(Run(name, n, seconds, cpu), warm)

    def _checked(self, run: Run, warm: int) -> Run:
        """Add how many calls each cancellation took; the run is void unless each took exactly one cancel."""
        report = self.remote.report()
        if report["cancels"] != run.n + warm or len(report["shown"]) != run.n + warm:
            raise Stuck(f"{run.subject}: {report['cancels']} cancels, {len(report['shown'])} ends of {run.n} + {warm}")
        run.more["looks per cancellation"] = (report["looks"] + report["lists"]) / (run.n + warm)
        return run

    def _cell(self, more: str = "", workers: int = 1) -> contextlib.AbstractContextManager[Cell]:
        poll = "" if "poll" in more else 'poll = { first = "0s" }\n'
        settings = f"{poll}max_in_flight = {self.in_flight}\n{more}\n"
        return cell(ess("ess", self.remote.base_url(), settings), workers=workers)

    def _meter(self, one: Cell) -> Meter:
        return Meter(worker=one.worker_pids, redis=one.redis_pid, remote=self.remote.pid)


def _submit(one: Cell, ids: range) -> None:
    with sender(one.broker) as app:
        submit(app, commands(ids))


@cache
def command_messages(n: int) -> list[bytes]:
    """Return `n` commands in a `worker.cancel` message each."""
    return prebuilt(lambda app: send_each(app, commands(range(FIRST, FIRST + n))))


@cache
def retry_messages(n: int) -> list[bytes]:
    """Return messages for `celery_retry`: some to warm up, then `n`."""

    def send(app: Celery) -> None:
        for job_id in (*range(1, WARM_SLOW + 1), *range(FIRST, FIRST + n)):
            app.send_task("peer.cancel", args=(str(job_id),), queue=PEER_QUEUE)

    return prebuilt(send, PEER_QUEUE)
