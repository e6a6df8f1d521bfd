"""Runs blocking code in threads of our own, which never delay the exit of the process.

`asyncio.to_thread` would wait for a free thread of the host's, take it away from the host, and fail while the
interpreter exits.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import TypeVar

Result = TypeVar("Result")


async def in_daemon_thread(function: Callable[[], Result]) -> Result:
    """Call a function in a thread of its own and return its result; cancelling the wait does not stop the thread.

    From Python 3.12 on, no thread starts once the main thread and all others but the daemons have ended: then the loop
    waits for the function.
    """
    context, loop = copy_context(), asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # None only if it is the result

    def run() -> None:
        result, failed = None, None
        try:
            result = context.run(function)
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
            failed = error
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, result, failed)

    try:
        threading.Thread(target=run, name="canceller-call", daemon=True).start()
    except RuntimeError:
        if threading.main_thread().is_alive():
            raise
        run()
    return await future


class Threads:
    """Threads that run `limit` functions at once, in one loop; further ones wait for their turn."""

    def __init__(self, limit: int) -> None:
        self._free = asyncio.Semaphore(limit)

    async def run(self, function: Callable[[], Result]) -> Result:
        """Call a function as `in_daemon_thread` does."""
        async with self._free:
            return await in_daemon_thread(function)
