"""`wait` while Redis hangs or fails over: it keeps to its timeout, and no outage ends it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from celery import Celery
from support.cell import Cell, cell_on
from support.sentinel import MASTER, replicated, until
from support.shell import lines, read_until, run, running
from system.conftest import BACKENDS, KNOBS

from worker.cli.exits import Exit

IN_TIME = 60.0
"""Seconds for starting Python twice and waiting a few, on a slow machine; redis-py alone would wait longer."""
PATIENT = "socket_timeout=300"


@contextmanager
def hanging(one: Cell) -> Iterator[None]:
    """Make Redis hang."""
    pid = int(one.redis.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def readers(one: Cell) -> set[str]:
    """Return the ids of the clients that follow the events."""
    return {client["id"] for client in one.redis.client_list() if client["cmd"] == "xread"}


def test_a_redis_that_hangs_holds_a_wait_no_longer_than_its_timeout(deployment: Cell) -> None:
    env = {**deployment.env, "REDIS_URL": f"{deployment.url}{'&' if '?' in deployment.url else '?'}{PATIENT}"}
    with hanging(deployment):
        started = time.monotonic()
        done = run(env, "wait", "k-1", "ess", "k-2", "--timeout", "2s", "--json")
        took = time.monotonic() - started

    assert (done.returncode, took < IN_TIME) == (Exit.STILL_OPEN, True)
    assert lines(done) == [{"id": name, "outcome": None, "known": False} for name in ("k-1", "ess", "k-2")]
    assert "Redis did not answer in time" in done.stderr


def test_a_redis_that_begins_to_hang_holds_a_wait_no_longer_than_its_timeout(deployment: Cell) -> None:
    deployment.start_worker()
    deployment.simulator.add_job("ess", "9", "stuck")
    run(deployment.env, "cancel", "ess", "9", "--command-id", "k-9")
    deployment.wait_until(lambda: bool(deployment.of("accepted")))
    deployment.workers[0].stop()
    with running(deployment.env, "wait", "k-9", "--timeout", "6s") as waiting:
        read_until(waiting, "no worker")
        with hanging(deployment):
            read_until(waiting, "ess 9|k-9  still open")
            assert waiting.wait(timeout=IN_TIME) == Exit.STILL_OPEN


def test_a_failover_ends_no_wait(tmp_path: Path) -> None:
    with replicated(tmp_path) as servers:
        producer = Celery(broker=servers.broker_url)
        producer.conf.broker_transport_options = {"master_name": MASTER}
        with cell_on(servers.url, servers.client(), producer, tmp_path, BACKENDS, knobs=KNOBS) as one:
            one.start_worker()
            one.simulator.add_job("ess", "1", cancels_after=15.0)
            run(one.env, "cancel", "ess", "1", "--command-id", "k-1")
            one.wait_until(lambda: bool(one.of("cancel_sent")))
            before = readers(one)
            with running(one.env, "wait", "k-1", "--json") as waiting:
                until(lambda: bool(readers(one) - before), 60)
                servers.replicate()
                servers.fail_over()
                read_until(waiting, '"outcome": "cancelled"')
                assert waiting.wait(timeout=60) == Exit.DONE
