"""Waits for the end of many cancellations at once: by the events, and by a look at each from time to time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from math import inf

from ..aio.tasks import cancel_all
from ..client.async_client import AsyncClient, Rejected, Result
from ..client.ends import GONE, result_of
from ..errors import NewerFormat, StoreUnavailable, UnknownCancellation, UnreadableRecord
from ..observability.outage import Seldom
from ..protocol.messages import Event
from .options import Seconds

AGAIN = 0.5
"""Seconds after which Redis is asked again."""
LOOK_EVERY = 2.0
"""Seconds between two looks at the records: they find what ended before the events were followed."""
PATIENCE = Seconds(10)
"""Seconds after which an id that nobody knows is told: a command that was just sent is on its way to a worker."""

End = Result | Rejected | UnknownCancellation
Tell = Callable[[str, End], None]
Doubt = Callable[[str], Awaitable[End | None]]
"""Is told an id that is not known after a while, and may return what is to be taken for its end."""
Troubled = Callable[[StoreUnavailable], None]
"""Is told now and then that Redis can't be asked; the wait goes on."""


async def wait_all(wait: Wait, after: str, seconds: float | None, troubled: Troubled) -> None:
    """Wait `seconds` at most; `after` is a position in the events from before the ends were asked for.

    An outage or a failover of Redis is waited out as well.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await _both(wait, after, troubled)


async def _both(wait: Wait, after: str, troubled: Troubled) -> None:
    trouble = Seldom()

    async def persistently(work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await work()
            except StoreUnavailable as error:
                if trouble.due():
                    troubled(error)
            await asyncio.sleep(AGAIN)

    wait.position = after
    tasks = {asyncio.create_task(persistently(work)) for work in (wait.look, wait.follow)}
    done = asyncio.create_task(wait.done.wait())
    try:
        over, _ = await asyncio.wait({done, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in over:
            task.result()
    finally:
        await cancel_all({done, *tasks})


class Wait:
    """The ends of cancellations that are waited for, each named by its id or a command's.

    `references` has with each the digest of its command's content, or nothing, as `AsyncCancellation` has it; `tell` is
    called with each end as it comes, `doubt` once for each id that is still not known after `patience` seconds.
    Rejections up to the position `rejected_after` do not count. `known` are those that are known.
    """

    def __init__(
        self,
        client: AsyncClient,
        references: Mapping[str, str],
        tell: Tell,
        doubt: Doubt,
        patience: float,
        rejected_after: str = "",
    ) -> None:
        self.known: set[str] = set()
        self.done = asyncio.Event()
        self.position = ""
        self._client = client
        self._pending = dict(references)
        self._of: dict[str, set[str]] = defaultdict(set)
        self._tell = tell
        self._doubt = doubt
        self._patience = patience
        self._doubtful: float | None = None
        self._rejected_after = rejected_after

    async def look(self) -> None:
        """Look at every record that is waited for, again and again."""
        loop = asyncio.get_running_loop()
        if self._doubtful is None:
            self._doubtful = loop.time() + self._patience
        while True:
            late = loop.time() >= self._doubtful
            unknown = [reference for reference in list(self._pending) if not await self._known(reference)]
            for reference in self.known.intersection(unknown):
                self._end(reference, UnknownCancellation(GONE))
            if late:
                for reference in unknown:
                    await self._doubted(reference)
                self._doubtful = inf
            await asyncio.sleep(max(0.0, min(LOOK_EVERY, self._doubtful - loop.time())))

    async def _doubted(self, reference: str) -> None:
        end = await self._doubt(reference)
        if end is not None:
            self._end(reference, end)

    async def follow(self) -> None:
        """Follow the events behind `position`."""
        async for position, event in self._client.entries(self.position):
            if event.name == "finished":
                for reference in self._about(event) & self._pending.keys():
                    self._end(reference, result_of(event))
                for reference in set(event.command_ids) & self._pending.keys():
                    await self._known(reference)  # its id may be another command's: the record tells
            elif event.name == "rejected":
                for reference in set(event.command_ids) & self._pending.keys():
                    self._end(reference, Rejected(str(event.data.get("error"))))
            self.position = position

    async def _known(self, reference: str) -> bool:
        try:
            seen = await self._client.get(reference, self._pending.get(reference, ""), self._rejected_after)
        except UnknownCancellation:
            return False
        except Rejected as rejected:
            self._end(reference, rejected)
            return True
        except UnreadableRecord as unreadable:
            self._end(reference, UnknownCancellation(str(unreadable)))
            return True
        except NewerFormat:
            return True  # its worker's events tell how it ends
        self._of[seen.record.cancellation.id].add(reference)
        self.known.add(reference)
        if seen.record.outcome is not None:
            self._end(reference, await self._client.wait(seen.record.cancellation.id))
        return True

    def _about(self, event: Event) -> set[str]:
        """Return the ids by which an event's cancellation is waited for; a command's id may be another's as well."""
        cancellation_id = event.cancellationid or ""
        plain = {one for one in (cancellation_id, *event.command_ids) if not self._pending.get(one)}
        return plain | self._of[cancellation_id]

    def _end(self, reference: str, end: End) -> None:
        if reference not in self._pending:
            return
        del self._pending[reference]
        self._tell(reference, end)
        if not self._pending:
            self.done.set()
