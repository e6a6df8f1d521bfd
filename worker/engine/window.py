"""What one worker has in flight on one backend: passes, and claims on their way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

UNCOUNTED_POLLS = 32
"""Up to this many piggy-backed polls take no slot. Any beyond that do, so that interactive work is not delayed."""


class Window:
    """Counts passes against `slots`, and lets them end; `on_end` is called after each of them."""

    def __init__(self, slots: int, on_end: Callable[[], None]) -> None:
        self.slots = slots
        self.batch = 0
        """Running passes of the batch lane that take a slot."""
        self.passes: set[asyncio.Task[None]] = set()
        """Running passes, piggy-backed polls not counted."""
        self._on_end = on_end
        self._polls: set[asyncio.Task[None]] = set()
        self._claims = 0
        self._no_claims = asyncio.Event()
        self._no_claims.set()

    @property
    def busy(self) -> int:
        """How many slots are taken."""
        return len(self.passes) + max(0, len(self._polls) - UNCOUNTED_POLLS)

    @property
    def free(self) -> int:
        """How many slots are free: below zero if more piggy-backed polls were started than there was room for."""
        return self.slots - self.busy

    def start(self, one: Coroutine[Any, Any, None], *, piggy_backed: bool) -> None:
        """Start a pass; `piggy_backed` says whether it is a poll without a permit of its own."""
        task = asyncio.create_task(one)
        (self._polls if piggy_backed else self.passes).add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.passes.discard(task)
        self._polls.discard(task)
        self._on_end()

    @contextmanager
    def claiming(self) -> Iterator[None]:
        """Hold up `drain` until what is claimed in this block has been started."""
        self._claims += 1
        self._no_claims.clear()
        try:
            yield
        finally:
            self._claims -= 1
            if not self._claims:
                self._no_claims.set()

    async def drain(self, seconds: float) -> set[asyncio.Task[None]]:
        """Let claims and passes end; return the passes that are still running after `seconds`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._no_claims.wait()
        if not (passes := self.passes | self._polls):
            return set()
        _, late = await asyncio.wait(passes, timeout=max(0.0, until - loop.time()))
        return late
