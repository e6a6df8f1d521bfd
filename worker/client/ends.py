"""How cancellations end, for those who wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Any, TypeAlias, TypeVar

from ..aio.tasks import cancel_all
from ..domain.errors import (
    CommandConflict,
    NewerFormat,
    Permanent,
    StoreUnavailable,
    Temporary,
    UnknownCancellation,
    UnreadableRecord,
)
from ..store.codec import Snapshot
from ..store.message_notes import MessageNotes
from ..store.store import Store
from .watch import Waiter, Watch

LOOK_AGAIN = 10.0
"""Seconds after which a record is looked at again even without an event: a Redis that fails can lose events."""
ANSWER = 1.0
"""Seconds that Redis has to answer even if a wait's timeout is shorter: such a wait lasts this long at most."""
LOOKS = 16
"""Records that one process looks at concurrently, each over a connection of its own."""
RETRY_AFTER = 0.5
"""Seconds after which Redis is asked again if it could not be reached."""

GONE = "its record was there and is gone: Redis lost it, or it ended and its retention is over"
UNKNOWN_STILL = "is not known after {:g} s: no worker has taken it in yet (is one running?), or nothing has this id"


class StillOpen(Temporary, TimeoutError):
    """The wait ended before the cancellation did; the cancellation goes on."""


class Rejected(Permanent):
    """The command was rejected; the text is the `rejected` event's reason."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a cancellation ended; `data` is the data of its `finished` event."""

    cancellation_id: str
    outcome: str
    evidence: str
    safe_to_rerun: bool
    detail: str
    data: Mapping[str, Any]


End: TypeAlias = Result | Rejected | UnknownCancellation
"""How one of many waits ends; UnknownCancellation if its record is lost or can't be read."""
MessageEnd: TypeAlias = Result | list[Result | Rejected]
"""The end of a message's command, or the ends of all its commands in their order."""
Found = TypeVar("Found", bound=Result | int)


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
            reason = await self.notes.rejection(reference, after)
            if not reason:
                raise
        raise Rejected(reason)

    async def look(self, reference: str, digest: str = "", after: str = "") -> Snapshot | Result:
        """Return the end of a cancellation, or what is known of it while it is open; raises as `get` does."""
        async with self._looks:
            seen = await self.get(reference, digest, after)
            if seen.record.outcome is None:
                return seen
            event = await self._store.event(seen.record.last_event)
            return result_of(seen.record.cancellation.id, str(seen.record.outcome), event.data if event else {})

    async def wait(self, reference: str, timeout: float | None, digest: str = "", after: str = "") -> Result:  # noqa: ASYNC109 - as `Client` has it
        """Wait for an end, as `AsyncClient.wait` does."""

        async def look() -> Snapshot | Result | None:
            with suppress(UnknownCancellation):  # No worker has taken it in yet.
                return await self.look(reference, digest, after)
            return None

        return await self._awaited(reference, look, timeout)

    async def wait_many(
        self,
        references: Mapping[str, str],
        patience: float,
        outage: Callable[[StoreUnavailable], None],
        after: str = "",
    ) -> AsyncGenerator[tuple[str, Snapshot | End | None], None]:
        """Wait for many ends at once; yield each as it comes, with its reference.

        `references` maps the id of each cancellation or command to the digest of its command's content, or to nothing.
        A Snapshot is yielded once, when a cancellation is first seen open; None once, if an id is still not known after
        `patience` seconds. Neither ends the wait for it. If Redis can't be reached, that is reported to `outage` and
        the wait goes on. Rejections up to the position `after` do not count.
        """
        found: asyncio.Queue[tuple[str, Snapshot | End | None] | asyncio.Task[None]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        async def follow(reference: str, digest: str) -> None:
            doubtful = loop.time() + patience
            async with self.watch.waiter(reference) as waiter:
                while True:
                    late, known = loop.time() >= doubtful, waiter.known
                    try:
                        seen = await self._look_for(waiter, reference, digest, after)
                    except StoreUnavailable as error:
                        outage(error)
                        await asyncio.sleep(RETRY_AFTER)
                        continue
                    if not known if isinstance(seen, Snapshot) else seen is not None or (late and not waiter.known):
                        found.put_nowait((reference, seen))
                    if isinstance(seen, End):
                        return
                    doubtful = inf if late else doubtful
                    await waiter.wait(min(LOOK_AGAIN, doubtful - loop.time()))

        waits = {asyncio.create_task(follow(*one)) for one in references.items()}
        for wait in waits:
            wait.add_done_callback(found.put_nowait)
        try:
            for _ in waits:
                while not isinstance(one := await found.get(), asyncio.Task):
                    yield one
                one.result()  # raises the error that ended this wait, if one did
        finally:
            await cancel_all(waits)

    async def _look_for(self, waiter: Waiter, reference: str, digest: str, after: str) -> Snapshot | End | None:
        """Look as `look` does, but also return the errors that end a wait, and None while nothing is known."""
        event = waiter.finished
        if event is not None:  # with a digest, a command's id may be another command's: then the record decides
            named = {event.cancellationid} if digest else {event.cancellationid, *event.command_ids}
            if named & waiter.names:
                return result_of(event.cancellationid or "", event.outcome or "", event.data)
        await self.watch.listen(waiter)
        try:
            seen = await self.look(reference, digest, after)
        except UnknownCancellation:
            return UnknownCancellation(GONE) if waiter.known else None
        except Rejected as rejected:
            return rejected
        except UnreadableRecord as unreadable:
            return UnknownCancellation(str(unreadable))
        except NewerFormat:
            waiter.known = True  # it was written by a newer worker, whose `finished` event can be read
            return None
        if isinstance(seen, Snapshot):
            waiter.identify(seen.record.cancellation.id)
        return seen

    async def look_at_message(self, message_id: str) -> Snapshot | MessageEnd | int | None:
        """Return what is known of a message's command: its end, its cancellation, or nothing.

        For a message of several commands, return their ends in order, or their number while some are open.

        Raises:
            Rejected: the message was rejected.
            UnknownCancellation: its commands have ids of their own.

        """
        known = await self._known(message_id)
        if not isinstance(known, int):
            return known
        looks = (self.look(f"{message_id}:{index}") for index in range(known))
        found = await asyncio.gather(*looks, return_exceptions=True)
        ends = [one for one in found if isinstance(one, Result | Rejected)]
        for one in found:
            if isinstance(one, BaseException) and not isinstance(one, Rejected | UnknownCancellation):
                raise one
        return ends if len(ends) == known else known

    async def end_of_message(self, message_id: str) -> MessageEnd:
        """Wait for the end of a message's command, or for those of all its commands; raises as `look_at_message`."""
        known = await self._awaited(message_id, lambda: self._known(message_id))
        if not isinstance(known, int):
            return known
        return list(await asyncio.gather(*(self._end_of_one(f"{message_id}:{index}") for index in range(known))))

    async def _end_of_one(self, command_id: str) -> Result | Rejected:
        try:
            return await self.wait(command_id, None)
        except Rejected as rejected:
            return rejected

    async def _known(self, message_id: str) -> Snapshot | Result | int | None:
        with suppress(UnknownCancellation):
            return await self.look(message_id)
        return await self.notes.counted(message_id)

    async def _awaited(
        self,
        reference: str,
        look: Callable[[], Awaitable[Snapshot | Found | None]],
        timeout: float | None = None,  # noqa: ASYNC109 - as `Client` has it
    ) -> Found:
        """Look whenever an event is about a name, until something other than an open cancellation is found.

        Raises:
            StillOpen: nothing else was found in time.
            UnknownCancellation: the cancellation was known but is gone.

        """
        loop = asyncio.get_running_loop()
        deadline = inf if timeout is None else loop.time() + timeout
        known = False
        with suppress(TimeoutError):
            async with (
                self.watch.until_closed(),
                asyncio.timeout(None if timeout is None else max(timeout, ANSWER)),
                self.watch.waiter(reference) as waiter,
            ):
                left = inf
                while left > 0:
                    await self.watch.listen(waiter)
                    found = await look()
                    if isinstance(found, Snapshot):
                        known = True
                        waiter.identify(found.record.cancellation.id)
                    elif found is not None:
                        return found
                    elif known:
                        raise UnknownCancellation(f"{reference}: {GONE}")
                    left = deadline - loop.time()
                    await waiter.wait(min(LOOK_AGAIN, left))
        what = "is still open after {:g} s; it goes on" if known else UNKNOWN_STILL
        raise StillOpen(f"{reference} {what.format(timeout)}")


def result_of(cancellation_id: str, outcome: str, data: Mapping[str, Any]) -> Result:
    """Read the end of a cancellation; `data` is empty once its event is past its retention."""
    return Result(
        cancellation_id=cancellation_id,
        outcome=outcome,
        evidence=str(data.get("evidence", "unknown")),
        safe_to_rerun=bool(data.get("safe_to_rerun", False)),
        detail=str(data.get("detail") or ""),
        data=data,
    )
