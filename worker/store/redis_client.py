"""Opens Redis as the settings name it, and runs an asyncio loop beside code that has none."""

from __future__ import annotations

import asyncio
import os
import re
import selectors
import threading
import weakref
from collections.abc import Awaitable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import MovedError, NoPermissionError, RedisError, ResponseError

from ..errors import StoreRefused, StoreUnavailable
from ..settings.environment import Settings
from ..settings.errors import ConfigurationError
from ..settings.redis_url import RedisTarget
from .sentinels import Pool, Sentinels

Result = TypeVar("Result")

SOCKET_TIMEOUT = 20.0
CONNECT_TIMEOUT = 5.0
REFUSES = re.compile(
    r"ACL failure in script|user executing the script can't|^unknown (sub)?command|[Uu]nknown (Redis )?command called"
)
"""What Redis says, beside NOPERM, of a right that a script's user lacks, and of a command that was taken away."""
PASSING = ("OOM", "LOADING", "READONLY", "MASTERDOWN", "BUSY", "MISCONF", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN")
"""How Redis begins the errors that pass; redis-py has no class for all of them."""


def connect(settings: Settings) -> Redis:
    """Return a client that repeats nothing by itself: a script that went unanswered is looked at, not sent again.

    Raises:
        ConfigurationError: there is no Redis to connect to.

    """
    if settings.redis is None:
        raise ConfigurationError([NO_REDIS])
    return connect_to(settings.redis)


def connect_to(target: RedisTarget) -> Redis:
    """Return a client of one Redis."""
    options: dict[str, Any] = {
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "health_check_interval": 15,
        **target.options,
        **(target.tls_options if target.tls else {}),
        "retry": once(),
        "db": target.db,
        "username": target.username,
        "password": target.password,
    }
    if target.kind == "sentinel":
        return _by_sentinels(target, options)
    if "max_connections" in options:  # who asks for few has to wait for one, and gets no error
        return Redis.from_pool(BlockingConnectionPool.from_url(target.address, **options))
    return Redis.from_url(target.address, **options)


def _by_sentinels(target: RedisTarget, options: Mapping[str, Any]) -> Redis:
    sentinels = Sentinels(  # type: ignore[no-untyped-call]  # redis-py leaves it without types
        target.sentinels, sentinel_kwargs={**target.sentinel_arguments(), "retry": once()}, ssl=target.tls, **options
    )
    master: Redis = sentinels.master_for(target.master or "", connection_pool_class=Pool)
    return master


def once() -> Retry:
    """Return redis-py's word for no retry."""
    return Retry(NoBackoff(), 0)


NO_REDIS = "REDIS_URL: is not set and no embedded server runs: set it, or start one with `canceller up`"


async def ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
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


@contextmanager
def translated() -> Iterator[None]:
    """Turn Redis's own errors into ours; their texts hold no secret.

    A ResponseError that blames the script or command itself is raised as it is: it would fail again.
    """
    try:
        yield
    except (RedisError, OSError) as error:
        refused = refusal(error)
        if type(error) is ResponseError and not refused and not str(error).startswith(PASSING):
            raise
        raise unavailable(error) from error


def unavailable(error: Exception) -> StoreUnavailable:
    """Say in our words what Redis, or the way to it, has answered."""
    if isinstance(error, StoreUnavailable):
        return error
    refused = refusal(error)
    return StoreRefused(refused) if refused else StoreUnavailable(f"Redis: {type(error).__name__}: {error}")


def refusal(error: Exception) -> str:
    """Name what Redis refuses for good; nothing for any other error."""
    if isinstance(error, MovedError):
        return "Redis is a node of a cluster, which is not supported: name a server that is none"
    text = str(error).partition(", with args")[0]  # which holds what was sent
    if isinstance(error, NoPermissionError) or (isinstance(error, ResponseError) and REFUSES.search(text)):
        return f"Redis refuses what workers need: {text}"
    return ""


class LoopThread:
    """An asyncio loop in a thread of its own, which the first call starts.

    A forked child has none of its parent's threads: there the next call starts a loop and a thread anew.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._started: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None
        self._selector: selectors.BaseSelector | None = None
        self._closed = False
        self._lock = threading.Lock()
        notice_forks()
        threads.add(self)

    @property
    def running(self) -> bool:
        """Whether there is a loop in this process now."""
        return self._started is not None

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
            started, self._started = self._started, None
        if started is None:
            return
        loop, thread = started
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=5)
        if not thread.is_alive():
            loop.close()

    def start_anew(self) -> None:
        """Forget, in a forked child, what only the parent has."""
        self._lock = threading.Lock()  # another thread of the parent's may have held it
        if self._started is not None:
            leave_to_parent(self._started)
        if self._selector is not None:
            divert(self._selector)
        self._started = self._selector = None

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._closed:
                raise RuntimeError(f"{self._name} is closed")
            if self._started is None:
                loop = self._new_loop()
                thread = threading.Thread(target=loop.run_forever, name=self._name, daemon=True)
                thread.start()
                self._started = loop, thread
            return self._started[0]

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        # Neither the policy nor the current loop of this process is ours to ask for or to set.
        self._selector = selectors.DefaultSelector()
        return asyncio.SelectorEventLoop(self._selector)


threads: weakref.WeakSet[LoopThread] = weakref.WeakSet()
inherited: list[object] = []
"""What a forked child must neither use nor clean up."""


def leave_to_parent(what: object) -> None:
    """Keep what a forked child has inherited from being finalized, which may speak on the parent's connections."""
    inherited.append(what)


@cache
def notice_forks() -> None:
    """Have each forked child start its loops anew. Nothing is registered before the first loop is asked for."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    for thread in list(threads):
        thread.start_anew()


def divert(selector: selectors.BaseSelector) -> None:
    """Point a loop's descriptors to nothing, in a forked child.

    Parent and child share what they name: whatever the child's leftovers of the loop still do, down to leaving a TLS
    connection politely or no longer watching a socket, would happen to the parent.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    for key in list(selector.get_map().values()):
        os.dup2(nothing, key.fd, inheritable=False)
    os.close(nothing)
    if hasattr(selector, "fileno"):
        with selectors.DefaultSelector() as fresh:
            os.dup2(fresh.fileno(), selector.fileno(), inheritable=False)
