"""Keeps the result of slow work for a while; however many callers ask, the work runs once at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf
from typing import Generic, TypeVar

from .tasks import cancel_all

Result = TypeVar("Result")


class Cached(Generic[Result]):
    """The latest result of `work`, which starts again `for_seconds` after it last started, at the earliest.

    Work that takes long is done less often: it runs for at most one part in `share` of the time. A caller waits for it
    up to `patience` seconds, and then gets the previous result.
    """

    def __init__(
        self, work: Callable[[], Awaitable[Result]], *, for_seconds: float, patience: float, share: float = 5.0
    ) -> None:
        self._work = work
        self._for_seconds = for_seconds
        self._patience = patience
        self._share = share
        self._fresh_until = -inf
        self._latest: asyncio.Future[Result] | None = None
        self._running: asyncio.Task[Result] | None = None

    async def get(self) -> Result:
        """Return the result, or raise what the work raised.

        Raises:
            TimeoutError: there is no result yet.

        """
        if self._running is None and asyncio.get_running_loop().time() >= self._fresh_until:
            self._running = asyncio.create_task(self._run())
            self._running.add_done_callback(self._ended)
        if self._running is not None:
            await asyncio.wait([self._running], timeout=self._patience)
        if self._latest is None:
            raise TimeoutError
        return self._latest.result()

    async def aclose(self) -> None:
        """Cancel the work under way."""
        if self._running is not None:
            await cancel_all([self._running])

    async def _run(self) -> Result:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            return await self._work()
        finally:
            self._fresh_until = max(began + self._for_seconds, loop.time() + (self._share - 1) * (loop.time() - began))

    def _ended(self, task: asyncio.Task[Result]) -> None:
        self._running = None
        if not task.cancelled():
            self._latest = task
            with suppress(Exception):
                task.exception()  # marks it as retrieved, so that asyncio does not complain
