"""An event loop whose clock jumps ahead: sleeping for hours takes no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class Jumping(selectors.DefaultSelector):
    """Never waits: the time for which it was asked to wait has passed at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let the time pass, and return what is ready."""
        assert timeout is not None, "everything sleeps, and no timer will end that"
        self.now += timeout
        return list(super().select(0))


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop with the clock of its selector."""

    def __init__(self) -> None:
        self._jumping = Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the seconds that have passed."""
        return self._jumping.now


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in a loop whose clock starts at 0 and jumps."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(work)
