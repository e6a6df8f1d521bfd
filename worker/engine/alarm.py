"""When to claim again: the earliest time that anyone asked for."""

from __future__ import annotations

import asyncio
from math import inf


class Alarm:
    """Wakes one sleeper at the earliest time that it was set to; times are those of the loop's clock."""

    def __init__(self) -> None:
        self.at = 0.0
        """When it goes off; `inf` if nobody has set it since it last did. A new one goes off at once."""
        self._moved = asyncio.Event()

    def wake(self, seconds: float = -inf, *, not_before: float = 0.0) -> None:
        """Go off in some seconds, by default at once, or at `not_before` if that is later; an earlier time stays."""
        at = max(asyncio.get_running_loop().time() + seconds, not_before)
        if at < self.at:
            self.at = at
            self._moved.set()

    async def sleep(self) -> None:
        """Sleep until it goes off, and reset it."""
        loop = asyncio.get_running_loop()
        while self.at > loop.time():
            self._moved.clear()
            try:
                async with asyncio.timeout_at(None if self.at == inf else self.at):
                    await self._moved.wait()
            except TimeoutError:
                break
        self.at = inf
