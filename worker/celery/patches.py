"""Patches of other packages' classes, each with the version that was found to need it.

Importing this changes nothing: `apply` is called only when one of our Celery workers starts.
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
"""kombu's own method that `survive_a_lost_broker` changes; it has no public one."""
SAY = "safe_say"
"""The function by which Celery's signal handlers write."""


@cache
def apply() -> None:
    """Apply all changes, once in a process."""
    survive_a_lost_broker()
    PROPERTY_CLASSES[Basic.CLASS_ID] = bounded(PROPERTY_CLASSES[Basic.CLASS_ID])  # type: ignore[assignment]  # typed as a class
    say_to_standard_error()


def survive_a_lost_broker() -> None:
    """Let a worker outlive its Redis broker. Checked with kombu 5.7.0.

    kombu may ask a channel that has just been closed for its settings. If that happens while messages are being
    returned, the AttributeError ends the worker. A lost connection is raised instead, which Celery waits out.
    """
    stock = getattr(Channel, CHANNEL_SETTINGS)

    def connection_parameters(self: Any, *args: Any, **options: Any) -> Any:
        if self.connection is None or self.connection.client is None:
            raise ConnectionLost("the connection to the broker is closed")
        return stock(self, *args, **options)

    setattr(Channel, CHANNEL_SETTINGS, connection_parameters)


def say_to_standard_error() -> None:
    """Let a signal stop a worker even if nobody reads its terminal or pipe, and keep standard output for events.

    Celery's signal handlers write a line, most of them to standard output, where a sink may write events, and block
    until it is written. Checked with celery 5.7.0.
    """
    stock = getattr(stock_worker, SAY)

    def say(message: str, stream: Any = sys.__stderr__) -> None:
        stream = sys.__stderr__ if stream is sys.__stdout__ else stream
        with suppress(AttributeError, OSError, ValueError):  # no stream, or a closed one
            if select.select((), (stream.fileno(),), (), 0)[1]:
                stock(message, stream)

    setattr(stock_worker, SAY, say)


def bounded(stock: Callable[[Any, int], Properties]) -> Callable[[Any, int], Properties]:
    """Return a reader of properties that never raises: if it can't read them, the content type says so.

    With it a worker survives a message whose headers RabbitMQ accepts but py-amqp can't read. Checked with amqp 5.4.2.
    """

    def read(buffer: Any, offset: int) -> Properties:
        try:
            return stock(buffer, offset)
        except Exception as error:  # noqa: BLE001 - foreign bytes may raise anything, which would end the worker
            return {"content_type": f"unreadable headers, {type(error).__name__}"}, len(buffer)

    return read
