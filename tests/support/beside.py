"""Another application's workers beside ours, and what has become of its tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from celery import Celery
from support import neighbour
from support.cell import Cell, Worker

APP = "tests.support.neighbour"
HELD = 20.0
"""Seconds for which the neighbour holds some messages: longer than our own visibility timeout, 15 s."""


class Neighbour:
    """The other application: the sender of its tasks, and its workers."""

    def __init__(self, cell: Cell, broker: str) -> None:
        self.cell = cell
        self.broker = broker
        self.env = {**cell.env, "NEIGHBOUR_BROKER": broker, "NEIGHBOUR_REDIS": cell.url}
        self.sender = Celery(broker=broker, set_as_current=False)
        self.workers: list[Worker] = []

    def start_worker(self, *options: str) -> Worker:
        log = self.cell.directory / f"neighbour{len(self.workers)}.log"
        worker = Worker(self.env, log, *options, app=APP)
        self.workers.append(worker)
        worker.wait_for("ready.")
        return worker

    def kill(self) -> None:
        """End the workers that still run."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.kill()

    def send_tasks(self) -> set[str]:
        """Send twelve tasks, which three single-process workers hold in every possible way; return their names."""
        late = [f"late {number}" for number in range(2)]
        reminders = [f"reminder {number}" for number in range(4)]
        reports = [f"report {number}" for number in range(6)]
        for name in late:
            self.sender.send_task("late", args=(name, HELD))
        for name in reminders:
            self.sender.send_task("report", args=(name,), countdown=HELD)
        for name in reports:
            self.sender.send_task("report", args=(name, HELD / 4))
        return {*late, *reminders, *reports}

    def runs(self) -> dict[str, int]:
        counts: Any = self.cell.redis.hgetall(neighbour.COUNTS)
        return {name.decode(): int(count) for name, count in counts.items()}


@contextmanager
def beside(cell: Cell, broker: str) -> Iterator[Neighbour]:
    with ExitStack() as stack:
        one = Neighbour(cell, broker)
        stack.callback(one.sender.close)
        stack.callback(one.kill)
        yield one
