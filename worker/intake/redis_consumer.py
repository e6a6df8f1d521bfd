"""Takes command messages off a Redis broker, many at a time, and loses none.

Celery's stock consumer pops a message and notes it in a second step: a worker that dies between the two
takes the message with it. Here taking is one step (`lua/take.lua`), and a message leaves the worker's
own list only once all that it asks for is stored. What a dead worker had taken goes back to the queue
(`lua/return.lua`). Taking again is harmless: a command id is taken in once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ..aio.tasks import cancel_all
from ..errors import StoreUnavailable
from ..observability.outage import Outage
from ..store.clock_witness import Witness
from ..store.redis_client import unavailable
from ..store.scripts import Script, source, timed
from .decoder import Item, decode
from .delivery import BATCH, BATCH_BYTES, Backpressure, Fullness, Handle, settle
from .strays import SPELLINGS, Lookout

log = structlog.get_logger(__name__)

BLOCK = 1
"""Seconds that a worker waits for a message before it looks at the other priorities."""
BREATH = 0.002
"""Seconds that the first calls of a message that came alone have to themselves before the next is asked for."""
BEAT_LIFE = 4.0
RETRY = 0.5
FAREWELL = 1.0
"""Seconds to say goodbye: with Redis away it goes without."""
LOOK_BESIDE = 60.0
"""Seconds between two looks, by any worker, for commands that lie beside the queue."""
REMIND = 3600
"""Seconds between two complaints about the same list."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One message, as it lies in the list of the worker that took it."""

    raw: bytes
    item: Item


class Taker:
    """One worker's door to the command queue of a Redis broker."""

    def __init__(self, redis: Redis, queue: str, name: str, handle: Handle, fullness: Fullness) -> None:
        self._redis = redis
        self._queue = queue
        self._prefix = f"{queue}.taken"
        self._name = name
        self._list = f"{self._prefix}:{name}"
        self._handle = handle
        self._room = Backpressure(fullness)
        self._take = Script(redis, timed(source("take")))
        self._return = Script(redis, timed(source("return")))
        self._tasks: list[asyncio.Task[None]] = []
        self._settled: tuple[bytes, ...] = ()
        self._stopping = False
        self._witness = Witness()
        self._lookout = Lookout(redis, queue)
        self._outage = Outage("taker.unavailable", "CELERY_BROKER_URL, or else REDIS_URL,")

    async def start(self) -> None:
        """Start taking, once this taker is known to live."""
        with suppress(RedisError, OSError):
            await self._beat()
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._keep_beating())]
        self._tasks.append(asyncio.create_task(self._keep_looking()))
        log.info("taker.started", queue=self._queue)

    async def stop(self) -> None:
        """Take nothing new, settle what was taken, and say that this taker is gone."""
        self._stopping = True
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * BLOCK + RETRY):
                await self._tasks[0]
        await cancel_all(self._tasks)
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await self._let_go()
                await self._redis.zrem(f"{self._prefix}:beats", self._name)
        await self._redis.aclose()

    async def _run(self) -> None:
        while not self._stopping:
            try:
                if self._room.full:
                    await self._let_go()
                    await asyncio.sleep(RETRY)
                elif not await self._take_batch():
                    await self._take_next()
            except (RedisError, OSError, StoreUnavailable) as error:
                self._unavailable(error)
                await asyncio.sleep(RETRY)
            except Exception:
                log.exception("taker.failed")
                await asyncio.sleep(RETRY)

    async def _take_next(self) -> None:
        """Wait for the next message, which is taken in the same step, and settle it unless there is no room by now."""
        waiting = self._redis.blmove(self._queue, self._list, BLOCK, "RIGHT", "LEFT")
        raw: bytes | None = await cast("Awaitable[Any]", waiting)
        if raw is not None and not self._room.full:
            await self._settle_all([raw])
            await asyncio.sleep(BREATH)

    async def _take_batch(self) -> bool:
        """Take and settle one batch; what was settled before leaves our list, what was not comes with it."""
        keys = [self._list, f"{self._prefix}:takers", *(self._queue + suffix for suffix in SPELLINGS)]
        args = [self._name, BATCH, BATCH_BYTES, f"{self._prefix}:clock", *self._settled]
        taken: list[bytes] = await self._take(keys=keys, args=args)
        self._settled = ()
        if taken:
            await self._settle_all(taken)
        return bool(taken)

    async def _settle_all(self, taken: Sequence[bytes]) -> None:
        await settle([Taken(raw, decode(raw)) for raw in reversed(taken)], self._handle)
        self._settled = tuple(reversed(taken))

    async def _let_go(self) -> None:
        """Remove just what was settled: a wait that was cut off may have put a later message beside it."""
        pipe = self._redis.pipeline(transaction=False)
        for raw in self._settled:
            pipe.lrem(self._list, -1, cast("Any", raw))
        await pipe.execute()
        self._settled = ()

    async def _keep_beating(self) -> None:
        while not self._stopping:  # redis-py may swallow a cancellation
            try:
                await self._room.look()
                await self._beat()
                self._outage.is_over()
            except (RedisError, OSError, StoreUnavailable) as error:
                self._unavailable(error)
            except Exception:
                log.exception("taker.failed")
            await asyncio.sleep(BEAT_LIFE / 4)

    def _unavailable(self, error: Exception) -> None:
        told = unavailable(error)
        self._outage.goes_on(str(told), told.hint)

    async def _keep_looking(self) -> None:
        while not self._stopping:
            try:
                await self._look_beside()
            except (RedisError, OSError) as error:
                log.debug("taker.not_looked_beside", error=f"{type(error).__name__}: {error}")
            except Exception:
                log.exception("taker.failed")
            await asyncio.sleep(LOOK_BESIDE)

    async def _look_beside(self) -> None:
        """Complain of commands that nobody takes in; one worker looks for all, and it is told once an hour."""
        if not await self._redis.set(f"{self._prefix}:look", self._name, nx=True, px=int(LOOK_BESIDE * 900)):
            return
        for stray in await self._lookout.look():
            if await self._redis.set(f"{self._prefix}:told:{stray.name}", self._name, nx=True, ex=REMIND):
                hint = stray.way_out(self._queue)
                log.warning("taker.stranded", list=stray.shown, messages=stray.length, hint=hint)

    async def _beat(self) -> None:
        keys = [f"{self._prefix}:takers", self._queue]
        asked = self._witness.now()
        args = [self._prefix, self._name, int(BEAT_LIFE * 1000), *self._witness.knows(asked)]
        now, step, back = await self._return(keys=keys, args=args)
        self._witness.hears(asked, now, step)
        if back:
            log.warning("taker.returned", messages=back, queue=self._queue)
