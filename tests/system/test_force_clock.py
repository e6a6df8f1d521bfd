"""The force step waits by the backend's own clock, whatever other clocks say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import product
from typing import Any

import pytest
from support.cell import Cell, cell

from worker.aio.loop_thread import LoopThread
from worker.simulator import Clock, Simulator

BACKEND = """
[backends.{name}]
kind = "oracle-ess"
base_url = "{url}"
auth = {{ type = "none" }}
force = "auto"
force_after = "3s"
poll = {{ first = "200ms", max = "500ms" }}
"""
OFF = {"in step": 0.0, "25 minutes ahead": 1500.0, "25 minutes behind": -1500.0}
WINDOWS: dict[str, Mapping[str, Any]] = {
    "none": {"force_window": 0.0, "force_allowed_shown": "absent"},
    "shown": {"force_window": 6.0},
    "hidden": {"force_window": 5.0, "force_allowed_shown": "absent"},
}
"""When a backend begins to allow a force, and whether it says so."""
each_clock = pytest.mark.parametrize("clock", OFF)


def name_of(window: str, clock: str) -> str:
    return f"{window}-{clock.replace(' ', '-')}"


@pytest.fixture(scope="module")
def systems() -> Iterator[dict[str, Simulator]]:
    """A backend for each window and each clock, by name, all with a stuck job."""
    with ExitStack() as stack:
        loop = LoopThread("systems")
        stack.callback(loop.close)
        found = {}
        for (window, knobs), (clock, off) in product(WINDOWS.items(), OFF.items()):
            simulator = Simulator(clock=Clock(start=time.time() + off), knobs={"ess": knobs})
            loop.call(simulator.start())
            stack.callback(lambda each: loop.call(each.stop()), simulator)
            simulator.add_job("ess", 1, life="stuck")
            found[name_of(window, clock)] = simulator
        yield found


@pytest.fixture(scope="module")
def ended(systems: dict[str, Simulator], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """A deployment that was told to cancel each of the jobs, and in which all have ended."""
    backends = "".join(BACKEND.format(name=name, url=each.base_url("ess")) for name, each in systems.items())
    with cell(tmp_path_factory.mktemp("clocks"), backends) as one:
        one.start_worker()
        for name in systems:
            one.send("cancel", backend=name, job_id=1)
        one.wait_finished(len(systems))
        yield one


@pytest.fixture(scope="module")
def forced(ended: Cell, systems: dict[str, Simulator]) -> Callable[[str, str], list[float]]:
    """Returns the seconds from a job's CANCELLING to each force call, on its backend's clock."""

    assert ended.of("finished")

    def seconds(window: str, clock: str) -> list[float]:
        log = systems[name_of(window, clock)].log("ess", 1)
        (began,) = [entry.at for entry in log if entry.verb == "cancel" and entry.effect]
        return [entry.at - began for entry in log if entry.verb == "force"]

    return seconds


@each_clock
def test_never_forces_before_force_after_where_the_backend_would_allow_it_at_once(
    ended: Cell, forced: Callable[[str, str], list[float]], clock: str
) -> None:
    (after,) = forced("none", clock)

    assert after >= 3.0
    assert ended.finished(name_of("none", clock), "1")["outcome"] == "force_cancelled"


@each_clock
def test_never_forces_before_the_backends_own_window_where_it_says_so(
    forced: Callable[[str, str], list[float]], clock: str
) -> None:
    (after,) = forced("shown", clock)

    assert after >= 6.0


@each_clock
def test_a_window_that_the_backend_hides_costs_one_refusal_per_wait(
    forced: Callable[[str, str], list[float]], clock: str
) -> None:
    first, *more = forced("hidden", clock)

    assert first >= 3.0
    assert len(more) <= 1  # none if the machine is so slow that the first force comes after the window
