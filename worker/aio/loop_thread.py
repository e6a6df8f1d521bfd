"""Runs an asyncio loop beside synchronous code, also in forked children."""

from __future__ import annotations

import asyncio
import os
import selectors
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import Future
from functools import cache
from typing import Any, TypeVar

Result = TypeVar("Result")


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
        self._lock = threading.Lock()
        notice_forks()
        threads.add(self)

    def call(self, work: Coroutine[Any, Any, Result], timeout: float | None = None) -> Result:
        """Run a coroutine in the loop and wait for it, `timeout` seconds at most.

        Without a timeout, whatever interrupts the wait (Ctrl-C, a task's time limit) ends the coroutine as well.
        """
        future = self.begin(work)
        try:
            return future.result(timeout)
        except BaseException:
            if timeout is None:
                future.cancel()
            raise

    def begin(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Run a coroutine in the loop; its future can be cancelled."""
        try:
            loop = self._running_loop()
        except BaseException:
            work.close()
            raise
        return asyncio.run_coroutine_threadsafe(work, loop)

    def close(self) -> None:
        """End the loop and its thread."""
        with self._lock:
            self._closed = True
            started, self.started = self.started, None
        if started is None:
            return
        loop, thread = started
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=5)
        if not thread.is_alive():
            loop.close()

    def start_anew(self) -> None:
        """Forget, in a forked child, the loop and thread that only the parent has."""
        self._lock = threading.Lock()  # another thread of the parent's may have held it
        if self.started is not None:
            inherited.append(self.started)
        if self._selector is not None:
            divert(self._selector)
        self.started = self._selector = None

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._closed:
                raise RuntimeError(f"{self._name} is closed")
            if self.started is None:
                # Not `new_event_loop`: the policy and the current loop of this process belong to the user.
                self._selector = selectors.DefaultSelector()
                loop = asyncio.SelectorEventLoop(self._selector)
                thread = threading.Thread(target=loop.run_forever, name=self._name, daemon=True)
                thread.start()
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
