"""Runs an asyncio loop beside synchronous code, also in forked children."""

from __future__ import annotations

import asyncio
import os
import selectors
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Executor, Future
from functools import cache, partial
from typing import Any, TypeVar, TypeVarTuple, Unpack

from .daemon import Threads
from .tasks import cancel_all

Result = TypeVar("Result")
Given = TypeVarTuple("Given")
Ending = Callable[[], Coroutine[Any, Any, object]]

CLOSING = 5.0
"""Seconds that `close` waits; what takes longer goes on by itself."""
THREADS = 32
"""Names that a loop resolves at once, as many as asyncio's default executor would; further ones wait."""


class Loop(asyncio.SelectorEventLoop):
    """A loop that resolves names, and does all that asyncio leaves to threads, while the interpreter exits, too.

    The threads of asyncio's default executor take nothing on from then on.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        super().__init__(selector)
        self._threads = Threads(THREADS)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Given]], Result], *args: *Given
    ) -> asyncio.Future[Result]:
        """Call a function in an executor, or else in one of the loop's own threads."""
        if executor is not None:
            return super().run_in_executor(executor, func, *args)
        return self.create_task(self._threads.run(partial(func, *args)))


class LoopThread:
    """An asyncio loop in a thread of its own, which the first call starts.

    A forked child has none of its parent's threads: there the next call starts a loop and a thread anew.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.started: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None
        """The loop and its thread in this process, None before the first call and after `close`."""
        self._selector: selectors.BaseSelector | None = None
        self._closed = False
        self._last: Ending | None = None
        self._failure: Exception | None = None
        self._lock = threading.RLock()  # a signal's handler may use what its thread is just using
        notice_forks()
        threads.add(self)

    def call(self, work: Coroutine[Any, Any, Result], timeout: float | None = None) -> Result:
        """Run a coroutine in the loop and wait for it, `timeout` seconds at most.

        Without a timeout, whatever interrupts the wait (Ctrl-C, a task's time limit) ends the coroutine as well.

        Raises:
            RuntimeError: it is closed, or was closed before the coroutine ended.

        """
        future = self.begin(work)
        try:
            return future.result(timeout)
        except CancelledError:
            if self._closed:
                raise self.closed_error() from None
            raise
        except BaseException:
            if timeout is None:
                future.cancel()
            raise

    def begin(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Run a coroutine in the loop; its future can be cancelled, and `close` cancels it."""
        try:
            with self._lock:  # held until the loop knows of the coroutine, or `close` might overlook it
                return asyncio.run_coroutine_threadsafe(work, self._running_loop())
        except BaseException:
            work.close()
            raise

    def close(self, last: Ending | None = None) -> None:
        """Cancel what runs in the loop, run `last` there, and end the loop and its thread.

        Whoever waits for what is cancelled gets a RuntimeError. If several threads close it, the first one's `last`
        runs, and each returns once all of that is done. Raises what `last` raised.
        """
        with self._lock:
            first, self._closed = not self._closed, True
            if self.started is None:
                return
            loop, thread = self.started
            if first:
                self._last = last
                loop.call_soon_threadsafe(loop.stop)
        thread.join(CLOSING)
        if first and self._failure is not None:
            raise self._failure

    def closed_error(self) -> RuntimeError:
        """Return what is raised once it is closed."""
        return RuntimeError(f"{self._name} is closed")

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_forever()
        try:
            loop.run_until_complete(self._end(loop))
        except Exception as error:  # noqa: BLE001 - `close` raises it
            self._failure = error
        with self._lock:
            self.started = self._selector = None
        loop.close()

    async def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        this = {asyncio.current_task()}
        while left := asyncio.all_tasks() - this:
            await cancel_all(left)
        await loop.shutdown_asyncgens()
        if self._last is not None:
            await self._last()

    def start_anew(self) -> None:
        """Forget, in a forked child, the loop and thread that only the parent has."""
        self._lock = threading.RLock()  # another thread of the parent's may have held it
        if self.started is not None:
            inherited.append(self.started)
        if self._selector is not None:
            divert(self._selector)
        self.started = self._selector = None

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._closed:
            raise self.closed_error()
        if self.started is None:
            # Not `new_event_loop`: the policy and the current loop of this process belong to the user.
            self._selector = selectors.DefaultSelector()
            loop = Loop(self._selector)
            thread = threading.Thread(target=self._serve, args=[loop], name=self._name, daemon=True)
            try:
                thread.start()
            except BaseException:
                loop.close()
                raise
            self.started = loop, thread
        return self.started[0]


threads: weakref.WeakSet[LoopThread] = weakref.WeakSet()
inherited: list[object] = []
"""What a forked child must neither use nor clean up: finalizing it might send data on the parent's connections."""


@cache
def notice_forks() -> None:
    """Have each forked child start its loops anew. Nothing is registered before the first `LoopThread` is made."""

    def start_anew() -> None:
        for thread in list(threads):
            thread.start_anew()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=start_anew)


def divert(selector: selectors.BaseSelector) -> None:
    """Point a loop's file descriptors to the null device, in a forked child.

    Parent and child share the open files behind them. What remains of the loop in the child might still close a TLS
    connection cleanly or unregister a socket, which would affect the parent.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    for key in list(selector.get_map().values()):
        os.dup2(nothing, key.fd, inheritable=False)
    os.close(nothing)
    if hasattr(selector, "fileno"):
        with selectors.DefaultSelector() as fresh:
            os.dup2(fresh.fileno(), selector.fileno(), inheritable=False)
