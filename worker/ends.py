"""How cancellations end, for those who wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from worker.errors import CommandConflict, Permanent, Temporary, UnknownCancellation
from worker.message_notes import MessageNotes
from worker.messages import Event
from worker.records import Snapshot
from worker.store import Store
from worker.watch import Watch

LOOK_AGAIN = 10.0
"""Seconds after which a record is looked at again though no event was about it: events can get lost with a Redis."""
LOOKS = 16
"""Records that one process looks at at once, each over a connection of its own."""


class StillOpen(Temporary, TimeoutError):
    """The wait ended before the cancellation did; it goes on."""


class Rejected(Permanent):
    """The command was refused; the text is the `rejected` event's reason."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a cancellation ended; `data` is that of its `finished` event."""

    cancellation_id: str
    outcome: str
    evidence: str
    safe_to_rerun: bool
    detail: str
    data: Mapping[str, Any]


class Ends:
    """Looks at what has become of commands, and waits for their ends."""

    def __init__(self, store: Store, notes: MessageNotes) -> None:
        self.notes = notes
        self.watch = Watch(store)
        self._store = store
        self._looks = asyncio.Semaphore(LOOKS)

    async def get(self, reference: str, digest: str = "", after: str = "") -> Snapshot:
        """Return what is known of a cancellation, as `AsyncClient.get` does."""
        try:
            return await self._store.get(await self._store.resolve(reference, digest))
        except CommandConflict as conflict:
            raise Rejected(str(conflict)) from None
        except UnknownCancellation:
            refusal = await self.notes.refusal(reference, after)
            if not refusal:
                raise
        raise Rejected(refusal)

    async def look(self, reference: str, digest: str = "", after: str = "") -> Snapshot | Result:
        """Return the end of a cancellation, or what is known of it while it is open; raises as `get` does."""
        async with self._looks:
            seen = await self.get(reference, digest, after)
            if seen.record.outcome is None:
                return seen
            return result_of(seen, await self._store.event(seen.record.last_event))

    async def wait(self, reference: str, timeout: float | None, after: str, digest: str) -> Result:  # noqa: ASYNC109 - as `Client` has it
        """Wait for an end, as `AsyncClient.wait` does."""
        loop = asyncio.get_running_loop()
        deadline = inf if timeout is None else loop.time() + timeout
        async with self.watch.waiter(reference) as waiter:
            while True:
                await waiter.listen()
                try:
                    found = await self.look(reference, digest, after)
                except UnknownCancellation:
                    pass  # No worker has taken it in yet.
                else:
                    if isinstance(found, Result):
                        return found
                    waiter.called(found.record.cancellation.id)  # the events of many commands do not name all of them
                left = deadline - loop.time()
                if left <= 0:
                    raise StillOpen(f"{reference} is still open after {timeout:g} s; it goes on")
                await waiter.wait(min(LOOK_AGAIN, left))


def result_of(seen: Snapshot, event: Event | None) -> Result:
    """Put a finished cancellation into words; its event may be past its retention."""
    data: Mapping[str, Any] = event.data if event else {}
    return Result(
        cancellation_id=seen.record.cancellation.id,
        outcome=str(seen.record.outcome),
        evidence=str(data.get("evidence", "unknown")),
        safe_to_rerun=bool(data.get("safe_to_rerun", False)),
        detail=str(data.get("detail", "")),
        data=data,
    )
