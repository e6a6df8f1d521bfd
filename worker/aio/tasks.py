"""Ends asyncio tasks for good, and keeps redis-py from swallowing their end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended: redis-py swallows a cancellation that meets a reply."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=0.5)


async def unswallowed(call: Awaitable[Result]) -> Result:
    """Await a call of redis-py; the task is cancelled even if the cancellation meets a reply there.

    redis-py sends inside `asyncio.wait_for`, which on Python 3.11 swallows a cancellation of that moment; the task
    still counts it. For calls whose reply may be lost.
    """
    task = asyncio.current_task()
    # One that was asked for while the task ran is counted already, and comes only now: no public name tells of it.
    coming = bool(getattr(task, "_must_cancel", False))
    asked = task.cancelling() - coming if task else 0
    reply = await call
    if task and task.cancelling() > asked:
        raise asyncio.CancelledError
    return reply
