"""One RabbitMQ for all tests of this folder; each test has a deployment on its own virtual host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.rabbitmq_node import Node
from system.rabbitmq.place import Place, deployed


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with Node(tmp_path_factory.mktemp("rabbitmq")) as one:
        yield one


@pytest.fixture
def place(node: Node, tmp_path: Path) -> Iterator[Place]:
    with deployed(node, tmp_path) as one:
        yield one
