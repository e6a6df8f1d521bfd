"""The force step waits on the backend's own clock, whatever the clocks of anybody else say."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.cell import Cell, cell

from worker.simulator import Clock

BACKENDS = """
[backends.ess]
kind = "oracle-ess"
base_url = "{ess}"
auth = { type = "none" }
force = "auto"
force_after = "3s"
poll = { first = "200ms", max = "500ms" }
"""
OFF = {"in step": 0.0, "25 minutes ahead": 1500.0, "25 minutes behind": -1500.0}


def forced(one: Cell, seconds: float = 60) -> list[float]:
    """Cancel a stuck job; return the seconds from its CANCELLING to each force call, on the backend's clock."""
    one.simulator.add_job("ess", 1, life="stuck")
    one.start_worker()
    one.send("cancel", backend="ess", job_id=1)
    one.wait_finished(1, seconds)
    log = one.simulator.log("ess", 1)
    (began,) = [entry.at for entry in log if entry.verb == "cancel" and entry.effect]
    return [entry.at - began for entry in log if entry.verb == "force"]


@pytest.mark.parametrize("off", OFF.values(), ids=OFF.keys())
def test_never_forces_before_force_after_where_the_backend_would_allow_it_at_once(tmp_path: Path, off: float) -> None:
    clock = Clock(start=time.time() + off)
    with cell(tmp_path, BACKENDS, clock, {"ess": {"force_window": 0.0, "force_allowed_shown": "absent"}}) as one:
        (after,) = forced(one)

        assert after >= 3.0
        assert one.finished("ess", "1")["outcome"] == "force_cancelled"


@pytest.mark.parametrize("off", OFF.values(), ids=OFF.keys())
def test_never_forces_before_the_backends_own_window_where_it_says_so(tmp_path: Path, off: float) -> None:
    clock = Clock(start=time.time() + off)
    with cell(tmp_path, BACKENDS, clock, {"ess": {"force_window": 6.0}}) as one:
        (after,) = forced(one)

        assert after >= 6.0


@pytest.mark.parametrize("off", OFF.values(), ids=OFF.keys())
def test_a_window_that_the_backend_hides_costs_one_refusal_per_wait(tmp_path: Path, off: float) -> None:
    clock = Clock(start=time.time() + off)
    with cell(tmp_path, BACKENDS, clock, {"ess": {"force_window": 5.0, "force_allowed_shown": "absent"}}) as one:
        first, *more = forced(one)

        assert first >= 3.0
        assert len(more) <= 1  # none if the machine is so slow that the first one comes after the window
        assert all(second >= first + 3.0 for second in more)
