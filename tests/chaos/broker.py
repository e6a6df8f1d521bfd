"""The broker of the chaos bench's commands: the Redis that also has the state, or a separate RabbitMQ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import psutil

from tests.chaos.world import Server
from tests.support.rabbitmq_node import Node

QUEUE = "commands"


class Broker(Protocol):
    """A broker, as the bench needs it."""

    @property
    def env(self) -> Mapping[str, str]:
        """The variables that workers need for it."""

    @property
    def producer(self) -> Mapping[str, Any]:
        """The settings of a bare Celery producer."""

    def waiting(self) -> dict[str, int]:
        """Return how many messages wait or are being handled, by place."""

    def spent(self) -> dict[str, float]:
        """Return CPU seconds."""

    def stop(self) -> None:
        """End it."""


class OverRedis:
    """The state's own Redis."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.env: Mapping[str, str] = {}
        self.producer = {"broker_url": server.url.replace("unix://", "redis+socket://")}

    def waiting(self) -> dict[str, int]:
        """Return how many messages wait or are being handled, by place."""
        found: dict[str, int] = {}
        with self._server.client() as client:
            for name in (QUEUE, *client.scan_iter(f"{QUEUE}.taken:*")):
                text = name.decode() if isinstance(name, bytes) else name
                length: Any = client.llen(text) if client.type(text) == b"list" else 0
                found[text] = length
        return found

    def spent(self) -> dict[str, float]:
        """Return the CPU seconds; they are counted with the server's."""
        return {}

    def stop(self) -> None:
        """Do nothing: the Redis of the state is ended elsewhere."""


class OverRabbit:
    """A RabbitMQ node that lives as long as the run."""

    def __init__(self, directory: Path) -> None:
        self._node = Node(directory)
        self._node.__enter__()
        url = self._node.url("%2F")
        self.env = {"CELERY_BROKER_URL": url}
        self.producer = {
            "broker_url": url,
            "task_create_missing_queue_type": "quorum",
            "broker_transport_options": {"confirm_publish": True},
        }

    def waiting(self) -> dict[str, int]:
        """Return how many messages wait or are being handled."""
        rows = self._node.control("list_queues", "name", "messages")
        return {f"{name} in RabbitMQ": int(count) for name, count in rows if name == QUEUE}

    def spent(self) -> dict[str, float]:
        """Return CPU seconds."""
        times = psutil.Process(self._node.pid).cpu_times()
        return {"rabbitmq": times.user + times.system}

    def stop(self) -> None:
        """End it."""
        self._node.__exit__()


def broker_of(kind: str, server: Server, directory: Path) -> Broker:
    """Return the broker of the commands; raises NoRabbitMQ."""
    return OverRabbit(directory / "rabbitmq") if kind == "amqp" else OverRedis(server)
