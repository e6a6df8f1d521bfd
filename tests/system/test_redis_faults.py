"""Redis has every kind of fault with work open: all ends correctly and once, and no worker has to be restarted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from os import kill
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from support.cell import READY, Cell, cell, cell_on
from support.sentinel import MASTER, replicated

COMMON = """
auth = { type = "none" }
poll = { first = "200ms", max = "1s" }
timeout = "1s"
"""
BACKENDS = f"""
[backends.ess]
kind = "oracle-ess"
base_url = "{{ess}}"
{COMMON}
[backends.oml]
kind = "oracle-ml"
base_url = "{{oml}}"
{COMMON}
[backends.mrs]
kind = "mrs"
base_url = "{{mrs}}"
project_id = "p1"
{COMMON}
[backends.sahara]
kind = "sahara"
base_url = "{{sahara}}"
project_id = "p1"
{COMMON}
"""
KNOBS = {"ess": {"cancel_delay": 1.0}, "mrs": {"cancel_delay": 1.0}, "sahara": {"engine_delay": 1.0}}
SYSTEMS = ("ess", "oml", "mrs", "sahara")
CHANGING = ("cancel", "delete", "force")
JOBS = 120
STALL = 10.0
BRIM = 5.0
"""Seconds without memory: several beats, and as many of Celery's checks for messages of dead workers."""
BALLAST = 64 * 1024 * 1024


class Load:
    """Jobs that run until they are cancelled, dealt out to the systems in turn; every seventh ends by itself."""

    def __init__(self, one: Cell) -> None:
        self.cell = one
        self.sent = 0

    def send(self, count: int, **script: Any) -> None:
        """Add so many jobs and send a command for each."""
        for index in range(self.sent, self.sent + count):
            system = SYSTEMS[index % 4]
            place = {"project": "p1"} if system in {"mrs", "sahara"} else {}
            self.cell.simulator.add_job(system, job_id(index), "race" if races(index) else "runs", **place, **script)
            self.cell.send("cancel", backend=system, job_id=job_id(index))
            self.sent += 1

    def wait(self, name: str, count: int) -> None:
        """Read until there are so many events of one type."""
        self.cell.wait_until(lambda: len(self.cell.of(name)) >= count)

    def end(self) -> None:
        """Wait until all have finished, and check the end of each."""
        self.wait("finished", self.sent)
        self.cell.check_sequences()
        assert len(self.cell.of("finished")) == len(self.cell.of("accepted")) == self.sent
        for index in range(self.sent):
            system, job = SYSTEMS[index % 4], job_id(index)
            truth = self.cell.simulator.job(system, job)
            assert truth.ended_at is not None or truth.deleted_at is not None
            assert max(truth.effects(verb) for verb in CHANGING) == 1, truth
            outcome = "completed_anyway" if races(index) else "cancelled"
            assert self.cell.finished(system, job)["outcome"] == outcome, truth


def job_id(index: int) -> str:
    return str(5000 + index) if SYSTEMS[index % 4] == "ess" else f"job-{index}"


def races(index: int) -> bool:
    return index % 7 == 0 and SYSTEMS[index % 4] != "oml"


def starts(one: Cell) -> int:
    """Count how often engines have started in all workers."""
    return sum(log.read_text().count(READY) for log in one.directory.glob("worker*.log"))


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Cell]:
    with cell(tmp_path, BACKENDS, knobs=KNOBS, fsync="always") as deployed, unbroken(deployed):
        yield deployed


@contextmanager
def unbroken(one: Cell) -> Iterator[None]:
    """Check at the end that each worker still runs, or has stopped cleanly, and that each has started once."""
    yield
    assert [worker.process.poll() for worker in one.workers if worker.process.poll()] == []
    assert starts(one) == len(one.workers)


def server_pid(one: Cell) -> int:
    return int(one.redis.info("server")["process_id"])


def test_killed_and_started_again_on_its_append_only_file(one: Cell) -> None:
    one.start_worker()
    load = Load(one)
    load.send(JOBS)
    for event, count in (("accepted", 20), ("cancel_sent", 40), ("finished", 20)):
        load.wait(event, count)
        crash(one)
    load.end()


def crash(one: Cell) -> None:
    """Kill Redis and start it again with the same data at the same address."""
    server = one.embedded
    assert server
    assert server._server
    server._server.kill()
    server._server.wait()
    server.__exit__()
    server.__enter__()
    assert server.url == one.url


def test_stalled_for_ten_seconds(one: Cell) -> None:
    one.start_worker()
    load = Load(one)
    load.send(JOBS, cancels_after=5.0)
    load.wait("cancel_sent", 40)
    assert len(one.of("finished")) < JOBS
    pid = server_pid(one)
    goes_on = threading.Timer(STALL, kill, (pid, signal.SIGCONT))
    kill(pid, signal.SIGSTOP)
    goes_on.start()
    goes_on.join()
    waits: list[float] = []

    def all_ended() -> bool:
        waits.append(longest_wait(one))
        return len(one.of("finished")) == JOBS

    one.wait_until(all_ended)
    assert max(waits) < STALL - 2  # no clock ran ahead meanwhile
    load.end()


def longest_wait(one: Cell) -> float:
    """Return the seconds, by Redis's clock, until the last open record is due."""
    redis: Any = one.redis
    now, _ = redis.time()
    due = [redis.zrange(key, -1, -1, withscores=True) for key in redis.scan_iter("{canceller}:due:*")]
    return max((float(at) / 1000 for last in due for _, at in last), default=0.0) - float(now)


def again_and_again(load: Load, fault: Callable[[], object]) -> None:
    """Repeat a fault of Redis all along: while commands come in, are carried out, and end."""
    while load.sent < JOBS:
        load.send(8)
        load.wait("accepted", load.sent - 8)
        fault()
    for share in range(4):
        load.wait("finished", JOBS * share // 8)
        fault()


def test_forgets_its_scripts_again_and_again(one: Cell) -> None:
    one.start_worker()
    load = Load(one)
    again_and_again(load, one.redis.script_flush)
    load.end()


def test_resets_all_connections_again_and_again(one: Cell) -> None:
    one.start_worker()
    load = Load(one)
    again_and_again(load, lambda: one.redis.client_kill_filter(_type="normal", skipme=True))
    load.end()


def limit(one: Cell, share: float) -> None:
    """Limit Redis's memory so that this share of it is used."""
    used = one.redis.info("memory")["used_memory"]
    assert one.redis.config_set("maxmemory", int(used / share))


def test_full_takes_nothing_new_and_ends_what_is_open(one: Cell) -> None:
    worker = one.start_worker()
    load = Load(one)
    one.redis.setrange("ballast", BALLAST - 1, b"x")  # a tenth of this is room for the open work
    load.send(100, cancels_after=4.0)
    load.wait("accepted", 100)
    assert len(one.of("finished")) < 100
    limit(one, 0.95)
    worker.wait_for("intake.paused")

    load.send(60)
    load.wait("finished", 100)
    assert len(one.of("accepted")) == 100
    taken = list(one.redis.scan_iter("commands.taken:*", _type="list"))  # the one that it was already waiting for
    assert one.redis.llen("commands") + sum(map(one.redis.llen, taken)) == 60

    one.redis.config_set("maxmemory", 0)
    worker.wait_for("intake.resumed")
    load.end()


def test_full_to_the_brim_with_work_open(one: Cell) -> None:
    worker = one.start_worker()
    load = Load(one)
    load.send(100, cancels_after=4.0)
    load.wait("cancel_sent", 40)
    more_memory = threading.Timer(BRIM, one.redis.config_set, ("maxmemory", 0))
    limit(one, 2.0)
    worker.wait_for("intake.paused")
    more_memory.start()
    more_memory.join()
    worker.wait_for("intake.resumed")
    load.send(60)
    load.end()


def test_two_workers_are_replaced_one_after_the_other_under_load(one: Cell) -> None:
    old = [one.start_worker(), one.start_worker()]
    load = Load(one)
    rolled = threading.Event()

    def keep_sending() -> None:
        while not rolled.wait(0.05):
            load.send(1)

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(keep_sending)
        try:
            load.wait("finished", 10)
            before = load.sent
            for worker in old:
                worker.stop()
                assert worker.process.returncode == 0
                one.start_worker()
        finally:
            rolled.set()
        sending.result(timeout=60)
    assert load.sent > before
    load.end()


def test_fails_over_through_sentinels_to_a_replica(tmp_path: Path) -> None:
    with replicated(tmp_path) as servers:
        producer = Celery(broker=servers.broker_url)
        producer.conf.broker_transport_options = {"master_name": MASTER}
        deployed = cell_on(servers.url, servers.client(), producer, tmp_path, BACKENDS, knobs=KNOBS)
        with deployed as one, unbroken(one):
            one.start_worker()
            load = Load(one)
            load.send(JOBS, cancels_after=5.0)
            load.wait("cancel_sent", 40)
            assert len(one.of("finished")) < JOBS
            servers.replicate()
            servers.fail_over()

            one.events.clear()  # only what the new master says counts
            one.position = "0-0"
            load.send(40)
            load.end()
