"""`celery -A worker worker` with RabbitMQ as the broker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from support.cell import Worker
from support.rolling import start_without
from system.rabbitmq.place import Place

from worker.settings.celery import celery_settings
from worker.settings.environment import Settings

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_declares_one_quorum_queue_and_nothing_else(place: Place) -> None:
    place.cell.start_worker().wait_for("ready.")
    queues = place.queues("type", "durable")

    assert queues.pop("commands") == ["quorum", "true"]
    assert not queues
    assert not place.complaints()


def test_takes_in_what_any_celery_client_sends(place: Place) -> None:
    cell = place.cell
    for number in range(1, 1299):
        cell.simulator.add_job("ess", number, "finished")
    worker = cell.start_worker()
    for number in range(1, 301):
        cell.send("cancel" if number % 3 else "delete", backend="ess", job_id=number)
    cell.send("submit", commands=[{"verb": "cancel", "backend": "ess", "job_id": 301 + at} for at in range(998)])
    place.finish(1298)
    worker.stop()

    assert place.waiting() == 0  # anything unacknowledged would have been requeued
    assert {event["outcome"] for event in cell.of("finished")} == {"already_finished", "deleted"}
    assert not place.complaints()


def test_heeds_celerys_own_options(place: Place) -> None:
    cell = place.cell
    for number in range(1, 6):
        cell.simulator.add_job("ess", number)
    worker = cell.start_worker()

    def send(number: int, **options: Any) -> str:
        command = {"backend": "ess", "job_id": number}
        return str(cell.sender.send_task("worker.cancel", kwargs=command, queue="commands", **options).id)

    later = send(1, countdown=3600)
    # As a header only: Celery's own `expires` also sets a TTL, so RabbitMQ would drop the message unseen.
    expired = send(2, headers={"expires": "2020-01-01T00:00:00+00:00"})
    linked = send(3, link=cell.sender.signature("next"))
    grouped = send(4, group_id="g-1")
    send(5, headers={"traceparent": TRACE})
    cell.wait_finished(1)
    cell.wait_until(lambda: len(cell.of("rejected")) == 3)
    worker.stop()
    reasons = {one["data"]["command_id"]: one["data"]["error"].partition(":")[0] for one in cell.of("rejected")}
    accepted = {one["data"]["command_ids"][0]: one for one in cell.of("accepted")}

    assert reasons == {expired: "expires", linked: "link", grouped: "group"}
    assert accepted.pop(later)["data"]["not_before"]
    assert {one["traceparent"] for one in accepted.values()} == {TRACE}
    assert [cell.simulator.job("ess", number).verbs() for number in range(1, 5)] == [()] * 4
    assert place.waiting() == 0


def test_does_what_an_operator_orders(place: Place) -> None:
    cell = place.cell
    cell.simulator.add_job("ess", 1, "stuck")
    cell.start_worker()
    command_id = cell.send("cancel", backend="ess", job_id=1)
    cell.wait_until(lambda: len(cell.of("cancel_sent")) == 1)
    order = {"id": command_id, "by": "ops", "reason": "a mistake"}
    cell.sender.send_task("worker.abort", kwargs=order, queue="commands")
    place.finish(1)

    assert cell.finished("ess", "1")["outcome"] == "aborted"


def test_works_however_celery_is_told_to_run(place: Place) -> None:
    for number in range(1, 51):
        place.cell.simulator.add_job("ess", number)
        place.cell.send("cancel", backend="ess", job_id=number)
    worker = place.cell.start_worker("-P", "prefork", "-c", "2", "-Q", "other")
    place.finish(50)
    worker.stop()  # this also stops the processes of its pool


def test_stops_within_ten_seconds_with_work_open_and_loses_nothing(place: Place) -> None:
    cell = place.cell
    for number in range(1, 101):
        cell.simulator.add_job("ess", number, cancels_after=3.0)
    cell.simulator.add_fault("hang", system="ess", verb="look", times=5)
    worker = cell.start_worker()
    for number in range(1, 101):
        cell.send("cancel", backend="ess", job_id=number)
    cell.wait_until(lambda: len(cell.of("cancel_sent")) >= 50)

    assert worker.stop(seconds=15) < 10
    assert worker.process.returncode == 0
    cell.start_worker()
    place.finish(100)


def test_uses_no_exchange_of_celerys_own(place: Place) -> None:
    place.cell.start_worker().wait_for("ready.")
    rows = place.node.control("list_exchanges", "--vhost", place.vhost, "name")
    names = {name for (name,) in rows if name and not name.startswith("amq.")}

    assert names == {"commands"}


@pytest.fixture
def theirs(place: Place) -> Iterator[Worker]:
    """A worker of another application on the same virtual host."""
    env = {**place.cell.env, "NEIGHBOUR_BROKER": place.url, "NEIGHBOUR_REDIS": place.cell.url}
    one = Worker(env, place.cell.directory / "neighbour.log", "-c", "1", app="tests.support.neighbour")
    try:
        one.wait_for("ready.")
        yield one
    finally:
        one.kill()


@pytest.mark.parametrize("remote_control", ["", "true"], ids=["by default", "with remote control"])
def test_a_neighbours_shutdown_ends_none_of_our_workers(place: Place, theirs: Worker, remote_control: str) -> None:
    cell = place.cell
    cell.env["CANCELLER_REMOTE_CONTROL"] = remote_control
    ours = cell.start_worker()
    ours.wait_for("ready.")
    with Celery(broker=place.url, set_as_current=False) as neighbour:
        neighbour.control.shutdown()
    place.until(theirs.ended)
    cell.simulator.add_job("ess", 1)
    cell.send("cancel", backend="ess", job_id=1)
    place.finish(1)

    assert not ours.ended()


def test_our_shutdown_ends_our_workers_alone_where_remote_control_is_on(place: Place, theirs: Worker) -> None:
    cell = place.cell
    cell.env["CANCELLER_REMOTE_CONTROL"] = "true"
    ours = cell.start_worker()
    ours.wait_for("ready.")
    with Celery(set_as_current=False) as operator:
        operator.conf.update(celery_settings(Settings.load(cell.env)))
        operator.control.shutdown()
    place.until(ours.ended)

    assert not theirs.ended()


def test_rejects_no_command_that_another_worker_knows(place: Place) -> None:
    cell = place.cell
    for number in range(1, 41):
        cell.simulator.add_job("ess", number)
    workers = [cell.start_worker(), start_without(cell, "ess")]
    for number in range(1, 41):
        cell.send("cancel", backend="ess", job_id=number)
    place.finish(40)
    for worker in workers:
        worker.stop()

    assert cell.of("rejected") == []
    assert {event["outcome"] for event in cell.of("finished")} == {"cancelled"}
    assert place.waiting() == 0
