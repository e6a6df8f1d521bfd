"""What every kind of sink can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from .tries import Failure


class Message(NamedTuple):
    """An event as it is delivered: its id, and its JSON as it lies in the stream."""

    id: str
    body: bytes


class Receiver(Protocol):
    """Where events arrive: `max_in_flight` deliveries may be under way at once, each of `at_once` events at most."""

    max_in_flight: int
    at_once: int

    async def deliver(self, messages: Sequence[Message]) -> Sequence[Failure | None]:
        """Deliver events in bounded time; return for each why it did not arrive, None if it did.

        Raises nothing that a receiver or a network causes.
        """

    async def reach(self) -> str:
        """Check, without an event, that the receiver can be reached, and say so in words.

        Raises:
            CancellerError: the text says why it can't.

        """

    async def aclose(self) -> None:
        """Close all connections."""
