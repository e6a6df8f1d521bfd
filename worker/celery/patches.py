"""What we change in other people's classes, and the versions in which each change was found necessary.

Nothing here happens by importing it: `apply` is called where a Celery worker of ours starts, and nowhere else.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from amqp.serialization import PROPERTY_CLASSES
from amqp.spec import Basic
from celery.apps import worker as stock_worker
from kombu.transport.redis import Channel
from redis.exceptions import ConnectionError as ConnectionLost

Properties = tuple[dict[str, Any], int]

CHANNEL_SETTINGS = "_connparams"
"""kombu has no public place for what `survive_a_lost_broker` needs."""
SAY = "safe_say"
"""What Celery's signal handlers write with."""


@cache
def apply() -> None:
    """Apply all changes, once in a process."""
    survive_a_lost_broker()
    survive_unreadable_headers()
    stop_without_a_reader()


def survive_a_lost_broker() -> None:
    """Let a worker outlive its Redis broker. Checked with kombu 5.7.0.

    kombu asks a channel that was closed under it for its settings. The AttributeError that this raises while messages
    are given back ends the worker; a lost connection, which it is, would be waited out.
    """
    stock = getattr(Channel, CHANNEL_SETTINGS)

    def connection_parameters(self: Any, *args: Any, **options: Any) -> Any:
        if self.connection is None or self.connection.client is None:
            raise ConnectionLost("the connection to the broker is closed")
        return stock(self, *args, **options)

    setattr(Channel, CHANNEL_SETTINGS, connection_parameters)


def survive_unreadable_headers() -> None:
    """Let a worker outlive a message whose headers RabbitMQ took and py-amqp can't read. Checked with amqp 5.4.2."""
    PROPERTY_CLASSES[Basic.CLASS_ID] = bounded(PROPERTY_CLASSES[Basic.CLASS_ID])  # type: ignore[assignment]  # typed as a class


def stop_without_a_reader() -> None:
    """Let a signal stop a worker whose terminal or pipe nobody reads: Celery's words about it can't be written then.

    Its handlers would wait until they can. Checked with celery 5.7.0.
    """
    stock = getattr(stock_worker, SAY)

    def say(message: str, stream: Any = sys.__stderr__) -> None:
        with suppress(AttributeError, OSError, ValueError):  # a stream that is none, or closed
            if select.select((), (stream.fileno(),), (), 0)[1]:
                stock(message, stream)

    setattr(stock_worker, SAY, say)


def bounded(stock: Callable[[Any, int], Properties]) -> Callable[[Any, int], Properties]:
    """Return a reader of properties that raises nothing: what it can't read stands in place of the content type."""

    def read(buffer: Any, offset: int) -> Properties:
        try:
            return stock(buffer, offset)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's bytes may raise would end the worker
            return {"content_type": f"unreadable headers, {type(error).__name__}"}, len(buffer)

    return read
