"""The only worker is killed with 200 cancellations open: all end correctly, once, and no call is repeated blindly."""

from __future__ import annotations

from collections import Counter

import pytest
from support.cell import Cell

SYSTEMS = ("ess", "oml", "mrs", "sahara")
JOBS = 200


def job_id(index: int) -> str:
    return str(5000 + index) if SYSTEMS[index % 4] == "ess" else f"job-{index}"


def prepare(cell: Cell) -> None:
    """Script the jobs and send the commands, all at once."""
    for index in range(JOBS):
        system = SYSTEMS[index % 4]
        place = {"project": "p1"} if system in {"mrs", "sahara"} else {}
        cell.simulator.add_job(system, job_id(index), "race" if index % 7 == 0 and system != "oml" else "runs", **place)
    for index in range(JOBS):
        cell.send("cancel", backend=SYSTEMS[index % 4], job_id=job_id(index))


MOMENTS = {"in the intake": 20, "among the first calls": 260, "among the ends": 450}
"""How many events have been written when the worker is killed."""


@pytest.mark.parametrize("events", MOMENTS.values(), ids=MOMENTS.keys())
def test_a_killed_worker_loses_and_doubles_nothing(deployment: Cell, events: int) -> None:
    worker = deployment.start_worker()
    prepare(deployment)
    deployment.wait_until(lambda: len(deployment.events) >= events)
    worker.kill()
    deployment.start_worker()
    # Messages that a worker left unacknowledged are redelivered after the broker's visibility timeout.
    deployment.wait_finished(JOBS, seconds=120)

    deployment.check_sequences()
    outcomes = Counter(event["outcome"] for event in deployment.of("finished"))
    assert {"cancelled", "completed_anyway"} == set(outcomes), outcomes
    for index in range(JOBS):
        truth = deployment.simulator.job(SYSTEMS[index % 4], job_id(index))
        assert truth.ended_at is not None or truth.deleted_at is not None
        assert max(truth.effects(verb) for verb in ("cancel", "delete")) == 1, truth
