"""Reads the events once for all waiters in a loop, and wakes those that an event concerns."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from ..aio.tasks import cancel_all
from ..protocol.message_ids import kept_id
from ..protocol.messages import Event
from ..store.store import Store

BLOCK = 2.0
"""Seconds that one read waits for an event; the reader stops at most this long after its last waiter."""


class Waiter:
    """Waits for events about any of its names.

    `known` says whether its cancellation has been seen; `finished` is the last `finished` event that woke it.
    """

    def __init__(self, watch: Watch, name: str) -> None:
        self.names = {name}
        self.known = False
        self.finished: Event | None = None
        self.woken = asyncio.Event()
        self._watch = watch

    async def wait(self, seconds: float) -> None:
        """Wait until an event is about one of the names, `seconds` at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.woken.wait()

    def identify(self, cancellation_id: str) -> None:
        """Wait for events about this cancellation, too: an event about many commands does not name them all."""
        self.known = True
        self.names.add(cancellation_id)
        self._watch.waiting[cancellation_id].add(self)

    def wake(self, event: Event | None = None) -> None:
        """End the wait, because of an event or because reading the events failed."""
        if event is not None and event.name == "finished":
            self.finished = event
        self.woken.set()


class Watch:
    """The only reader of the events in a loop. It runs while there are waiters."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.waiting: dict[str, set[Waiter]] = defaultdict(set)
        self._reader: asyncio.Task[None] | None = None
        self._position = ""
        self._starting = asyncio.Lock()
        self._closed = False
        self._scopes: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def until_closed(self) -> AsyncIterator[None]:
        """End what waits or reads in this context once the client is closed, with a RuntimeError."""
        self.check_open()
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._scopes.add(scope)
                yield
        except Exception:
            if not self._closed:
                raise  # else it is the scope's timeout, or what has become of a call whose connection was closed
        finally:
            self._scopes.discard(scope)
        self.check_open()

    def check_open(self) -> None:
        """Raise RuntimeError once the client is closed."""
        if self._closed:
            raise RuntimeError("the client was closed during this wait")

    @asynccontextmanager
    async def waiter(self, name: str) -> AsyncIterator[Waiter]:
        """Register a waiter for the id of a command, a cancellation, or a message of several commands."""
        waiter = Waiter(self, kept_id(name))
        self.waiting[kept_id(name)].add(waiter)
        try:
            yield waiter
        finally:
            for one in waiter.names:
                self.waiting[one].discard(waiter)
                if not self.waiting[one]:
                    del self.waiting[one]

    async def listen(self, waiter: Waiter) -> None:
        """Make sure that events are read from this moment on: whatever happens now ends the waiter's next `wait`.

        Raises:
            StoreUnavailable: Redis can't be reached.
            RuntimeError: the client is closed.

        """
        self.check_open()
        waiter.woken.clear()
        async with self._starting:
            if self._reader is None or self._reader.done():
                self._position = await self._store.last_event_id()
                self.check_open()
                self._reader = asyncio.create_task(self._read())

    async def aclose(self) -> None:
        """Stop reading, and end what waits."""
        self._closed = True
        for scope in self._scopes:
            scope.reschedule(asyncio.get_running_loop().time())
        self._wake_all()
        if self._reader is not None:
            await cancel_all([self._reader])

    async def _read(self) -> None:
        try:
            while self.waiting:
                page = await self._store.events(self._position, block=BLOCK)
                for self._position, event in page:
                    for name in about(event):
                        for waiter in self.waiting.get(name, ()):
                            waiter.wake(event)
        except Exception:  # noqa: BLE001 - the waiters look for themselves, and raise the same error
            self._wake_all()

    def _wake_all(self) -> None:
        for waiters in self.waiting.values():
            for waiter in waiters:
                waiter.wake()


def about(event: Event) -> set[str]:
    """Return the names under which somebody may wait for this event.

    They are the ids of commands, of the cancellation, and of the commands' messages (a command's `MESSAGE:INDEX`).
    """
    if event.name == "joined":
        joined = event.data.get("joined")
        names = {str(joined.get("command_id"))} if isinstance(joined, Mapping) else set()
    elif event.name in {"accepted", "rejected"}:
        names = set(event.command_ids)
    elif event.name == "finished":
        names = {event.cancellationid or "", *event.command_ids}
    else:
        return set()
    return names | {name.rpartition(":")[0] for name in names}
