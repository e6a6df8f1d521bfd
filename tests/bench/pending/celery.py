"""The same measurements for Celery's countdowns: a stock worker whose waiting tasks are in its memory and in Redis.

The producer sets all due times when it sends, because a waiting task can't be moved: the looks of a sample come at a
steady rate once all tasks are taken in, and some more while the worker restarts. The worker is stopped by SIGTERM: the
tasks of a killed one would come back only after the visibility timeout, which must be longer than the longest wait.
"""

from __future__ import annotations

import time
from typing import Any

import psutil
import redis

from tests.bench.kit.celery import celery_worker, redis_server
from tests.bench.kit.cell import Stuck, memory, until
from tests.bench.kit.report import say
from tests.bench.kit.send import FIRST, sender
from tests.bench.pending.cell import lateness
from tests.bench.pending.remote import Remote
from tests.chaos.world import Server

MODULE = "celery_countdown"
FLAGS = ("-P", "prefork", "-c", "2", "--without-gossip", "--without-mingle")
PER_SECOND = 60
"""Tasks per second that a worker takes in on a slow machine: the first due time is planned with this rate."""
AWAY = 15.0
"""Seconds from the last look of the sample to the looks that are overdue after the restart."""
OVERDUE = 50


def measure(size: int, rate: float, seconds: float) -> dict[str, Any]:
    """Measure with this many tasks waiting."""
    say(f"Celery, {size} waiting")
    with redis_server() as (server, _), Remote() as remote, redis.Redis.from_url(server.url) as client:
        number = min(int(rate * seconds), size - OVERDUE)
        start = time.time() + 20 + size / PER_SECOND
        dues = {str(FIRST + at): [start + at / rate] for at in range(number)}
        after = start + number / rate + AWAY
        overdue = {str(FIRST + number + at): [after] for at in range(OVERDUE)}
        with celery_worker(MODULE, FLAGS, server, remote.url) as pid:
            empty, small = _used(client), _family(pid)
            found: dict[str, Any] = {"open": size, **_take_in(server, client, remote, size, {**dues, **overdue})}
            if time.time() > start:
                raise Stuck("Celery took in more slowly than the looks were planned for: use a smaller size")
            found |= {
                "Redis bytes each": (_used(client) - empty) / size,
                "all processes, RSS MiB": _family(pid) / 2**20,
                "RSS bytes each": (_family(pid) - small) / size,
            }
            remote.record()
            time.sleep(max(0.0, after - AWAY + 2 - time.time()))
            found |= lateness(dues, remote.take(), start)
            remote.record()
            ending = time.monotonic()
        found["s to end the worker"] = time.monotonic() - ending
        time.sleep(max(0.0, after - time.time()))
        return {**found, **_restart(server, remote)}


def _take_in(
    server: Server, client: redis.Redis, remote: Remote, size: int, dues: dict[str, list[float]]
) -> dict[str, float]:
    remote.count()
    began = time.monotonic()
    with sender(server.url.replace("unix://", "redis+socket://")) as app:
        for job in map(str, range(FIRST, FIRST + size)):
            app.send_task("peer.cancel", (job, dues[job][0] if job in dues else None), queue="peer")
    until(lambda: _waiting(client) >= size, 60 + size / PER_SECOND, f"{size} waiting", every=0.2)
    taken = time.monotonic() - began
    return {"s to take in": taken, "taken in per s": size / taken}


def _waiting(client: redis.Redis) -> int:
    """Return how many tasks the worker holds, once none is left on the queue."""
    return 0 if client.llen("peer") else client.hlen("unacked")


def _restart(server: Server, remote: Remote) -> dict[str, float]:
    """Restart the worker; return the time to its first look, and to the last overdue one."""
    began = time.time()
    asked: list[tuple[float, str]] = []
    with celery_worker(MODULE, FLAGS, server, remote.url):
        deadline = time.monotonic() + 120
        while len(asked) < OVERDUE and time.monotonic() < deadline:
            time.sleep(0.5)
            asked += remote.take()["asked"]
            remote.record()
    times = [at - began for at, _ in asked]
    never = float("nan")
    return {"s to the first call": min(times, default=never), "s to all overdue": max(times, default=never)}


def _used(client: redis.Redis) -> float:
    found: Any = client.info("memory")
    return float(found["used_memory"] - found["mem_clients_normal"] - found["mem_aof_buffer"])


def _family(pid: int) -> int:
    return sum(memory(one.pid) for one in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)))
