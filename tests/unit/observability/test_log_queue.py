import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import structlog

from worker.observability.log_queue import Descriptor, LogQueue
from worker.observability.logs import configure

FULL = b"x" * (1 << 20)


class Pipe:
    """A pipe: `out` stands in for a process's standard error, `reader` is the other end."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        self.out = io.TextIOWrapper(os.fdopen(writer, "wb"), "utf-8", "backslashreplace")
        self._queues: list[LogQueue] = []

    def queue(self, most: int = 10) -> LogQueue:
        """Return a queue of lines for this pipe."""
        self._queues.append(LogQueue(Descriptor(self.out), most))
        return self._queues[-1]

    def close(self) -> None:
        """End all threads: a descriptor that one still wrote to might be reused by the next pipe."""
        self.leave()
        for one in self._queues:
            one.drain(30)
        self.out.close()

    def leave(self) -> None:
        """Close the reading end."""
        with suppress(OSError):
            os.close(self.reader)

    def fill(self) -> int:
        """Write until no more goes in; return how many bytes that took."""
        number, written = self.out.fileno(), 0
        os.set_blocking(number, False)
        while True:
            try:
                written += os.write(number, FULL)
            except BlockingIOError:
                os.set_blocking(number, True)
                return written

    def read(self, number: int) -> str:
        """Read so many bytes."""
        found = b""
        while len(found) < number:
            found += os.read(self.reader, number - len(found))
        return found.decode()

    def line(self) -> str:
        """Read one line."""
        found = b""
        while not found.endswith(b"\n"):
            found += os.read(self.reader, 1)
        return found.decode()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    one = Pipe()
    yield one
    one.close()


@pytest.fixture
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_lines_are_written_in_their_order(pipe: Pipe) -> None:
    lines = pipe.queue(100)
    for number in range(3):
        lines.write(f"ü{number}\n")

    assert [pipe.line() for _ in range(3)] == ["ü0\n", "ü1\n", "ü2\n"]


def test_what_waits_is_written_when_it_is_drained(pipe: Pipe) -> None:
    lines = pipe.queue()
    lines.write("last\n")
    lines.drain(30)

    assert os.read(pipe.reader, 100) == b"last\n"


def test_many_lines_are_written_in_few_goes() -> None:
    class Counting(io.StringIO):
        goes = 0

        def write(self, text: str) -> int:
            self.goes += 1
            return super().write(text)

    sink = Counting()
    lines = LogQueue(sink, 1000)
    for _ in range(1000):
        lines.write("x\n")
    lines.drain(30)

    assert 2000 == len(sink.getvalue())
    assert sink.goes < 50


def test_nobody_waits_for_a_reader(pipe: Pipe) -> None:
    pipe.fill()
    lines = pipe.queue(10)
    for number in range(1000):
        lines.write(f"{number}\n")
    lines.drain(0.01)


@pytest.mark.usefixtures("_restored")
def test_what_was_dropped_is_counted_and_reported_once_somebody_reads(pipe: Pipe) -> None:
    filled = pipe.fill()
    lines = pipe.queue(10)
    configure("json", "info", lines)
    for _ in range(1000):
        logging.getLogger("celery").info("line")
        structlog.get_logger("ours").info("line")
    pipe.read(filled)
    events: list[dict[str, Any]] = []
    while not any(event["event"] == "log.lines_dropped" for event in events):
        events.append(json.loads(pipe.line()))

    assert (events[-1]["event"], events[-1]["level"]) == ("log.lines_dropped", "warning")
    assert len(events) - 1 + events[-1]["lines"] == 2000
    assert len(events) - 1 <= 2 * 10 + 1  # the lines that wait, and those that are being written


@pytest.mark.usefixtures("_restored")
def test_the_last_count_is_reported_when_it_is_drained(pipe: Pipe) -> None:
    lines = pipe.queue(1)
    configure("json", "info", lines)
    for _ in range(50):
        logging.getLogger("celery").info("line")
    lines.drain(30)
    os.set_blocking(pipe.reader, False)
    events = [json.loads(line) for line in os.read(pipe.reader, 100_000).splitlines()]

    assert sum(event["event"] == "line" for event in events) + sum(event.get("lines", 0) for event in events) == 50


def test_a_reader_that_is_gone_stops_nobody(pipe: Pipe) -> None:
    pipe.leave()
    lines = pipe.queue()
    lines.write("x\n")
    lines.drain(30)
    lines.write("y\n")


def test_a_pipe_that_another_process_has_set_not_to_block_gets_every_line(pipe: Pipe) -> None:
    filled = pipe.fill()
    os.set_blocking(pipe.out.fileno(), False)
    lines = pipe.queue(10)
    lines.write("late\n")
    pipe.read(filled)

    assert pipe.line() == "late\n"


FORKED = """
import os, sys
from worker.observability.log_queue import Descriptor, LogQueue

lines = LogQueue(Descriptor(sys.stderr), 100)
lines.write("parent\\n")
child = os.fork()
if child == 0:
    lines.write("child\\n")
    lines.drain()
    os._exit(0)
os.waitpid(child, 0)
lines.drain()
"""


def test_a_forked_child_writes_its_own_lines_and_none_of_its_parents() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED], stderr=subprocess.PIPE, text=True, timeout=60, check=True
    )

    assert sorted(done.stderr.splitlines()) == ["child", "parent"]


ENDED = """
import atexit, os, sys
from worker.observability.log_queue import Descriptor, LogQueue

lines = LogQueue(Descriptor(sys.stderr), 100)
atexit.register(lines.drain)
os.set_blocking(2, False)
try:
    while True:
        os.write(2, b"x" * 4096)
except BlockingIOError:
    os.set_blocking(2, True)
lines.write("never read\\n")
"""


def test_a_full_pipe_does_not_hold_up_the_end_of_a_process() -> None:
    with subprocess.Popen([sys.executable, "-c", ENDED], stderr=subprocess.PIPE) as program:
        assert program.wait(60) == 0
