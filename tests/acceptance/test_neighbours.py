"""Beside another application's workers on the same Redis database: neither side notices the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from acceptance import neighbour
from acceptance.cell import Cell, Worker
from celery import Celery

APP = "tests.acceptance.neighbour"
HELD = 20.0
"""Seconds for which the neighbour holds some messages: longer than the visibility timeout of our own, 15 s."""


class Neighbour:
    """The other application: who sends its tasks, and its workers."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.broker = cell.url.replace("unix://", "redis+socket://")
        self.env = {**cell.env, "NEIGHBOUR_BROKER": self.broker, "NEIGHBOUR_REDIS": cell.url}
        self.sender = Celery(broker=self.broker, set_as_current=False)
        self.workers: list[Worker] = []

    def start_worker(self, *options: str) -> Worker:
        log = self.cell.directory / f"neighbour{len(self.workers)}.log"
        worker = Worker(self.env, log, *options, app=APP)
        self.workers.append(worker)
        worker.wait_for("ready.")
        return worker

    def runs(self) -> dict[str, int]:
        counts = self.cell.redis.hgetall(neighbour.COUNTS)
        return {name.decode(): int(count) for name, count in counts.items()}

    def idle(self) -> bool:
        """Whether all that was sent has run: nothing waits, and nobody holds anything."""
        return not self.cell.redis.exists("celery", "unacked")


@contextmanager
def beside(cell: Cell) -> Iterator[Neighbour]:
    with ExitStack() as stack:
        one = Neighbour(cell)
        stack.callback(one.sender.close)
        stack.callback(lambda: [worker.kill() for worker in one.workers if worker.process.poll() is None])
        yield one


@pytest.fixture
def other(deployment: Cell) -> Iterator[Neighbour]:
    with beside(deployment) as one:
        yield one


def test_each_task_of_a_neighbour_runs_once_however_long_its_workers_hold_it(
    deployment: Cell, other: Neighbour
) -> None:
    deployment.start_worker()
    for _ in range(3):
        other.start_worker("-c", "1")
    other.sender.send_task("late", args=("late", HELD))
    for number in range(2):
        other.sender.send_task("report", args=(f"reminder {number}",), countdown=HELD)
    for number in range(4):
        other.sender.send_task("report", args=(f"report {number}", HELD / 4))
    expected = {"late", "reminder 0", "reminder 1", *(f"report {number}" for number in range(4))}
    deployment.wait_until(lambda: other.runs().keys() == expected and other.idle(), seconds=90)

    assert other.runs() == dict.fromkeys(expected, 1)
