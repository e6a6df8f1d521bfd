"""Takes in what RabbitMQ delivers, many messages at a time, and acknowledges each once all that it asks for is stored.

The connection belongs to Celery's thread (`celery/rabbitmq_bridge.py`); messages are handled here, in the worker's
loop. RabbitMQ redelivers what was not acknowledged when a connection ends. Taking in a message again is harmless: a
command id is taken in once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from ..aio.tasks import cancel_all
from ..domain.errors import BrokerRefused, BrokerUnavailable, StoreUnavailable
from .decoder import RawMessage, read_raw
from .delivery import CHUNK, CHUNK_BYTES, Backpressure, Fullness, Handle, Taken, settle

log = structlog.get_logger(__name__)

LOOK = 1.0
"""Seconds between two looks at the store."""
RETRY = 0.5
HOLD = 1200.0
"""Seconds that a message is kept while the store is away: RabbitMQ closes a channel that keeps one for 1,800."""
RETURNS = 10
"""Redeliveries after which a message is sent anew: RabbitMQ 4 drops it at 20, and every dead worker counts as one."""
SHUTDOWN_TIMEOUT = 2.0
"""Seconds that a stop waits for the chunk that is being handled."""


class BrokerConnection(Protocol):
    """One connection to RabbitMQ, until it ends. It is called from the worker's loop."""

    @property
    def lost(self) -> bool:
        """Whether it has ended."""

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge messages."""

    def consume(self, *, wanted: bool) -> None:
        """Start or stop consuming; what was delivered already is kept."""

    async def send_again(self, delivery: Delivery) -> None:
        """Send a message to the end of its queue, as a new one.

        Raises:
            BrokerUnavailable, BrokerRefused: it was not sent.

        """


@dataclass(eq=False)
class Delivery:
    """One message that was delivered and is not acknowledged; `tag` is its connection's own name for it."""

    connection: BrokerConnection
    tag: Any
    received: RawMessage
    returns: int = 0
    at: float = field(default=0.0)


class RabbitMQConsumer:
    """Consumes the command queue of a RabbitMQ."""

    def __init__(self, handle: Handle, fullness: Fullness) -> None:
        self._handle = handle
        self._backpressure = Backpressure(fullness)
        self._waiting: deque[Delivery] = deque()
        self._came = asyncio.Event()
        self._open = True
        self._stopping = False
        self._connection: BrokerConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start to handle what is delivered."""
        self.loop = asyncio.get_running_loop()
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._watch())]
        log.info("rabbitmq_consumer.started")

    async def stop(self) -> None:
        """Finish the current chunk and leave the rest to other workers."""
        self._stopping = True
        self._came.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_TIMEOUT):
                await self._tasks[0]
        await cancel_all(self._tasks)

    @property
    def problem(self) -> str:
        """Why no commands are taken in; empty if they are."""
        if self._connection is None or self._connection.lost:
            return "there is no connection to RabbitMQ"
        return self._backpressure.problem or ("" if self._open else "Redis does not answer")

    def connect(self, connection: BrokerConnection) -> None:
        """Use a new connection; what came over older ones is redelivered. To be called in `loop`."""
        self._connection = connection
        self._waiting = deque(one for one in self._waiting if one.connection is connection)
        if not self._open:
            connection.consume(wanted=False)

    def put(self, delivery: Delivery) -> None:
        """Add a message that was delivered. To be called in `loop`."""
        if delivery.connection is self._connection:
            delivery.at = self.loop.time()
            self._waiting.append(delivery)
            self._came.set()

    async def _run(self) -> None:
        while not self._stopping:
            chunk: list[Delivery] = []
            try:
                await self._send_old_ones_again()
                chunk = self._chunk()
                if chunk:
                    taken = [Taken(one.received.raw, read_raw(one.received)) for one in chunk]
                    await settle(taken, self._handle)
                    for connection in {one.connection for one in chunk}:
                        connection.acknowledge([one for one in chunk if one.connection is connection])
                else:
                    await self._rest()
            except StoreUnavailable as error:
                log.warning("rabbitmq_consumer.unavailable", error=str(error))
            except Exception:
                log.exception("rabbitmq_consumer.failed")
            else:
                continue
            self._waiting.extendleft(one for one in reversed(chunk) if one.connection is self._connection)
            await asyncio.sleep(RETRY)

    async def _rest(self) -> None:
        self._came.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK):
                await self._came.wait()

    def _chunk(self) -> list[Delivery]:
        """Remove and return as many messages as may be handled in one go."""
        chunk: list[Delivery] = []
        size = 0
        while self._open and self._waiting and len(chunk) < CHUNK and size < CHUNK_BYTES:
            chunk.append(self._waiting.popleft())
            size += len(chunk[-1].received.body)
        return chunk

    async def _send_old_ones_again(self) -> None:
        """Send again what must not be kept or redelivered any longer; if that fails, it is handled as it is."""
        late = self.loop.time() - HOLD
        for delivery in [one for one in self._waiting if one.at < late or one.returns >= RETURNS]:
            try:
                await delivery.connection.send_again(delivery)
            except (BrokerUnavailable, BrokerRefused) as error:
                log.warning("rabbitmq_consumer.not_sent_again", error=str(error))
                delivery.at, delivery.returns = self.loop.time(), 0
                continue
            log.warning("rabbitmq_consumer.sent_again", returns=delivery.returns)
            with suppress(ValueError):  # a new connection may have removed it meanwhile
                self._waiting.remove(delivery)
            delivery.connection.acknowledge([delivery])

    async def _watch(self) -> None:
        """Stop consuming while the store is full or away: messages in the queue are safe, and are not redelivered."""
        while not self._stopping:
            try:
                await self._backpressure.look()
                self._switch(wanted=not self._backpressure.problem)
            except StoreUnavailable as error:
                log.warning("rabbitmq_consumer.unavailable", error=str(error))
                self._switch(wanted=False)
            except Exception:
                log.exception("rabbitmq_consumer.failed")
            await asyncio.sleep(LOOK)

    def _switch(self, *, wanted: bool) -> None:
        if wanted is self._open:
            return
        self._open = wanted
        self._came.set()
        if self._connection is not None:
            self._connection.consume(wanted=wanted)
