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
        self._selectors: set[selectors.BaseSelector] = set()
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
            with self._lock:  # held until the loop knows of the coroutine, or a `close` elsewhere might overlook it
                loop, thread = self._running()
                future = asyncio.run_coroutine_threadsafe(work, loop)
        except BaseException as error:
            work.close()
            if self._closed and isinstance(error, RuntimeError):  # the loop is closed
                raise self.closed_error() from None
            raise
        if self._closed:  # by a signal's handler in this thread, perhaps before the loop knew of the coroutine
            future.cancel()
            if not thread.is_alive():
                work.close()
        return future

    def close(self, last: Ending | None = None) -> None:
        """Cancel what runs in the loop, run `last` there, and end the loop and its thread.

        Whoever waits for what is cancelled gets a RuntimeError. If several threads close it, the first one's `last`
        runs, and each returns once all of that is done. Raises what `last` raised. Within the loop it only begins all
        of that, and returns.
        """
        with self._lock:
            first, self._closed = not self._closed, True
            started = self.started
            if started is None:
                return
            loop, thread = started
            if first:
                self._last = last
                loop.call_soon_threadsafe(loop.stop)
        if thread is not threading.current_thread():
            thread.join(CLOSING)
        if first and self._failure is not None:
            raise self._failure

    def closed_error(self) -> RuntimeError:
        """Return what is raised once it is closed."""
        return RuntimeError(f"{self._name} is closed")

    def _serve(self, loop: asyncio.AbstractEventLoop, selector: selectors.BaseSelector) -> None:
        loop.run_forever()
        # Without the lock: a signal's handler may wait for this thread while its own holds it.
        started = self.started
        ours = started is not None and started[0] is loop
        try:
            loop.run_until_complete(end(loop, self._last if ours else None))
        except Exception as error:  # noqa: BLE001 - `close` raises it
            self._failure = error
        if ours:
            self.started = None
        self._selectors.discard(selector)
        loop.close()

    def start_anew(self) -> None:
        """Forget, in a forked child, the loop and thread that only the parent has."""
        self._lock = threading.RLock()  # another thread of the parent's may have held it
        if self.started is not None:
            inherited.append(self.started)
        for selector in self._selectors:
            divert(selector)
        self._selectors.clear()
        self.started = None

    def _running(self) -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
        if not self._closed and self.started is None:
            self._start()
        started = self.started
        if self._closed or started is None:
            raise self.closed_error()
        return started

    def _start(self) -> None:
        # Not `new_event_loop`: the policy and the current loop of this process belong to the user.
        selector = selectors.DefaultSelector()
        loop = Loop(selector)
        thread = threading.Thread(target=self._serve, args=[loop, selector], name=self._name, daemon=True)
        self._selectors.add(selector)
        try:
            thread.start()
        except RuntimeError:  # it could not be started
            self._selectors.discard(selector)
            loop.close()
            raise
        except BaseException:  # raised by a signal's handler; the thread may run already, or soon
            loop.call_soon_threadsafe(loop.stop)
            raise
        if self._closed or self.started is not None:  # a signal's handler has closed this, or has started a loop
            loop.call_soon_threadsafe(loop.stop)
        else:
            self.started = loop, thread


async def end(loop: asyncio.AbstractEventLoop, last: Ending | None) -> None:
    """Cancel all other tasks of the running loop, then run `last`."""
    this = {asyncio.current_task()}
    while left := asyncio.all_tasks() - this:
        await cancel_all(left)
    await loop.shutdown_asyncgens()
    if last is not None:
        await last()


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
