"""One RabbitMQ for all tests here, and for each test a virtual host of its own with a deployment on it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from acceptance.cell import cell_on
from acceptance.conftest import BACKENDS, KNOBS
from celery import Celery
from rabbitmq.node import Node
from rabbitmq.place import Place

from worker.embedded import Embedded

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with Node(tmp_path_factory.mktemp("rabbitmq")) as one:
        yield one


@pytest.fixture
def place(node: Node, tmp_path: Path) -> Iterator[Place]:
    with deployed(node, tmp_path) as one:
        yield one


@contextmanager
def deployed(node: Node, directory: Path, *options: str) -> Iterator[Place]:
    """Run a deployment on a virtual host of its own, made with these options."""
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
