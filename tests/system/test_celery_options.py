"""Celery's own options on a command, with either consumer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from celery import chain, group
from support.cell import Cell
from support.cell import cell as cell_of
from system.conftest import BACKENDS, KNOBS

from worker.client import Client
from worker.settings.environment import Settings

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PAST = datetime(2020, 1, 1, tzinfo=UTC)
NUMBERS = count(1)
"""The ids of jobs, unique because many tests share a deployment."""


@contextmanager
def working(directory: Path, broker: Callable[[str], str] | None = None) -> Iterator[Cell]:
    """Run a deployment with a worker; its broker may have another URL than its Redis."""
    with cell_of(directory, BACKENDS, knobs=KNOBS) as one:
        if broker is not None:
            one.env["CELERY_BROKER_URL"] = broker(one.url)
        one.start_worker()
        yield one


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """A deployment whose commands are taken by our own consumer."""
    with working(tmp_path_factory.mktemp("ours")) as one:
        yield one


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """A deployment whose commands are taken by Celery's consumer, as with other brokers: its URL is of kombu's kind."""
    with working(tmp_path_factory.mktemp("stock"), lambda url: url.replace("unix://", "redis+socket://")) as one:
        yield one


@pytest.fixture(params=["redis consumer", "celery"])
def cell(request: pytest.FixtureRequest) -> Cell:
    found: Cell = request.getfixturevalue({"redis consumer": "ours", "celery": "stock"}[request.param])
    return found


@pytest.fixture
def job() -> str:
    """The id of a job that no other test uses."""
    return str(next(NUMBERS))


def send(cell: Cell, job: str, verb: str = "cancel", **options: Any) -> str:
    """Add the job, and send a command for it."""
    cell.simulator.add_job("ess", job)
    return str(cell.sender.send_task(f"worker.{verb}", kwargs=command(job), queue="commands", **options).id)


def command(job: str) -> dict[str, Any]:
    return {"backend": "ess", "job_id": job}


def of(cell: Cell, name: str, job: str) -> list[dict[str, Any]]:
    """Return a job's events of one type."""
    return [event for event in cell.of(name) if event.get("subject") == job]


def outcome(cell: Cell, job: str) -> str:
    """Wait until a job's cancellation has finished; return its outcome."""
    cell.wait_until(lambda: bool(of(cell, "finished", job)))
    return str(cell.finished("ess", job)["outcome"])


def rejected(cell: Cell, command_id: str) -> str:
    """Wait until a command is rejected; return the reason."""

    def reasons() -> list[str]:
        return [one["data"]["error"] for one in cell.of("rejected") if one["data"]["command_id"] == command_id]

    cell.wait_until(lambda: bool(reasons()))
    (reason,) = reasons()
    return reason


@pytest.mark.parametrize("expires", [PAST, PAST.replace(tzinfo=None), -60], ids=["a-time", "naive", "seconds"])
def test_a_command_that_has_expired_is_rejected_and_not_carried_out(cell: Cell, job: str, expires: Any) -> None:
    command_id = send(cell, job, expires=expires)

    assert "expires: it expired at" in rejected(cell, command_id)
    assert cell.simulator.job("ess", job).verbs() == ()
    assert not of(cell, "accepted", job)


def test_a_command_that_has_not_expired_is_carried_out(cell: Cell, job: str) -> None:
    send(cell, job, expires=600)

    assert outcome(cell, job) == "cancelled"


def test_an_order_that_has_expired_is_rejected(cell: Cell) -> None:
    order = {"id": "c-1", "by": "ops", "reason": "a mistake"}
    sent = cell.sender.send_task("worker.abort", kwargs=order, queue="commands", expires=PAST)

    assert "expires: it expired at" in rejected(cell, str(sent.id))


def test_what_would_follow_a_command_is_rejected_with_the_way_out(cell: Cell, job: str) -> None:
    cell.simulator.add_job("ess", job)
    before = len(cell.of("rejected"))
    one = cell.sender.signature("worker.cancel", kwargs=command(job), immutable=True, options={"queue": "commands"})
    one.apply_async(link=cell.sender.signature("next"))
    one.apply_async(link_error=cell.sender.signature("next"))
    chain(one.clone(), cell.sender.signature("next"), app=cell.sender).apply_async()
    group([one.clone()], app=cell.sender).apply_async()
    one.set(chord=cell.sender.signature("next")).apply_async()
    cell.wait_until(lambda: len(cell.of("rejected")) == before + 5)
    reasons = [event["data"]["error"] for event in cell.of("rejected")[before:]]

    assert {reason.partition(":")[0] for reason in reasons} == {"link", "link_error", "chain", "group", "chord"}
    assert all("wait for its end (`result.get()` or `Client.wait`)" in reason for reason in reasons)
    assert cell.simulator.job("ess", job).verbs() == ()


def test_no_call_is_made_before_the_countdown_is_over(cell: Cell, job: str) -> None:
    sent = time.time()
    send(cell, job, countdown=4)
    done = time.time()
    outcome(cell, job)
    (accepted,) = of(cell, "accepted", job)
    asked = datetime.fromisoformat(accepted["data"]["not_before"]).timestamp()
    first = datetime.fromisoformat(of(cell, "cancel_sent", job)[0]["time"])

    assert first.timestamp() >= sent + 4
    assert sent + 4 - 0.001 <= asked <= done + 4  # a time in a message is in whole milliseconds
    assert cell.simulator.job("ess", job).verbs()[0] == "cancel"


def test_a_uuid_is_taken_as_its_text(cell: Cell) -> None:
    run = UUID("0198f0a0-0000-7000-8000-000000000000")
    fields = {"backend": "oml", "job_id": run, "labels": {"run": run}, "command_id": run}
    cell.sender.send_task("worker.cancel", kwargs=fields, queue="commands")
    cell.wait_until(lambda: bool(of(cell, "finished", str(run))))
    finished = cell.finished("oml", str(run))

    assert finished["outcome"] == "not_found"
    assert (finished["data"]["labels"], finished["data"]["command_ids"]) == ({"run": str(run)}, [str(run)])


def test_a_trace_context_in_the_headers_is_carried_on(cell: Cell, job: str) -> None:
    send(cell, job, headers={"traceparent": TRACE})
    outcome(cell, job)

    assert {event["traceparent"] for event in cell.events if event.get("subject") == job} == {TRACE}


# Those that the command itself asks for


def test_a_cancellation_that_waits_for_its_time_outlives_its_worker(deployment: Cell) -> None:
    deployment.simulator.add_job("ess", 1)
    worker = deployment.start_worker()
    at = datetime.now(UTC) + timedelta(seconds=6)
    with Client(Settings.load(deployment.env)) as client:
        sent = client.cancel("ess", 1, not_before=at)
        deployment.wait_until(lambda: len(deployment.of("accepted")) == 1)
        worker.kill()
        deployment.start_worker()
        assert sent.wait(timeout=60).outcome == "cancelled"
    deployment.wait_finished(1)

    assert datetime.fromisoformat(deployment.of("cancel_sent")[0]["time"]) >= at
    deployment.check_sequences()


def test_a_later_command_without_a_time_starts_it_at_once(ours: Cell, job: str) -> None:
    ours.simulator.add_job("ess", job)
    at = (datetime.now(UTC) + timedelta(days=20)).isoformat()
    ours.send("cancel", **command(job), not_before=at)
    ours.wait_until(lambda: len(of(ours, "accepted", job)) == 1)
    ours.send("cancel", **command(job))

    assert outcome(ours, job) == "cancelled"


@pytest.mark.parametrize("by", ["abort", "attest"])
def test_an_operators_word_makes_no_call_before_the_time(ours: Cell, job: str, by: str) -> None:
    ours.simulator.add_job("ess", job)
    at = (datetime.now(UTC) + timedelta(days=20)).isoformat()
    command_id = ours.send("delete", **command(job), not_before=at)
    ours.wait_until(lambda: len(of(ours, "accepted", job)) == 1)
    ours.sender.send_task(f"worker.{by}", kwargs={"id": command_id, "by": "ops", "reason": "x"}, queue="commands")
    if by == "attest":
        ours.wait_until(lambda: len(of(ours, "attested", job)) == 1)
        ours.send("cancel", backend="oml", job_id="unknown")
        ours.wait_until(lambda: bool(of(ours, "finished", "unknown")))
    else:
        assert outcome(ours, job) == "aborted"

    assert ours.simulator.job("ess", job).verbs() == ()
