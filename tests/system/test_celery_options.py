"""Celery's own options on a command, whichever way it comes in."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from celery import chain, group
from support.cell import Cell

from worker.client import Client
from worker.settings.environment import Settings

COMMAND = {"backend": "ess", "job_id": "1"}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PAST = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["redis consumer", "celery"])
def cell(request: pytest.FixtureRequest, deployment: Cell) -> Cell:
    """A deployment whose commands are taken by our own intake, or by Celery's consumer, as from any other broker."""
    if request.param == "celery":
        # A broker URL of kombu's own that is Redis all the same.
        deployment.env["CELERY_BROKER_URL"] = deployment.url.replace("unix://", "redis+socket://")
    deployment.simulator.add_job("ess", 1)
    return deployment


def send(cell: Cell, verb: str = "cancel", command: Mapping[str, Any] = COMMAND, **options: Any) -> str:
    return str(cell.sender.send_task(f"worker.{verb}", kwargs=dict(command), queue="commands", **options).id)


def rejected(cell: Cell, command_id: str) -> str:
    """Wait until a command is refused; return why."""

    def reasons() -> list[str]:
        return [one["data"]["error"] for one in cell.of("rejected") if one["data"]["command_id"] == command_id]

    cell.wait_until(lambda: bool(reasons()))
    (reason,) = reasons()
    return reason


@pytest.mark.parametrize("expires", [PAST, PAST.replace(tzinfo=None), -60], ids=["a-time", "naive", "seconds"])
def test_a_command_that_has_expired_is_rejected_and_not_carried_out(cell: Cell, expires: Any) -> None:
    command_id = send(cell, expires=expires)
    cell.start_worker()

    assert "expires: it expired at" in rejected(cell, command_id)
    assert cell.simulator.job("ess", 1).verbs() == ()
    assert not cell.of("accepted")


def test_a_command_that_has_not_expired_is_carried_out(cell: Cell) -> None:
    send(cell, expires=600)
    cell.start_worker()
    cell.wait_finished(1)

    assert cell.finished("ess", "1")["outcome"] == "cancelled"


def test_an_order_that_has_expired_is_rejected(cell: Cell) -> None:
    cell.start_worker()
    order = {"id": "c-1", "by": "ops", "reason": "a mistake"}
    command_id = send(cell, "abort", order, expires=PAST)

    assert "expires: it expired at" in rejected(cell, command_id)


def test_what_would_follow_a_command_is_rejected_with_the_way_out(cell: Cell) -> None:
    cell.start_worker()
    one = cell.sender.signature("worker.cancel", kwargs=COMMAND, immutable=True, options={"queue": "commands"})
    one.apply_async(link=cell.sender.signature("next"))
    one.apply_async(link_error=cell.sender.signature("next"))
    chain(one.clone(), cell.sender.signature("next"), app=cell.sender).apply_async()
    group([one.clone()], app=cell.sender).apply_async()
    one.set(chord=cell.sender.signature("next")).apply_async()
    cell.wait_until(lambda: len(cell.of("rejected")) == 5)
    reasons = [event["data"]["error"] for event in cell.of("rejected")]

    assert {reason.partition(":")[0] for reason in reasons} == {"link", "link_error", "chain", "group", "chord"}
    assert all("wait for its end (`result.get()` or `Client.wait`)" in reason for reason in reasons)
    assert cell.simulator.job("ess", 1).verbs() == ()


def test_no_call_is_made_before_the_countdown_is_over(cell: Cell) -> None:
    cell.start_worker()
    sent = time.time()
    send(cell, countdown=4)
    done = time.time()
    cell.wait_finished(1)
    (accepted,) = cell.of("accepted")
    asked = datetime.fromisoformat(accepted["data"]["not_before"]).timestamp()
    first = datetime.fromisoformat(cell.of("cancel_sent")[0]["time"])

    assert first.timestamp() >= sent + 4
    assert sent + 4 - 0.001 <= asked <= done + 4  # a time in a message is in whole milliseconds
    assert cell.simulator.job("ess", 1).verbs()[0] == "cancel"


def test_a_uuid_is_taken_as_its_text(cell: Cell) -> None:
    run = UUID("0198f0a0-0000-7000-8000-000000000000")
    cell.start_worker()
    send(cell, "cancel", {"backend": "oml", "job_id": run, "labels": {"run": run}, "command_id": run})
    cell.wait_finished(1)
    finished = cell.finished("oml", str(run))

    assert finished["outcome"] == "not_found"
    assert (finished["data"]["labels"], finished["data"]["command_ids"]) == ({"run": str(run)}, [str(run)])


def test_a_trace_context_in_the_headers_is_carried_on(cell: Cell) -> None:
    cell.start_worker()
    send(cell, headers={"traceparent": TRACE})
    cell.wait_finished(1)

    assert {event["traceparent"] for event in cell.events} == {TRACE}


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


def test_a_later_command_without_a_time_starts_it_at_once(deployment: Cell) -> None:
    deployment.simulator.add_job("ess", 1)
    deployment.start_worker()
    at = (datetime.now(UTC) + timedelta(days=20)).isoformat()
    deployment.send("cancel", backend="ess", job_id=1, not_before=at)
    deployment.wait_until(lambda: len(deployment.of("accepted")) == 1)
    deployment.send("cancel", backend="ess", job_id=1)
    deployment.wait_finished(1)

    assert deployment.finished("ess", "1")["outcome"] == "cancelled"


@pytest.mark.parametrize("by", ["abort", "attest"])
def test_an_operators_word_makes_no_call_before_the_time(deployment: Cell, by: str) -> None:
    deployment.simulator.add_job("ess", 1)
    deployment.start_worker()
    at = (datetime.now(UTC) + timedelta(days=20)).isoformat()
    command_id = deployment.send("delete", backend="ess", job_id=1, not_before=at)
    deployment.wait_until(lambda: len(deployment.of("accepted")) == 1)
    deployment.sender.send_task(f"worker.{by}", kwargs={"id": command_id, "by": "ops", "reason": "x"}, queue="commands")
    if by == "attest":
        deployment.wait_until(lambda: len(deployment.of("attested")) == 1)
        deployment.send("cancel", backend="oml", job_id="unknown")
        deployment.wait_finished(1)
    else:
        deployment.wait_finished(1)
        assert deployment.finished("ess", "1")["outcome"] == "aborted"

    assert deployment.simulator.job("ess", 1).verbs() == ()
