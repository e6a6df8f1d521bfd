"""What `check` finds about a RabbitMQ; it creates no queue."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from amqp.exceptions import NotFound
from kombu import Queue

from ...broker.bounds import worded
from ...broker.sender import Sender
from ...domain.errors import CancellerError
from ...settings.environment import Settings
from .findings import Finding

SECONDS = 5
SAFE = "what RabbitMQ has confirmed survives its restart, and in a cluster the loss of a node"
DELIVERIES = (
    "a message that is redelivered 20 times is dropped here by default: workers republish one after 10, so that "
    "happens only to one that ends 20 workers in a row; a policy can set `delivery-limit` and a dead-letter exchange"
)


def rabbit_findings(settings: Settings) -> list[Finding]:
    """Look at the RabbitMQ that the settings name."""
    found: list[Finding] = []
    sender = Sender(settings)
    try:
        with worded(settings.queue), sender.connection(SECONDS) as connection:
            started = time.monotonic()
            connection.ensure_connection(max_retries=1, timeout=SECONDS)
            found += _server(connection, time.monotonic() - started)
            found.append(_queue(connection, sender.queue))
    except CancellerError as error:
        found.append(Finding("wrong", f"queue {settings.queue}" if found else "RabbitMQ", str(error)))
    return found


def _server(connection: Any, seconds: float) -> Iterator[Finding]:
    about = connection.connection.server_properties
    version = str(about.get("version", "unknown"))
    yield Finding("ok", "RabbitMQ", f"{about.get('product')} {version} answers in {seconds * 1000:.0f} ms")
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if parts < (3, 10):
        yield Finding("wrong", "RabbitMQ version", f"{version} is too old: 3.10 or later is needed")
    elif parts >= (4, 0):
        yield Finding("ok", "RabbitMQ returns", DELIVERIES)


def _queue(connection: Any, queue: Queue) -> Finding:
    what = f"queue {queue.name}"
    with connection.channel() as channel:
        try:
            channel.queue_declare(queue.name, passive=True)
        except NotFound:
            return Finding("ok", what, "it does not exist yet: the first sender or worker creates it")
    with connection.channel() as channel:
        # RabbitMQ refuses to declare a queue again with other arguments, so this compares them.
        queue.bind(channel).queue_declare()
        count = channel.queue_declare(queue.name, passive=True).message_count
    return Finding("ok", what, f"{queue.name} is a quorum queue with {count} messages: {SAFE}")
