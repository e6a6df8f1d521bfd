"""Has one worker deliver to a sink at a time: each tries to get the sink's lease, and delivers while it has it."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress

import structlog

from ..aio.tasks import cancel_all
from ..domain.errors import StoreUnavailable
from ..observability.outage import Outage
from ..store.sinks import Sinks
from .clock import Clock
from .service import LIFE, LeaseLost, Service, Sink

log = structlog.get_logger(__name__)

CLAIM_EVERY = 1.0
"""Seconds from one try to get a lease to the next."""
FAREWELL = 1.0
"""Seconds that closing connections may take."""


class Pump:
    """Delivers to one sink whenever no other worker does; `speed` is that of a fast clock."""

    def __init__(self, sink: Sink, sinks: Sinks, worker: str, speed: float = 1.0) -> None:
        self._sink = sink
        self._sinks = sinks
        self._worker = worker
        self._speed = speed
        self._outage = Outage("sinks.store_unavailable", "REDIS_URL")
        self._service: Service | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Try to get the lease once, so that a new sink starts now, and go on in the background."""
        try:
            self._service = await self._claim()
        except StoreUnavailable as error:
            self._outage.goes_on(str(error), error.hint)
        self._task = asyncio.create_task(self._run())

    async def stop(self, grace: float) -> None:
        """Start no delivery, let those on their way end for `grace` seconds, and give the lease back."""
        self._stopping.set()
        if self._service is not None:
            self._service.stop(grace)
        if self._task is not None:
            await asyncio.wait([self._task], timeout=grace + 2 * FAREWELL)
            await cancel_all([self._task])
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(FAREWELL):
                await self._sink.receiver.aclose()

    async def _claim(self) -> Service | None:
        asked = time.monotonic()
        keep = self._sink.limits.keep_at_most
        now, lease = await self._sinks.claim(self._sink.name, self._worker, LIFE, self._sink.kind, keep)
        if lease is None:
            return None
        return Service(self._sink, self._sinks, lease, Clock(now.timestamp() * 1000, asked, self._speed))

    async def _run(self) -> None:
        while self._service is not None or not self._stopping.is_set():
            try:
                self._service = self._service or await self._claim()
                self._outage.is_over()
                if self._service is not None:
                    if self._stopping.is_set():
                        self._service.stop(0.0)
                    await self._service.run()
            except LeaseLost:
                log.warning("sink.lease_lost", sink=self._sink.name)
            except StoreUnavailable as error:
                self._outage.goes_on(str(error), error.hint)
            except Exception:
                log.exception("sink.failed", sink=self._sink.name)
            self._service = None
            with suppress(TimeoutError):
                pause = CLAIM_EVERY * random.uniform(0.8, 1.2)  # noqa: S311 - spreads the workers' claims
                await asyncio.wait_for(self._stopping.wait(), pause)
