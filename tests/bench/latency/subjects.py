"""The subjects that are timed: single commands beside Celery's no-op, steady rates, a lane that must not wait."""

from __future__ import annotations

import contextlib
import random
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, cast

import redis
from celery import Celery

from tests.bench.kit.celery import celery_worker, redis_server
from tests.bench.kit.cell import Cell, Meter, Stuck, cell, ess, until
from tests.bench.kit.events import EVENTS_EACH, Follower, count, wait
from tests.bench.kit.program import Program
from tests.bench.kit.remote import Remote
from tests.bench.kit.report import Run, quantile
from tests.bench.kit.send import FIRST, commands, send_each, sender, submit

QUICK_POLL = 0.05
REST = 0.03
"""Seconds after sending a single command in which the bench does nothing."""
BATCH_FIRST = 10_000_000
"""The first job id of the batch that never ends."""
WARM = 20
PATIENCE = 60.0
NOOP_POOLS = {"noop prefork": ("-P", "prefork", "-c", "2"), "noop solo": ("-P", "solo")}
SHARES = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "most": 1.0}


def spans(name: str, later: Mapping[str, float], earlier: Mapping[str, float]) -> dict[str, float]:
    """Return the quantiles, in ms, of the time between two moments of each job."""
    found = [(later[job_id] - at) * 1000 for job_id, at in earlier.items()]
    return {f"{name} {word}": quantile(found, share) for word, share in SHARES.items()}


@dataclass
class Bench:
    """What all subjects share."""

    remote: Remote
    n: int
    seconds: float
    open: int
    behind_rate: float
    poll: float
    """Seconds from one look to the next: `poll.first`, which does not grow here."""

    def idle(self) -> dict[str, Run]:
        """Send one command at a time, and after each one a no-op task to each of Celery's workers."""
        self.remote.reset()
        with ExitStack() as stack:
            one = stack.enter_context(self._deployment(QUICK_POLL))
            noops = {name: stack.enter_context(_noop(flags)) for name, flags in NOOP_POOLS.items()}
            app, client = stack.enter_context(sender(one.broker)), stack.enter_context(one.client())
            meter = Meter(worker=one.worker_pids, redis=one.redis_pid, remote=self.remote.pid)
            sent: dict[str, float] = {}
            took: dict[str, list[float]] = {name: [] for name in noops}
            for at in range(WARM + self.n):
                if at == WARM:
                    meter.start()
                    began = time.monotonic()
                sent[str(FIRST + at)] = _one(app, client, FIRST + at)
                for name, noop in noops.items():
                    took[name].append(noop.once())
            seconds, cpu = time.monotonic() - began, meter.spent()
        calls = self.remote.report()["cancelled"]
        took["idle"] = [calls[job_id] - at for job_id, at in sent.items()]
        return {name: _run(name, took[name][WARM:], seconds, cpu if name == "idle" else {}) for name in reversed(took)}

    def steady(self, rate: float) -> dict[str, Run]:
        """Send at a steady rate; each job stops between 0.2 and 1.2 s after its cancel."""
        name = f"{rate:g} per second"
        with self._cell() as (one, follower):
            return {name: self._at(name, one, follower, rate)}

    def behind(self) -> dict[str, Run]:
        """Send interactive commands while batch ones are open whose jobs never stop, so looks are due all the time."""
        name = f"behind {self.open}"
        with self._cell() as (one, follower), one.client() as client, sender(one.broker) as app:
            submit(app, commands(range(BATCH_FIRST, BATCH_FIRST + self.open), lane="batch"))
            until(lambda: _open(client) >= self.open, 30 + self.open / 100, "open batch commands", every=0.5)
            run = self._at(name, one, follower, self.behind_rate)
            run.more["open at the end"] = _open(client)
            if run.more["open at the end"] < self.open:
                raise Stuck(f"{name}: only {run.more['open at the end']:g} are open at the end")
        return {name: run}

    def _at(self, name: str, one: Cell, follower: Follower, rate: float) -> Run:
        n = max(1, round(rate * self.seconds))
        with Program([sys.executable, "-m", "tests.bench.latency.sender", one.broker]) as program:
            program.go(1, WARM, min(rate, 20))
            until(lambda: len(follower.finished) >= WARM, PATIENCE, "warm-up")
            meter = Meter(worker=one.worker_pids, redis=one.redis_pid, remote=self.remote.pid)
            began = time.monotonic()
            told = program.go(FIRST, n, rate)
            until(lambda: len(follower.finished) >= WARM + n, PATIENCE, f"{name}: finished events")
            seconds, cpu = time.monotonic() - began, meter.spent()
        figures = self._figures(told["sent"], follower) | {"sender late": told["late"] * 1000}
        return Run(name, n, seconds, cpu, figures)

    def _figures(self, sent: dict[str, float], follower: Follower) -> dict[str, float]:
        report = self.remote.report()
        shown = {job_id: report["shown"][job_id] for job_id in sent}
        stopped = {job_id: report["stopped"][job_id] for job_id in sent}
        return {
            **spans("call", report["cancelled"], sent),
            **spans("told", follower.finished, stopped),
            **spans("shown to told", follower.finished, shown),
        }

    @contextlib.contextmanager
    def _cell(self) -> Iterator[tuple[Cell, Follower]]:
        self.remote.reset(stops_after=0.2, spread=1.0, endless_from=BATCH_FIRST)
        with self._deployment(self.poll) as one:
            follower = Follower(one.server.url)
            try:
                yield one, follower
            finally:
                follower.stop()

    def _deployment(self, poll: float) -> contextlib.AbstractContextManager[Cell]:
        settings = f"poll = {{ first = {poll}, max = {poll}, factor = 1.0 }}"
        return cell(ess("ess", self.remote.base_url(), settings))


def _run(name: str, took: list[float], seconds: float, cpu: dict[str, float]) -> Run:
    figures = {f"call {word}": quantile(took, share) * 1000 for word, share in SHARES.items()}
    return Run(name, len(took), seconds, cpu, figures)


class Noop:
    """A stock Celery worker that runs no-op tasks, one at a time."""

    def __init__(self, app: Celery, client: redis.Redis) -> None:
        self._app, self._client = app, client

    def once(self) -> float:
        """Return the seconds from `send_task` to the task's first line."""
        began = time.monotonic()
        self._app.send_task("peer.noop", args=("told",), queue="noop")
        time.sleep(REST)
        reply = cast("Any", self._client.blpop(["told"], timeout=PATIENCE))
        _pause()
        return float(reply[1]) - began


@contextlib.contextmanager
def _noop(flags: tuple[str, ...]) -> Iterator[Noop]:
    with (
        redis_server() as (server, _),
        celery_worker("celery_noop", (*flags, "-Q", "noop"), server),
        sender(server.url.replace("unix://", "redis+socket://")) as app,
        server.client() as client,
    ):
        yield Noop(app, client)


def _one(app: Celery, client: redis.Redis, number: int) -> float:
    """Send one command and wait for its end; return when it was sent.

    Nobody reads the events or queries Redis until the call must have been made: the machine is idle.
    """
    events = count(client)
    began = time.monotonic()
    send_each(app, commands([number]))
    time.sleep(REST)
    wait(client, events + EVENTS_EACH, PATIENCE)
    _pause()
    return began


def _pause() -> None:
    """Let everything come to rest, for a random time, so that sending does not align with any periodic work."""
    time.sleep(random.uniform(0.02, 0.06))  # noqa: S311 - dice


def _open(client: redis.Redis) -> int:
    return client.hlen("{canceller}:open:ess")
