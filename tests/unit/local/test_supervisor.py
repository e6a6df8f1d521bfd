"""The supervisor of `up` and `dev`: which worker is started when."""

from __future__ import annotations

from typing import Any

from worker.local.supervisor import LONGEST_PAUSE, STEADY, Supervisor


class Process:
    returncode: int | None = None

    def poll(self) -> int | None:
        return self.returncode


class Bench:
    """A supervisor with fake processes and a clock that is moved by hand."""

    def __init__(self, count: int = 2) -> None:
        self.now = 0.0
        self.started: list[int] = []
        self.processes: dict[int, Process] = {}
        self.said: list[str] = []
        self.supervisor = Supervisor(self.start, count, self.said.append, lambda: self.now)
        self.supervisor.restart_dead()

    def start(self, number: int) -> Any:
        self.started.append(number)
        self.processes[number] = Process()
        return self.processes[number]

    def die(self, number: int, code: int) -> int | None:
        self.processes[number].returncode = code
        return self.supervisor.restart_dead()


def test_starts_every_worker_once() -> None:
    bench = Bench(3)

    bench.supervisor.restart_dead()

    assert bench.started == [1, 2, 3]


def test_starts_a_dead_worker_again_after_a_pause() -> None:
    bench = Bench()

    bench.die(1, -9)
    assert bench.started == [1, 2]
    bench.now = 1.0
    bench.supervisor.restart_dead()

    assert bench.started == [1, 2, 1]
    assert bench.said == ["worker 1 has died by SIGKILL; the next one starts in 1 s"]


def test_the_pause_grows_up_to_a_limit() -> None:
    bench = Bench(1)
    for _ in range(8):
        bench.die(1, 1)
        bench.now += LONGEST_PAUSE
        bench.supervisor.restart_dead()

    pauses = [text.rpartition("in ")[2] for text in bench.said]
    assert pauses == ["1 s", "2 s", "4 s", "8 s", "16 s", "30 s", "30 s", "30 s"]


def test_a_worker_that_lived_long_is_forgiven() -> None:
    bench = Bench(1)
    bench.die(1, 1)
    bench.now += 1
    bench.supervisor.restart_dead()

    bench.now += STEADY
    bench.die(1, 1)

    assert bench.said[-1].endswith("in 1 s")


def test_a_worker_with_a_wrong_configuration_is_not_started_again() -> None:
    assert Bench().die(2, 2) == 2
