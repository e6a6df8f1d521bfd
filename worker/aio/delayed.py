"""Starts work after a while, unless it is called off first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Delayed(Generic[Result]):
    """Work that starts after a delay in seconds, and only then as a task; cancelling `timer` keeps it from starting."""

    __slots__ = ("_task", "_work", "timer")

    def __init__(self, seconds: float, work: Callable[[], Coroutine[Any, Any, Result]]) -> None:
        self._work = work
        self._task: asyncio.Task[Result] | None = None
        self.timer = asyncio.get_running_loop().call_later(seconds, self._start)

    def _start(self) -> None:
        self._task = asyncio.create_task(self._work())

    async def call_off(self) -> Result | None:
        """Call the work off and return None; if it has been started, wait for it and return its result."""
        self.timer.cancel()
        return await self._task if self._task else None
