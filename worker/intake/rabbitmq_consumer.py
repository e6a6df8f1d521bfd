"""Takes in what RabbitMQ delivers, many messages at a time, and acknowledges each once all that it asks for is stored.

The connection belongs to Celery's thread (`consumer.py`); here, in the worker's loop, is what becomes of a message.
RabbitMQ delivers again what was not acknowledged when a connection ends. Taking in again is harmless: a command id
is taken in once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import structlog

from ..aio.tasks import cancel_all
from ..errors import BrokerRefused, BrokerUnavailable, StoreUnavailable
from .decoder import Item, RawMessage, read_raw
from .delivery import BATCH, BATCH_BYTES, Backpressure, Fullness, Handle, settle

log = structlog.get_logger(__name__)

LOOK = 1.0
"""Seconds between two looks at the store."""
RETRY = 0.5
HOLD = 1200.0
"""Seconds that a message stays in hand while the store is away: RabbitMQ ends a channel that holds one for 1,800."""
RETURNS = 10
"""How often a message may have come back: RabbitMQ 4 drops it at 20, and counts each worker that died with it."""
FAREWELL = 2.0
"""Seconds that a stop waits for the batch in hand."""


class BrokerConnection(Protocol):
    """One connection to RabbitMQ, as long as it lasts. Its calls come from the worker's loop."""

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Say that messages are settled."""

    def consume(self, *, wanted: bool) -> None:
        """Go on or stop to take messages; what was delivered stays in hand."""

    async def send_again(self, delivery: Delivery) -> None:
        """Put a message behind all others in its queue, as if it had never come.

        Raises:
            BrokerUnavailable, BrokerRefused: it is not there.

        """


@dataclass(eq=False)
class Delivery:
    """One message in hand; `tag` is the line's own."""

    line: BrokerConnection
    tag: Any
    received: RawMessage
    returns: int = 0
    at: float = field(default=0.0)

    @cached_property
    def item(self) -> Item:
        """What the message asks for."""
        return read_raw(self.received)

    @property
    def raw(self) -> bytes:
        """What came."""
        return self.received.raw


class Receiver:
    """One worker's door to the command queue of RabbitMQ."""

    def __init__(self, handle: Handle, fullness: Fullness) -> None:
        self._handle = handle
        self._room = Backpressure(fullness)
        self._hand: deque[Delivery] = deque()
        self._came = asyncio.Event()
        self._open = True
        self._stopping = False
        self._line: BrokerConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start to settle what comes."""
        self._loop = asyncio.get_running_loop()
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._watch())]
        log.info("receiver.started")

    async def stop(self) -> None:
        """Settle the batch in hand and leave the rest to others."""
        self._stopping = True
        self._came.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await self._tasks[0]
        await cancel_all(self._tasks)

    def connect(self, line: BrokerConnection) -> None:
        """Take from a new connection: what older ones brought will come again. For other threads."""
        self._loop.call_soon_threadsafe(self._connect, line)

    def put(self, delivery: Delivery) -> None:
        """Take a message into hand. For other threads."""
        self._loop.call_soon_threadsafe(self._put, delivery)

    def _connect(self, line: BrokerConnection) -> None:
        self._line = line
        self._hand = deque(one for one in self._hand if one.line is line)
        if not self._open:
            line.consume(wanted=False)

    def _put(self, delivery: Delivery) -> None:
        if delivery.line is self._line:
            delivery.at = self._loop.time()
            self._hand.append(delivery)
            self._came.set()

    async def _run(self) -> None:
        while not self._stopping:
            batch: list[Delivery] = []
            try:
                await self._spare()
                batch = self._batch()
                if batch:
                    await settle(batch, self._handle)
                    self._acknowledge(batch)
                else:
                    await self._rest()
            except StoreUnavailable as error:
                log.warning("receiver.unavailable", error=str(error))
                await self._keep(batch)
            except Exception:
                log.exception("receiver.failed")
                await self._keep(batch)

    async def _rest(self) -> None:
        self._came.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK):
                await self._came.wait()

    def _batch(self) -> list[Delivery]:
        """Take as much out of hand as may be settled in one go."""
        batch: list[Delivery] = []
        size = 0
        while self._open and self._hand and len(batch) < BATCH and size < BATCH_BYTES:
            batch.append(self._hand.popleft())
            size += len(batch[-1].received.body)
        return batch

    async def _keep(self, batch: Sequence[Delivery]) -> None:
        """Put back into hand what could not be settled."""
        self._hand.extendleft(one for one in reversed(batch) if one.line is self._line)
        await asyncio.sleep(RETRY)

    async def _spare(self) -> None:
        """Send again what must not stay in hand or come back any longer; where that fails it is tried as it is."""
        late = self._loop.time() - HOLD
        spared = [one for one in self._hand if one.at < late or one.returns >= RETURNS]
        for delivery in spared:
            try:
                await self._send_again(delivery)
            except (BrokerUnavailable, BrokerRefused) as error:
                log.warning("receiver.not_sent_again", error=str(error))
                delivery.at, delivery.returns = self._loop.time(), 0
                continue
            with suppress(ValueError):  # a new connection has emptied the hand meanwhile
                self._hand.remove(delivery)
            self._acknowledge([delivery])

    async def _send_again(self, delivery: Delivery) -> None:
        await delivery.line.send_again(delivery)
        log.warning("receiver.sent_again", returns=delivery.returns)

    def _acknowledge(self, batch: Sequence[Delivery]) -> None:
        for line in {one.line for one in batch}:
            line.acknowledge([one for one in batch if one.line is line])

    async def _watch(self) -> None:
        """Stop taking while the store has no room or is away: what waits in the queue is safe, and not counted."""
        while not self._stopping:
            try:
                await self._room.look()
                self._turn(wanted=not self._room.full)
            except StoreUnavailable as error:
                log.warning("receiver.unavailable", error=str(error))
                self._turn(wanted=False)
            except Exception:
                log.exception("receiver.failed")
            await asyncio.sleep(LOOK)

    def _turn(self, *, wanted: bool) -> None:
        if wanted is self._open:
            return
        self._open = wanted
        self._came.set()
        if self._line is not None:
            self._line.consume(wanted=wanted)
