"""Sends task messages with kombu alone, over connections of its own.

A Celery app would affect its host process: it joins the apps that `@shared_task` registers with, sets the size of
kombu's shared pools, records what it sends as children of the running task, reads the host's `CELERY_CONFIG_MODULE`,
and installs its hooks for Django.
"""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kombu import Connection, Producer

from ..settings.celery import celery_settings
from ..settings.environment import Settings
from .bounds import AGAIN, CONFIRM, worded

CONNECT = 4.0
"""Seconds that connecting may take, as in Celery."""
CONNECTIONS = 10
"""Connections at once; further senders wait for one."""
NOTHING_FOLLOWS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


class Sender:
    """Sends to the command queue of one deployment. It connects on the first send."""

    def __init__(self, settings: Settings) -> None:
        """Prepare for the broker that the settings name.

        Raises:
            ConfigurationError: there is no broker to send to.

        """
        celery: Mapping[str, Any] = celery_settings(settings)
        (self.queue,) = celery["task_queues"]
        self._url = celery["broker_write_url"]
        self._options = celery["broker_transport_options"]
        self._amqp = settings.amqp_broker
        self._idle: list[Any] = []
        self._free = threading.BoundedSemaphore(CONNECTIONS)

    def connection(self, connect_timeout: float = CONNECT) -> Any:
        """Return a new connection to the broker, not open yet; the caller closes it."""
        return Connection(self._url, transport_options=dict(self._options), connect_timeout=connect_timeout)

    def send(self, task: str, arguments: Mapping[str, Any]) -> str:
        """Send a task message; the broker has it when this returns its id.

        Raises:
            BrokerUnavailable: it was not confirmed in time.
            BrokerRefused: the queue's arguments or the permissions at the broker are wrong.

        """
        task_id = str(uuid.uuid4())
        with worded(self.queue.name), self._lent() as connection:
            Producer(connection, auto_declare=False).publish(
                ((), dict(arguments), NOTHING_FOLLOWS),
                headers=headers(task, task_id),
                correlation_id=task_id,
                reply_to="",
                serializer="json",
                exchange="",
                routing_key=self.queue.name,
                declare=[self.queue],
                retry=True,
                retry_policy=AGAIN,
                timeout=CONFIRM,
                confirm_timeout=CONFIRM,
            )
        return task_id

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._drop(self._idle.pop())

    @contextmanager
    def _lent(self) -> Iterator[Any]:
        """Lend a connection; it is dropped after a failure."""
        with self._free:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self.connection()
            try:
                yield connection
            except BaseException:
                self._drop(connection)
                raise
            self._idle.append(connection)

    def _drop(self, connection: Any) -> None:
        """Close a connection; to RabbitMQ not cleanly.

        A blocked RabbitMQ does not answer a clean close either; kombu would wait for one. Other brokers need none, and
        there `collect` would change the default timeout of all sockets in this process for a moment.
        """
        if self._amqp:
            connection.collect()
        else:
            connection.release()


def headers(task: str, task_id: str) -> dict[str, Any]:
    """Return the headers of a task message in Celery's protocol 2."""
    return {
        "lang": "py",
        "task": task,
        "id": task_id,
        "root_id": task_id,
        "parent_id": None,
        "group": None,
        "shadow": None,
        "eta": None,
        "expires": None,
        "retries": 0,
        "timelimit": [None, None],
        "argsrepr": "()",
        "kwargsrepr": "{...}",  # the real one would copy the command, and its signature, into a header
        "origin": f"{os.getpid()}@{socket.gethostname()}",
        "ignore_result": True,
    }
