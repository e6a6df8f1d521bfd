"""A deployment whose broker is RabbitMQ, and what its tests query there."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import amqp
import redis
from celery import Celery
from support.cell import Cell, cell_on
from support.rabbitmq_node import HOST, Node
from system.conftest import BACKENDS, KNOBS

from worker.local.embedded_redis import Embedded

SYSTEMS = ("ess", "oml", "mrs", "sahara")
NUMBERS = itertools.count()


@dataclass
class Place:
    """A deployment on its own virtual host."""

    node: Node
    vhost: str
    url: str
    cell: Cell

    def queues(self, *columns: str) -> dict[str, list[str]]:
        """Return what RabbitMQ says about each queue."""
        rows = self.node.control("list_queues", "--vhost", self.vhost, "name", *columns)
        return {name: values for name, *values in rows}

    def waiting(self) -> int:
        """Count the messages in the command queue that are not delivered to a worker."""
        with self.channel() as channel:
            declared: Any = channel.queue_declare("commands", passive=True)
            return int(declared.message_count)

    @contextmanager
    def channel(self) -> Iterator[amqp.Channel]:
        """Open a bare channel, with publisher confirms."""
        host = f"{HOST}:{self.node.port}"
        with amqp.Connection(host, virtual_host=self.vhost, confirm_publish=True) as connection:
            yield connection.channel()

    def publish(self, *messages: amqp.Message) -> None:
        """Send messages that were not made by Celery."""
        with self.channel() as channel:
            for message in messages:
                channel.basic_publish(message, routing_key="commands")

    def records(self) -> list[dict[str, Any]]:
        """Return what the workers have logged."""
        lines = [line for log in self.cell.directory.glob("worker*.log") for line in log.read_text().splitlines()]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def complaints(self) -> list[dict[str, Any]]:
        """Return what the workers have logged as a warning or worse."""
        return [one for one in self.records() if one["level"] not in {"info", "debug"}]

    def until(self, done: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until a condition is true, reading events meanwhile."""
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, f"not reached in {seconds} s\n{self.cell.logs(3000)}"
            self.cell.read(0.2)

    def finish(self, count: int) -> None:
        """Wait until so many cancellations have ended and nothing waits."""
        self.cell.wait_finished(count)
        self.cell.check_sequences()
        self.until(lambda: self.waiting() == 0)


@contextmanager
def deployed(node: Node, directory: Path, *options: str) -> Iterator[Place]:
    """Run a deployment on its own virtual host, created with these options."""
    vhost = f"test{next(NUMBERS)}"
    node.control("add_vhost", vhost, *options)
    node.control("set_permissions", "--vhost", vhost, "guest", ".*", ".*", ".*")
    url = node.url(vhost)
    producer = Celery(broker=url, set_as_current=False)
    producer.conf.update(task_create_missing_queue_type="quorum", broker_transport_options={"confirm_publish": True})
    with Embedded(directory / "redis") as server:
        client, broker = redis.Redis.from_url(server.url), {"CELERY_BROKER_URL": url}
        with cell_on(server.url, client, producer, directory, BACKENDS, knobs=KNOBS, more=broker) as cell:
            cell.embedded = server
            yield Place(node, vhost, url, cell)
