"""What every kind of sink can do."""

from __future__ import annotations

from typing import Protocol

from .tries import Failure


class Receiver(Protocol):
    """Where events arrive. `max_in_flight` is how many deliveries may be under way at once."""

    max_in_flight: int

    async def deliver(self, event_id: str, body: bytes) -> Failure | None:
        """Deliver an event in bounded time; return why it did not arrive, None if it did.

        Raises nothing that a receiver or a network causes.
        """

    async def reach(self) -> str:
        """Say in words that the receiver can be reached, without an event.

        Raises:
            CancellerError: it can't, and why.

        """

    async def aclose(self) -> None:
        """Close all connections."""
