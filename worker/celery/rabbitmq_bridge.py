"""Celery's consumers: one that keeps to itself, and one for RabbitMQ that hands what is delivered to the receiver.

Celery's stock consumer drops what it can't read, ends on some of it, and holds messages that have an ETA; the receiver
reports all of it. Everything here runs in Celery's own thread, whose socket it is, except what `BrokerConnection` is
asked.
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
"""Messages on their way to this worker or in its hands: two batches."""
RECHECK = 5.0
WAKE_EVERY = 0.5
"""Seconds for which Celery's loop sleeps at most: only once it is awake does it see that a signal has stopped it."""
GOODBYE = 1.0
"""Seconds that RabbitMQ may take for each answer once the worker stops."""
REMIND = 60.0
"""Seconds between two complaints about the same."""
COUNT = "x-delivery-count"
"""RabbitMQ's header: how often a message of a quorum queue has come back."""


class Sealed(pyamqp.Message):
    """A message that kombu does not inflate: it would do so without a bound."""

    def __init__(self, message: Any, **options: Any) -> None:
        headers = message.properties.get("application_headers") or {}
        self.bytes: bytes = message.body
        self.compression = headers.pop("compression", None)
        super().__init__(message, **options)

    @property
    def returns(self) -> int:
        """How often it has come back."""
        count: Any = self.headers.get(COUNT)
        return count if isinstance(count, int) else 0

    def received(self) -> RawMessage:
        """Return the message as the inbox reads it."""
        headers = {**self.headers, **({"compression": self.compression} if self.compression else {})}
        return RawMessage(self.bytes, headers, self.content_type, self.content_encoding)

    def copy(self) -> Any:
        """Return it as new."""
        received = self.received()
        headers = {name: value for name, value in received.headers.items() if name != COUNT}
        return amqp.Message(received.body, **{**self.properties, "application_headers": headers})


class LoneConsumer(Consumer):
    """Neither greets nor listens to other workers of the broker, which may be another application's.

    Our workers tell each other nothing through Celery. Its heartbeats are for Flower, which needs remote control too.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        alone = {"without_mingle": True, "without_gossip": True}
        if not Settings.load().remote_control:
            alone["without_heartbeat"] = True
        super().__init__(*arguments, **{**options, **alone})


class CommandConsumer(LoneConsumer):
    """Consumes for the receiver."""

    app: Any
    hub: Any
    connection: Any
    event_dispatcher: Any
    task_consumer: Any

    class Blueprint(Consumer.Blueprint):  # type: ignore[valid-type,misc]  # celery-types says less than it knows
        """Celery's steps without delayed delivery, which would declare 28 queues for what is never sent here."""

        default_steps = [step for step in Consumer.Blueprint.default_steps if not step.endswith(":DelayedDelivery")]  # noqa: RUF012

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "initial_prefetch_count": PREFETCH})
        self.hub.call_repeatedly(WAKE_EVERY, lambda: None)
        self._settled: deque[Any] = deque()

    def connect(self) -> Any:
        """Connect, and wait until the broker lets us in and every queue is as it must be."""
        told = -REMIND
        while True:
            connection, problem = self._connected()
            if not problem:
                return connection
            if time.monotonic() - told >= REMIND:
                told = time.monotonic()
                log.error("queue.refused", problem=problem, hint="no commands come in until then; open work goes on")
            again = time.monotonic() + RECHECK
            while time.monotonic() < again:
                maybe_shutdown()
                time.sleep(RECHECK / 20)

    def stop(self) -> None:
        """Stop; a broker that does not answer holds nobody up."""
        connections = [one for one in (self.connection, getattr(self.event_dispatcher, "connection", None)) if one]
        for connection in connections:
            transport: Any = getattr(connection._connection, "transport", None)  # noqa: SLF001 - there is no other way
            if transport is not None and transport.sock is not None:
                transport.sock.settimeout(GOODBYE)
        if not self.turn(wanted=False):
            for connection in connections:
                connection.collect()
        super().stop()

    def connection_for_write(self, url: Any = None, heartbeat: Any = None) -> Any:
        """Connect for signs of life: RabbitMQ confirms none while it is short of memory, and Celery would wait."""
        options = {"confirm_publish": False}
        return self.ensure_connected(
            self.app.connection_for_write(url=url, heartbeat=heartbeat, transport_options=options)
        )

    def create_task_handler(self, *_: Any, **__: Any) -> Callable[[Any], None]:
        """Return what is called with each message."""
        channel = self.task_consumer.channel
        channel.Message, channel.auto_decode = Sealed, False
        self._settled.clear()
        line = ChannelConnection(self)
        receiver = runtime().receiver
        receiver.connect(line)

        def received(message: Sealed) -> None:
            receiver.put(Delivery(line, message, message.received(), message.returns))

        return received

    def settle(self, messages: Sequence[Sealed]) -> None:
        """Acknowledge messages soon. For other threads."""
        self._settled.extend(messages)
        self.call_soon(self.acknowledge)

    def acknowledge(self) -> None:
        """Acknowledge what is settled."""
        while self._settled:
            message = self._settled.popleft()
            self._quietly(message.ack)

    def turn(self, *, wanted: bool) -> bool:
        """Go on or stop to take messages; say whether RabbitMQ has answered."""
        if self.task_consumer is None:
            return True
        return self._quietly(self.task_consumer.consume if wanted else self.task_consumer.cancel)

    def _quietly(self, say: Callable[[], object]) -> bool:
        try:
            say()
        except (AMQPError, OSError, AttributeError) as error:
            # The connection is gone: Celery notices by itself, and what was in hand comes again.
            log.info("receiver.connection_lost", error=error)
            return False
        return True

    def _connected(self) -> tuple[Any, str]:
        """Connect and declare all queues; say what the broker has against that."""
        queue = str(self.app.conf.task_default_queue)
        try:
            connection = super().connect()
            for queue, one in self.app.amqp.queues.consume_from.items():  # noqa: B007 - the last one met its error
                with connection.channel() as channel:
                    one.bind(channel).declare()
        except (ChannelError, NotAllowed) as error:
            return None, refusal(queue, error)
        return connection, ""


class ChannelConnection:
    """One connection's way back from the receiver."""

    def __init__(self, consumer: CommandConsumer) -> None:
        self._consumer = consumer
        self._channel = consumer.task_consumer.channel
        self._queue = Settings.load().queue

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Say that messages are settled."""
        if self._channel.is_open:
            self._consumer.settle([delivery.tag for delivery in deliveries])

    def consume(self, *, wanted: bool) -> None:
        """Go on or stop to take messages."""
        self._consumer.call_soon(lambda: self._consumer.turn(wanted=wanted))

    async def send_again(self, delivery: Delivery) -> None:
        """Put a message behind all others in its queue, as if it had never come."""
        await asyncio.to_thread(self._send, delivery.tag.copy())

    def _send(self, message: Any) -> None:
        with worded(self._queue), producer_of(self._consumer.app) as producer:
            producer.channel.basic_publish(message, routing_key=self._queue, confirm_timeout=CONFIRM)
