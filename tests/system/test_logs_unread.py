"""A log that nobody reads, such as a pipe whose reader hangs or a terminal that is paused, holds up no work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from support.cell import ROOT, Cell

COMMANDS = 150
QUEUE = 50


class Unread:
    """A worker whose standard output and standard error go to the same pipe."""

    def __init__(self, cell: Cell) -> None:
        self.reader, self._writer = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "worker", "worker"],
            env={**cell.env, "CANCELLER_LOG_QUEUE": str(QUEUE)},
            cwd=ROOT,
            stdout=self._writer,
            stderr=self._writer,
        )

    def fill(self) -> None:
        """Fill the pipe."""
        os.set_blocking(self._writer, False)
        for piece in (b"x" * 4096 + b"\n", b"\n"):
            with suppress(BlockingIOError):
                while True:
                    os.write(self._writer, piece)
        os.set_blocking(self._writer, True)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of JSON as they come."""
        with os.fdopen(os.dup(self.reader), encoding="utf-8") as pipe:
            for line in pipe:
                with suppress(ValueError):
                    yield json.loads(line[line.find("{") :])

    def close(self) -> None:
        """Close the pipe and kill the worker."""
        os.close(self.reader)
        os.close(self._writer)
        self.process.kill()
        self.process.wait(60)


@pytest.fixture
def unread(deployment: Cell) -> Iterator[Unread]:
    """A worker at work whose pipe has just become full."""
    one = Unread(deployment)
    try:
        deployment.send("cancel", backend="ess", job_id=1)
        deployment.wait_finished(1)
        one.fill()
        yield one
    finally:
        one.close()


def test_work_goes_on_and_the_lines_that_were_dropped_are_counted(deployment: Cell, unread: Unread) -> None:
    for job_id in range(2, COMMANDS + 2):
        deployment.send("cancel", backend="ess", job_id=job_id)
    deployment.wait_finished(COMMANDS + 1)
    dropped, shown = 0, 0
    for line in unread.lines():
        shown += line["event"] == "cancellation.finished" and line["job_id"] != "1"
        if line["event"] == "log.lines_dropped":
            dropped = line["lines"]
            break

    assert 0 < dropped
    assert COMMANDS <= shown + dropped


def test_a_worker_ends_in_order(deployment: Cell, unread: Unread) -> None:
    unread.process.terminate()

    assert unread.process.wait(30) == 0
    assert deployment.redis.zcard("{canceller}:workers") == 0
