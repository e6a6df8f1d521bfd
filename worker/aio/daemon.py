"""Runs blocking code in threads of our own, which never delay the exit of the process.

`asyncio.to_thread` would wait for a free thread of the host's, take it away from the host, and fail while the
interpreter exits.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, TypeVar

Result = TypeVar("Result")

EXITS = "interpreter shutdown"
"""In the text of Python's error, from 3.12 on, when no thread starts any more."""


@dataclass(slots=True)
class Call:
    """A call of a function, made in another thread than the loop that waits for it."""

    function: Callable[[], Any]
    ended: Callable[[], None]
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    context: Context = field(default_factory=copy_context)
    future: asyncio.Future[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.future = self.loop.create_future()

    def make(self) -> None:
        """Call the function, unless nobody waits for it any more, and tell the loop that it has ended."""
        result, error = (None, None) if self.future.done() else outcome(self.context, self.function)
        with suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self._settle, result, error)

    def _settle(self, result: object, error: Exception | None) -> None:
        self.ended()
        if self.future.done():
            return
        if error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class Threads:
    """At most `limit` threads for one loop, started on demand and kept for further calls, which wait for their turn.

    They end with this object, or with the process.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._started = 0
        self._open = 0
        """Calls that wait or run, also those that nobody waits for any more. Only the loop counts them."""
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        weakref.finalize(self, self._calls.put, None).atexit = False

    async def run(self, function: Callable[[], Result]) -> Result:
        """Call a function in one of the threads and return its result.

        Cancelling the wait does not stop a function that runs; one that still waits for its turn is not called.
        From Python 3.12 on, no thread starts once the interpreter has begun to exit: then the loop's own thread calls
        the function, and the loop waits for it.
        """
        call = Call(function, self._ended)
        if self._open < self._started or self._started == self._limit or self._start():
            self._calls.put(call)
        else:
            call.make()
        self._open += 1
        return await call.future  # type: ignore[no-any-return]  # the function's result

    def _start(self) -> bool:
        """Start a thread; return whether that was still possible."""
        try:
            threading.Thread(target=work, args=[self._calls], name="canceller-call", daemon=True).start()
        except RuntimeError as error:
            if EXITS not in str(error):
                raise
            return False
        self._started += 1
        return True

    def _ended(self) -> None:
        self._open -= 1


async def in_daemon_thread(function: Callable[[], Result]) -> Result:
    """Call a function in a thread of its own, as `Threads.run` does in one of several."""
    return await Threads(1).run(function)


def work(calls: SimpleQueue[Call | None]) -> None:
    """Make the calls of a queue until there will be no more."""
    while (call := calls.get()) is not None:
        call.make()
        del call  # or it would live on, and all that it refers to, until the next one comes
    calls.put(None)


def outcome(context: Context, function: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """Call a function and return its result, or what is to be raised where that is awaited.

    That is an ordinary exception whatever the function raised: SystemExit would end the loop there, and no future takes
    a StopIteration.
    """
    try:
        return context.run(function), None
    except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            return None, error
        wrapped = RuntimeError(f"a function called in a thread raised {type(error).__name__}")
        wrapped.__cause__ = error
        return None, wrapped
