"""Cancels asyncio tasks reliably, although redis-py may swallow a cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended: redis-py swallows a cancellation that arrives together with a reply."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=0.5)


async def unswallowed(call: Awaitable[Result]) -> Result:
    """Await a call of redis-py; the task is cancelled even if the cancellation arrives together with a reply.

    redis-py sends inside `asyncio.wait_for`, which on Python 3.11 swallows a cancellation at that moment; the task
    still counts it. Use this for calls whose reply may be lost.
    """
    task = asyncio.current_task()
    # A cancellation requested while the task ran is counted already but raised only now; no public API shows that.
    coming = bool(getattr(task, "_must_cancel", False))
    asked = task.cancelling() - coming if task else 0
    reply = await call
    if task and task.cancelling() > asked:
        raise asyncio.CancelledError
    return reply
