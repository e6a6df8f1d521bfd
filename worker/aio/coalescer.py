"""Groups single requests: while one group is on its way, the next one gathers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Coalescer(Generic[Item, Result]):
    """Turns many `add` calls into few `flush` calls of `limit` items at most.

    On an idle system an item goes out at once, unless `gather` is set: then a group gathers for that many seconds, or
    until it has `enough` items.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        limit: int = 100,
        *,
        gather: float = 0.0,
        enough: int = 1,
    ) -> None:
        self._flush = flush
        self._limit = limit
        self._gather = gather
        self._enough = enough
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._flusher: asyncio.Task[None] | None = None

    async def add(self, item: Item) -> Result:
        """Send one item with the next group and return its result, or raise what its group raised."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._flusher is None:
            self._soon()
        return await future

    def _soon(self) -> None:
        if len(self._waiting) >= self._enough:
            self._start()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._gather, self._start)

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._run())

    async def aclose(self) -> None:
        """Cancel the group that is on its way, and then everything that waits for a result."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.wait([self._flusher])
        waiting, self._waiting = self._waiting, []
        for _, future in waiting:
            future.cancel()

    async def _run(self) -> None:
        try:
            await asyncio.sleep(0)
            while self._waiting:
                group, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
                await self._send(group)
        finally:
            self._flusher = None

    async def _send(self, group: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._flush([item for item, _ in group])
            pairs = list(zip(group, results, strict=True))
        except asyncio.CancelledError:
            for _, future in group:
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is raised where the results are awaited
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in pairs:
            if not future.done():
                future.set_result(result)
