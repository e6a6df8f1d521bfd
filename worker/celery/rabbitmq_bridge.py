"""Celery's consumers: one that ignores other workers, and one that passes what RabbitMQ delivers to intake.

Celery's stock consumer drops messages that it can't read, ends on some of them, and holds those that have an ETA;
intake reports all of them. Everything here runs in Celery's thread, which owns the socket, except the methods of
`ChannelConnection`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import amqp
import structlog
from amqp.exceptions import AMQPError, ChannelError, NotAllowed
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from kombu.transport import pyamqp

from ..broker.bounds import CONFIRM, producer_of, refusal, worded
from ..intake.decoder import RawMessage
from ..intake.rabbitmq_consumer import Delivery
from ..runtime.process import runtime
from ..settings.environment import Settings

log = structlog.get_logger(__name__)

PREFETCH = 200
"""The most messages that may be delivered but not acknowledged: two chunks."""
RECHECK = 5.0
WAKE_EVERY = 0.5
"""The most seconds for which Celery's loop sleeps: it notices only when it wakes that a signal has stopped it."""
CLOSE_TIMEOUT = 1.0
"""Seconds that RabbitMQ may take for each answer while the worker stops."""
REMIND = 60.0
"""Seconds between two log lines about the same problem."""
DELIVERY_COUNT = "x-delivery-count"
"""RabbitMQ's header: how often a message of a quorum queue was returned."""


class Sealed(pyamqp.Message):
    """A message that kombu does not decompress: it would do so without a limit."""

    def __init__(self, message: Any, **options: Any) -> None:
        headers = message.properties.get("application_headers") or {}
        compression = headers.pop("compression", None)
        super().__init__(message, **options)
        headers = {**self.headers, **({"compression": compression} if compression else {})}
        self.received = RawMessage(message.body, headers, self.content_type, self.content_encoding)
        """The message as intake decodes it."""


class LoneConsumer(Consumer):
    """Ignores the other workers of the broker, which may be another application's; ours need nothing from each other.

    Celery's heartbeats are for Flower, which needs remote control too.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        alone = {"without_mingle": True, "without_gossip": True}
        if not Settings.load().remote_control:
            alone["without_heartbeat"] = True
        super().__init__(*arguments, **{**options, **alone})


class CommandConsumer(LoneConsumer):
    """Consumes the command queue of a RabbitMQ for intake."""

    app: Any
    hub: Any
    connection: Any
    event_dispatcher: Any
    task_consumer: Any

    class Blueprint(Consumer.Blueprint):  # type: ignore[valid-type,misc]  # celery-types says less than it knows
        """Celery's steps without delayed delivery, which would declare 28 queues that nobody uses here."""

        default_steps = [step for step in Consumer.Blueprint.default_steps if not step.endswith(":DelayedDelivery")]  # noqa: RUF012

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "initial_prefetch_count": PREFETCH})
        self.hub.call_repeatedly(WAKE_EVERY, lambda: None)
        self.settled: deque[Any] = deque()

    def connect(self) -> Any:
        """Connect, and wait until the broker admits us and every queue has the right arguments."""
        logged_at = -REMIND
        while True:
            connection, problem = self._try_to_connect()
            if not problem:
                return connection
            if time.monotonic() - logged_at >= REMIND:
                logged_at = time.monotonic()
                log.error("queue.refused", problem=problem, hint="no commands until this is fixed; open work goes on")
            again = time.monotonic() + RECHECK
            while time.monotonic() < again:
                maybe_shutdown()
                time.sleep(RECHECK / 20)

    def stop(self) -> None:
        """Stop, even if the broker does not answer."""
        connections = [one for one in (self.connection, getattr(self.event_dispatcher, "connection", None)) if one]
        for connection in connections:
            transport: Any = getattr(connection._connection, "transport", None)  # noqa: SLF001 - there is no other way
            if transport is not None and transport.sock is not None:
                transport.sock.settimeout(CLOSE_TIMEOUT)
        if not self.turn(wanted=False):
            for connection in connections:
                connection.collect()
        super().stop()

    def connection_for_write(self, url: Any = None, heartbeat: Any = None) -> Any:
        """Connect for heartbeats, unconfirmed: RabbitMQ confirms none while short of memory, and Celery would wait."""
        options = {"confirm_publish": False}
        return self.ensure_connected(
            self.app.connection_for_write(url=url, heartbeat=heartbeat, transport_options=options)
        )

    def create_task_handler(self, *_: Any, **__: Any) -> Callable[[Any], None]:
        """Return the function to call with each message."""
        channel = self.task_consumer.channel
        channel.Message, channel.auto_decode = Sealed, False
        self.settled.clear()
        connection = ChannelConnection(self)
        consumer = runtime().rabbitmq
        in_its_loop = consumer.loop.call_soon_threadsafe
        in_its_loop(consumer.connect, connection)

        def received(message: Sealed) -> None:
            returns: Any = message.headers.get(DELIVERY_COUNT)
            count = returns if isinstance(returns, int) else 0
            in_its_loop(consumer.put, Delivery(connection, message, message.received, count))

        return received

    def acknowledge(self) -> None:
        """Acknowledge the messages that were handled: those in `settled`, to which any thread may add."""
        while self.settled:
            message = self.settled.popleft()
            self._quietly(message.ack)

    def turn(self, *, wanted: bool) -> bool:
        """Start or stop consuming; return whether RabbitMQ has answered."""
        if self.task_consumer is None:
            return True
        return self._quietly(self.task_consumer.consume if wanted else self.task_consumer.cancel)

    def _quietly(self, call: Callable[[], object]) -> bool:
        try:
            call()
        except (AMQPError, OSError, AttributeError) as error:
            # The connection is gone: Celery notices by itself, and RabbitMQ redelivers what was not acknowledged.
            log.info("rabbitmq_consumer.connection_lost", error=error)
            return False
        return True

    def _try_to_connect(self) -> tuple[Any, str]:
        """Connect and declare all queues; return the connection, and why the broker refuses."""
        queue = str(self.app.conf.task_default_queue)
        try:
            connection = super().connect()
            for queue, one in self.app.amqp.queues.consume_from.items():  # noqa: B007 - the error is about the last one
                with connection.channel() as channel:
                    one.bind(channel).declare()
        except (ChannelError, NotAllowed) as error:
            return None, refusal(queue, error)
        return connection, ""


class ChannelConnection:
    """One connection, as intake uses it from the worker's loop."""

    def __init__(self, consumer: CommandConsumer) -> None:
        self._consumer = consumer
        self._channel = consumer.task_consumer.channel
        self._queue = Settings.load().queue

    @property
    def lost(self) -> bool:
        """Whether the connection is closed."""
        return not self._channel.is_open

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge messages."""
        if self._channel.is_open:
            self._consumer.settled.extend(delivery.tag for delivery in deliveries)
            self._consumer.call_soon(self._consumer.acknowledge)

    def consume(self, *, wanted: bool) -> None:
        """Start or stop consuming."""
        self._consumer.call_soon(lambda: self._consumer.turn(wanted=wanted))

    async def send_again(self, delivery: Delivery) -> None:
        """Send a message to the end of its queue, as a new one."""

        def send() -> None:
            received = delivery.received
            headers = {name: value for name, value in received.headers.items() if name != DELIVERY_COUNT}
            message = amqp.Message(received.body, **{**delivery.tag.properties, "application_headers": headers})
            with worded(self._queue), producer_of(self._consumer.app) as producer:
                producer.channel.basic_publish(message, routing_key=self._queue, confirm_timeout=CONFIRM)

        await asyncio.to_thread(send)
