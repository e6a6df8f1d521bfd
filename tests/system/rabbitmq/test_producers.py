"""Producers that send to RabbitMQ: what they must set, and which errors they get."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from amqp.exceptions import PreconditionFailed
from celery import Celery
from support.cell import ROOT
from support.rabbitmq_node import Node
from support.shell import run_program
from system.rabbitmq.place import Place, deployed

from worker.client import Client
from worker.client.async_client import AsyncClient
from worker.domain.errors import BrokerRefused, BrokerUnavailable
from worker.settings.environment import Settings

COMMAND = {"backend": "ess", "job_id": 1}
BOUND = 60.0
"""Seconds that a send may take at most, on a slow machine; usually it takes some 20."""


def bare(place: Place) -> Celery:
    """Return a producer that knows nothing of quorum queues."""
    return Celery(broker=place.url, set_as_current=False)


def canceller(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ours."""
    command = [sys.executable, "-m", "worker", *arguments]
    return subprocess.run(
        command, env=place.cell.env, cwd=ROOT, capture_output=True, text=True, timeout=BOUND, check=False
    )


def test_a_bare_producer_is_refused_once_the_queue_is_there(place: Place) -> None:
    place.cell.simulator.add_job("ess", 1, "finished")
    place.cell.start_worker().wait_for("ready.")
    with bare(place) as producer, pytest.raises(PreconditionFailed, match="x-queue-type"):
        producer.send_task("worker.cancel", kwargs=COMMAND, queue="commands")
    assert place.waiting() == 0

    with bare(place) as producer:
        producer.conf.task_create_missing_queue_type = "quorum"
        producer.send_task("worker.cancel", kwargs=COMMAND, queue="commands")
    place.finish(1)


def test_a_bare_producer_that_came_first_is_named_and_no_worker_ends(place: Place) -> None:
    cell = place.cell
    cell.simulator.add_job("ess", 1, "finished")
    with bare(place) as producer:
        producer.send_task("worker.cancel", kwargs=COMMAND, queue="commands")
    worker = cell.start_worker()
    complaint = json.loads(worker.wait_for("queue.refused"))
    for words in ("commands is a classic queue", "task_create_missing_queue_type", "delete_queue commands"):
        assert words in complaint["problem"]

    checked = canceller(place, "check", "--json")
    assert checked.returncode == 1
    (finding,) = [one for one in json.loads(checked.stdout)["findings"] if one["what"] == "queue commands"]
    assert finding["verdict"] == "wrong"
    assert "classic queue" in finding["text"]
    sent = canceller(place, "cancel", "ess", "1")
    assert (sent.returncode, "classic queue" in sent.stderr, "Traceback" in sent.stderr) == (1, True, False)

    place.node.control("delete_queue", "--vhost", place.vhost, "commands")
    worker.wait_for("ready.")
    cell.send("cancel", **COMMAND)
    place.finish(1)
    assert [one["event"] for one in place.complaints()] == ["queue.refused"]


def test_a_virtual_host_of_quorum_queues_needs_nothing_of_producers(node: Node, tmp_path: Path) -> None:
    with deployed(node, tmp_path, "--default-queue-type", "quorum") as place:
        place.cell.simulator.add_job("ess", 1, "finished")
        place.cell.simulator.add_job("ess", 2, "finished")
        with bare(place) as producer:
            producer.send_task("worker.cancel", kwargs=COMMAND, queue="commands")
            place.cell.start_worker()
            place.finish(1)
            producer.send_task("worker.cancel", kwargs={**COMMAND, "job_id": 2}, queue="commands")
        place.finish(2)


def test_our_clients_send_wait_and_tell(place: Place) -> None:
    place.cell.simulator.add_job("ess", 1)
    place.cell.start_worker()
    with Client(Settings.load(place.cell.env)) as client:
        assert client.cancel("ess", 1).wait(timeout=60).outcome == "cancelled"
    for words in (("cancel", "ess", "1", "--wait"), ("status", "ess", "1"), ("check",)):
        ended = canceller(place, *words)
        assert (ended.returncode, ended.stderr) == (0, ""), ended
    assert "RabbitMQ" in ended.stdout
    assert "commands is a quorum queue" in " ".join(ended.stdout.split())


@contextmanager
def bounded() -> Iterator[None]:
    """Check that something does not take forever."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < BOUND


async def test_a_client_says_so_when_rabbitmq_takes_nothing(place: Place) -> None:
    client = AsyncClient.from_env(Settings.load(place.cell.env))
    await client.cancel("ess", 1)
    place.node.control("set_vm_memory_high_watermark", "0.0000001")
    try:
        with bounded(), pytest.raises(BrokerUnavailable, match="no answer"):
            await client.cancel("ess", 2)
    finally:
        place.node.control("set_vm_memory_high_watermark", "0.4")
    await client.aclose()


async def test_a_client_says_so_when_rabbitmq_is_not_there(place: Place) -> None:
    env = {**place.cell.env, "CELERY_BROKER_URL": "amqp://127.0.0.1:9//"}
    client = AsyncClient.from_env(Settings.load(env))
    with bounded(), pytest.raises(BrokerUnavailable, match="can't be reached"):
        await client.cancel("ess", 1)
    await client.aclose()


async def test_a_client_says_so_when_it_may_not(place: Place) -> None:
    env = {**place.cell.env, "CELERY_BROKER_URL": place.url.replace("guest:guest", "guest:wrong")}
    client = AsyncClient.from_env(Settings.load(env))
    with bounded(), pytest.raises(BrokerRefused, match="ACCESS_REFUSED"):
        await client.cancel("ess", 1)
    await client.aclose()


FORKED = """
import os, sys
sys.path.insert(0, {root!r})
from worker.client import Client

client = Client.from_env()
client.cancel("ess", 1)
if os.fork() == 0:
    client.cancel("ess", 2)
    sys.exit()
assert os.wait()[1] == 0
client.cancel("ess", 3)
"""


def test_a_forked_child_leaves_its_parents_connection_alone(place: Place) -> None:
    done = run_program(place.cell.env, FORKED.format(root=str(ROOT)))

    assert (done.stderr, done.returncode) == ("", 0)
    assert place.waiting() == 3
