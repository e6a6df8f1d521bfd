"""Delivers a chunk of messages: each is stored or rejected; backpressure pauses intake while Redis is nearly full."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from ..domain.errors import StoreUnavailable
from .decoder import Item, unreadable

log = structlog.get_logger(__name__)

Handle = Callable[[Sequence[Item]], Awaitable[None]]
Fullness = Callable[[], Awaitable[float]]

CHUNK = 200
CHUNK_BYTES = 4 * 1024 * 1024
"""Limits of one chunk of messages: a worker that decodes for too long looks dead to the others."""
FULL = 0.9
"""Above this share of the store's memory nothing new is taken in, so that open work can still be written."""


@dataclass(slots=True)
class Backpressure:
    """Whether the store is too full to take in anything new; `fullness` is the share of its memory in use."""

    fullness: Fullness
    problem: str = ""
    """Why nothing new is taken in; empty if it is."""

    async def look(self) -> None:
        """Look at the store's memory, and log when intake is paused or resumed.

        Raises:
            StoreUnavailable: the store can't be asked.

        """
        used = await self.fullness()
        full = used > FULL
        if full is bool(self.problem):
            return
        self.problem = f"nothing new is taken in: over {FULL:.0%} of Redis's maxmemory is in use" if full else ""
        event = "intake.paused" if full else "intake.resumed"
        log.warning(event, used=round(used, 3), reason=f"nothing new is taken in over {FULL:.0%} of maxmemory")


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that was taken off a queue: its bytes, for the dead letter of one that fails, and what it asks for."""

    raw: bytes
    item: Item


async def settle(messages: Sequence[Taken], handle: Handle) -> None:
    """Do what messages ask for.

    Raises:
        StoreUnavailable: the store did not take all of it; doing it again is harmless.

    """
    try:
        await handle([message.item for message in messages])
    except StoreUnavailable:
        raise
    except Exception:
        log.exception("intake.batch_failed", messages=len(messages))
    else:
        return
    for message in messages:  # one by one, so that none stops those after it; one that fails on its own is rejected
        try:
            await handle([message.item])
        except StoreUnavailable:
            raise
        except Exception as error:
            log.exception("intake.message_failed")
            await handle([unreadable(message.raw, f"{type(error).__name__} while it was taken in")])
