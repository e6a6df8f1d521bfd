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

from ..settings.celery import broker_url, celery_settings, transport_options
from ..settings.environment import AMQP_SCHEMES, Settings, scheme_of
from .bounds import AGAIN, CHECK, CONFIRM, worded

CONNECT = 4.0
"""Seconds that connecting may take, as in Celery."""
CONNECTIONS = 10
"""Connections at once; further senders wait for one."""
CHECK_SINK = "check the URL that the sink's broker_url_env holds, and that this server runs"
NOTHING_FOLLOWS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


class Connections:
    """Connections to one broker, which are kept for the next message to a queue.

    `options` are kombu's transport options, `publishing` those for publishing a message.
    """

    def __init__(
        self,
        url: str,
        options: Mapping[str, Any],
        queue_name: str,
        publishing: Mapping[str, Any],
        *,
        amqp: bool,
        check: str = CHECK,
    ) -> None:
        """`check` says what to do if the broker can't be reached."""
        self._url = url
        self._queue_name = queue_name
        self._publishing = publishing
        self._check = check
        self._options = options
        self._amqp = amqp
        self._idle: list[Any] = []
        self._closed = False
        self._free = threading.BoundedSemaphore(CONNECTIONS)

    def connection(self, connect_timeout: float = CONNECT) -> Any:
        """Return a new connection to the broker, not open yet; the caller closes it."""
        return Connection(self._url, transport_options=dict(self._options), connect_timeout=connect_timeout)

    def close(self) -> None:
        """Close the connections that are not in use, and the others once what they send is sent."""
        self._closed = True
        self._drop_idle()

    def publish(self, task: str, task_id: str, arguments: Mapping[str, Any]) -> None:
        """Send a task message; the broker has it when this returns.

        Raises:
            BrokerUnavailable: it was not confirmed in time.
            BrokerRefused: the queue's arguments or the permissions at the broker are wrong.

        """
        with worded(self._queue_name, self._check), self._lent() as connection:
            Producer(connection, auto_declare=False).publish(
                ((), dict(arguments), NOTHING_FOLLOWS),
                headers=headers(task, task_id),
                correlation_id=task_id,
                reply_to="",
                serializer="json",
                exchange="",
                routing_key=self._queue_name,
                retry=True,
                retry_policy=AGAIN,
                timeout=CONFIRM,
                confirm_timeout=CONFIRM,
                **self._publishing,
            )

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
            if self._closed:
                self._drop_idle()

    def _drop_idle(self) -> None:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread may have taken the last one
                return
            self._drop(connection)

    def _drop(self, connection: Any) -> None:
        """Close a connection, but one to RabbitMQ not cleanly.

        A blocked RabbitMQ does not answer a clean close either; kombu would wait for an answer. Other brokers do not
        need this, and for them `collect` would briefly change the default timeout of all sockets in this process.
        """
        if self._amqp:
            connection.collect()
        else:
            connection.release()


class Sender(Connections):
    """Sends to the command queue of one deployment. It connects on the first send."""

    def __init__(self, settings: Settings) -> None:
        """Prepare for the broker that the settings name.

        Raises:
            ConfigurationError: there is no broker to send to.

        """
        celery: Mapping[str, Any] = celery_settings(settings)
        (self.queue,) = celery["task_queues"]
        url, options = celery["broker_write_url"], celery["broker_transport_options"]
        super().__init__(url, options, self.queue.name, {"declare": [self.queue]}, amqp=settings.amqp_broker)

    def send(self, task: str, arguments: Mapping[str, Any]) -> str:
        """Send a task message; the broker has it when this returns its id.

        Raises what `publish` raises.
        """
        task_id = str(uuid.uuid4())
        self.publish(task, task_id, arguments)
        return task_id


class TaskSender(Connections):
    """Sends to a queue that another application declares; while it is missing, sending to a RabbitMQ fails."""

    def __init__(self, url: str, queue: str) -> None:
        """Prepare for a broker; `url` has the form of `CELERY_BROKER_URL`."""
        amqp = scheme_of(url) in AMQP_SCHEMES
        publishing = {"mandatory": True} if amqp else {}  # else RabbitMQ confirms and discards what no queue takes
        super().__init__(broker_url(url), transport_options(url), queue, publishing, amqp=amqp, check=CHECK_SINK)

    def reach(self) -> None:
        """Connect to the broker, and check that a RabbitMQ has the queue; raises what `publish` raises."""
        with worded(self._queue_name, self._check), self._lent() as connection:
            connection.ensure_connection(max_retries=1, timeout=CONNECT)
            if self._amqp:
                with connection.channel() as channel:
                    channel.queue_declare(self._queue_name, passive=True)
            else:
                connection.default_channel  # noqa: B018 - opens it


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
