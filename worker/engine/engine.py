"""Runs the dispatchers of one worker process, and its heartbeat.

One engine runs in each worker process, in one asyncio loop; there is no leader. Each backend has its own dispatcher,
so a slow backend costs the others nothing.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Mapping, Sequence

import structlog

from ..aio.tasks import cancel_all
from ..domain.errors import StoreUnavailable
from ..observability.outage import Outage
from ..store.serving import Serving
from ..store.store import Store
from ..store.transitions import Acceptance, Accepted
from .backend import Backend
from .dispatcher import Dispatcher
from .unserved import Unserved
from .watcher import Watcher

log = structlog.get_logger(__name__)

BEAT = 1.0
BEAT_LIFE = 4.0
TRIM_EVERY = 60.0
SIGN_OFF_TIMEOUT = 1.0
"""Seconds for signing off; if Redis is down, the worker stops without doing so."""
FEW = 20
"""Up to this many commands for one backend are accepted and claimed in one step."""


class Engine:
    """Runs the dispatchers of one worker process, and its heartbeat."""

    def __init__(self, store: Store, backends: Mapping[str, Backend], slots: int = 200) -> None:
        self.worker = secrets.token_hex(6)
        self._store = store
        self._outage = Outage("engine.store_unavailable", "REDIS_URL")
        self._dispatchers = {
            name: Dispatcher(backend, store, self.worker, slots, self._outage) for name, backend in backends.items()
        }
        self._watchers = [
            Watcher(backend, store, self._outage, self.wake) for backend in backends.values() if backend.watch_after
        ]
        self.serving = Serving(backends.keys())
        self._unserved = Unserved(store, self.worker, backends.keys(), self.serving, self._outage)
        self._places = {name: backend.place for name, backend in backends.items() if backend.place}
        self._tasks: Sequence[asyncio.Task[None]] = ()
        self._stopping = False
        self.feed: Callable[[], None] = lambda: None
        """Called after a heartbeat that found work for a batch."""

    def wake(self, backend: str) -> None:
        """Claim at once on a backend of this worker; for any other, find out whether a worker serves it."""
        if backend in self._dispatchers:
            self._dispatchers[backend].alarm.wake()
        elif backend:
            self._unserved.wake()

    async def accept(self, acceptances: Sequence[Acceptance]) -> list[Accepted]:
        """Accept commands and start to work on them.

        Raises:
            StoreUnavailable: it is not known what was stored; accepting the commands again is harmless.

        """
        names = {one.backend for one in acceptances}
        if len(names) == 1 and len(acceptances) <= FEW and names <= self._dispatchers.keys():
            return await self._dispatchers[names.pop()].accept(acceptances)
        accepted = await self._store.accept_all(acceptances)
        for name in names:
            self.wake(name)
        return accepted

    async def start(self) -> None:
        """Start the heartbeat and the dispatchers."""
        await self._beat()
        loops = [one.run() for one in self._dispatchers.values()]
        loops += [one.run() for one in self._watchers]
        loops += [self._unserved.run(), self._keep_beating(), self._keep_trimming()]
        self._tasks = [asyncio.create_task(loop) for loop in loops]
        log.info("engine.started", worker=self.worker, backends=sorted(self._dispatchers))

    async def stop(self, grace: float = 5.0) -> None:
        """Claim nothing new, give open calls `grace` seconds to end, and sign this worker off."""
        await asyncio.gather(*(one.stop(grace) for one in self._dispatchers.values()))
        self._stopping = True
        self._unserved.stop()
        await cancel_all(self._tasks)
        try:
            async with asyncio.timeout(SIGN_OFF_TIMEOUT):
                await self._store.leave(self.worker)
        except (StoreUnavailable, TimeoutError) as error:
            self._outage.goes_on(str(error))
        log.info("engine.stopped", worker=self.worker)

    async def _keep_beating(self) -> None:
        while not self._stopping:
            await asyncio.sleep(BEAT * random.uniform(0.9, 1.1))  # noqa: S311 - spreads the workers' beats
            await self._beat()

    async def _beat(self) -> None:
        names = list(self._dispatchers)
        try:
            now, due = await self._store.beat(self.worker, BEAT_LIFE, names)
        except StoreUnavailable as error:
            self._outage.goes_on(str(error), error.hint)
            return
        except Exception:
            log.exception("engine.beat_failed")
            return
        self._outage.is_over()
        if self._store.batches_wait:
            self.feed()
        for name, at in zip(names, due, strict=True):
            if at is not None:
                self._dispatchers[name].wake_in((at - now).total_seconds())

    async def _keep_trimming(self) -> None:
        while not self._stopping:
            try:
                now, _ = await self._store.beat(self.worker, BEAT_LIFE, ())
                await self._store.trim(now, await self._store.sinks.needed_since(now))
                await self._store.note_places(self._places)
            except StoreUnavailable as error:
                self._outage.goes_on(str(error), error.hint)
            except Exception:
                log.exception("engine.trim_failed")
            await asyncio.sleep(TRIM_EVERY)
