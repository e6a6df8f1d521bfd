"""What becomes of messages that were taken: all that they ask for is stored, or they are refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from ..errors import StoreUnavailable
from .decoder import Item, unreadable

log = structlog.get_logger(__name__)

Handle = Callable[[Sequence[Item]], Awaitable[None]]
Fullness = Callable[[], Awaitable[float]]

BATCH = 200
BATCH_BYTES = 4 * 1024 * 1024
"""How much is settled in one go: a worker that reads for too long looks dead to the others."""
FULL = 0.9
"""The share of the store's memory over which nothing new is taken in, so that open work can still be written."""


class Backpressure:
    """Whether the store has room for anything new."""

    def __init__(self, fullness: Fullness) -> None:
        self.full = False
        self._fullness = fullness

    async def look(self) -> None:
        """Look again, and say so when that has changed.

        Raises:
            StoreUnavailable: the store can't be asked.

        """
        fullness = await self._fullness()
        if (fullness > FULL) is self.full:
            return
        self.full = not self.full
        event = "intake.paused" if self.full else "intake.resumed"
        log.warning(event, used=round(fullness, 3), reason=f"nothing new is taken in over {FULL:.0%} of maxmemory")


class Message(Protocol):
    """A message that was taken off a queue."""

    @property
    def raw(self) -> bytes:
        """What came."""

    @property
    def item(self) -> Item:
        """What it asks for."""


async def settle(messages: Sequence[Message], handle: Handle) -> None:
    """Do what messages ask for.

    Raises:
        StoreUnavailable: the store did not take all of it; doing it again is harmless.

    """
    try:
        await handle([message.item for message in messages])
    except StoreUnavailable:
        raise
    except Exception:
        # No message may stop those behind it: one by one, and what fails by itself is refused.
        log.exception("intake.batch_failed", messages=len(messages))
        for message in messages:
            await _settle_alone(message, handle)


async def _settle_alone(message: Message, handle: Handle) -> None:
    try:
        await handle([message.item])
    except StoreUnavailable:
        raise
    except Exception as error:
        log.exception("intake.message_failed")
        await handle([unreadable(message.raw, f"{type(error).__name__} while it was taken in")])
