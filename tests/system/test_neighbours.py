"""Our workers beside another application's on the same Redis database: neither side notices the other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from support.beside import APP, Neighbour, beside
from support.cell import ROOT, Cell, Worker


def idle(other: Neighbour) -> bool:
    """Whether everything that was sent has run: no message waits or is unacknowledged."""
    return not other.cell.redis.exists("celery", "unacked")


@pytest.fixture
def other(deployment: Cell) -> Iterator[Neighbour]:
    with beside(deployment, deployment.url.replace("unix://", "redis+socket://")) as one:
        yield one


def celery(cell: Cell, app: str, *words: str) -> None:
    """Run one of Celery's commands; its output does not matter."""
    command = [sys.executable, "-m", "celery", "-A", app, *words]
    env = {**cell.env, "NEIGHBOUR_BROKER": cell.url.replace("unix://", "redis+socket://")}
    subprocess.run(command, env=env, cwd=ROOT, capture_output=True, timeout=60, check=False)


def works(cell: Cell, job_id: int) -> None:
    """Check that a worker of ours still takes commands in and carries them out."""
    cell.simulator.add_job("ess", job_id)
    cell.send("cancel", backend="ess", job_id=job_id)
    finished = len(cell.of("finished"))
    cell.wait_finished(finished + 1)


def test_each_task_of_a_neighbour_runs_once_however_long_its_workers_hold_it(
    deployment: Cell, other: Neighbour
) -> None:
    deployment.start_worker()
    for _ in range(3):
        other.start_worker("-c", "1")
    expected = other.send_tasks()
    deployment.wait_until(lambda: other.runs().keys() == expected and idle(other), seconds=180)

    assert other.runs() == dict.fromkeys(expected, 1)


def test_nothing_of_ours_lies_under_a_name_that_other_applications_use(deployment: Cell) -> None:
    deployment.start_worker().wait_for("ready.")
    works(deployment, 1)
    names = {name.decode() for name in deployment.redis.scan_iter()}

    assert not {name for name in names if "canceller" not in name and "commands" not in name}
    assert not deployment.redis.pubsub_channels()


def shut_down_by_a_neighbour(cell: Cell, other: Neighbour) -> tuple[Worker, Worker]:
    """Let a neighbour shut down all workers that receive its broadcast; return ours and its own."""
    ours, theirs = cell.start_worker(), other.start_worker("-c", "1")
    ours.wait_for("ready.")
    celery(cell, APP, "control", "shutdown")
    cell.wait_until(theirs.ended)
    works(cell, 1)
    return ours, theirs


@pytest.mark.parametrize("remote_control", ["", "true"], ids=["by default", "with remote control"])
def test_a_neighbours_shutdown_ends_none_of_our_workers(
    deployment: Cell, other: Neighbour, remote_control: str
) -> None:
    deployment.env["CANCELLER_REMOTE_CONTROL"] = remote_control
    ours, _ = shut_down_by_a_neighbour(deployment, other)

    assert not ours.ended()


def test_our_shutdown_ends_our_workers_alone_where_remote_control_is_on(deployment: Cell, other: Neighbour) -> None:
    deployment.env["CANCELLER_REMOTE_CONTROL"] = "true"
    ours, theirs = deployment.start_worker(), other.start_worker("-c", "1")
    ours.wait_for("ready.")
    celery(deployment, "worker", "control", "shutdown")
    deployment.wait_until(ours.ended)
    other.sender.send_task("report", args=("afterwards",))
    deployment.wait_until(lambda: other.runs() == {"afterwards": 1} and idle(other))

    assert not theirs.ended()
