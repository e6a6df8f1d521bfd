"""Takes command messages off a Redis broker, many at a time, and loses none.

Celery's stock consumer pops a message and notes it in a second step: if a worker dies between the two, the message is
lost. Here both are one step (`lua/take.lua`), and a message leaves the worker's own list only once all that it asks
for is stored. What a dead worker had taken goes back to the queue (`lua/return.lua`). Taking in a message again is
harmless: a command id is taken in once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from math import inf
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ..aio.tasks import cancel_all
from ..domain.errors import StoreUnavailable
from ..observability.outage import Outage
from ..store.clock_witness import Witness
from ..store.redis_client import unavailable
from ..store.scripts import Script, text_of
from .decoder import decode
from .delivery import CHUNK, CHUNK_BYTES, Backpressure, Fullness, Handle, Taken, settle
from .strays import SPELLINGS, StraySearch, visible_name

log = structlog.get_logger(__name__)

BLOCK = 1
"""Seconds that a worker waits for a message before it looks at the other priorities."""
HEAD_START = 0.002
"""Seconds that a message that came alone gets for its first calls, before the next message is asked for."""
BEAT_LIFE = 4.0
RETRY = 0.5
SHUTDOWN_TIMEOUT = 1.0
"""Seconds that a stop waits for Redis; if it is away, the other workers notice the missing beats."""
SEARCH_EVERY = 60.0
"""Seconds between two searches, by any worker, for commands in lists that no worker reads."""
REMIND = 3600
"""Seconds between two warnings about the same list."""


class RedisConsumer:
    """Consumes the command queue of a Redis broker."""

    def __init__(self, redis: Redis, queue: str, name: str, handle: Handle, fullness: Fullness) -> None:
        self._redis = redis
        self._queue = queue
        self._prefix = f"{queue}.taken"
        self._name = name
        self._list = f"{self._prefix}:{name}"
        self._handle = handle
        self._backpressure = Backpressure(fullness)
        self._take = Script(redis, text_of("take"))
        self._return = Script(redis, text_of("return"))
        self._tasks: list[asyncio.Task[None]] = []
        self._settled: tuple[bytes, ...] = ()
        self._stopping = False
        self._answered_at = -inf
        self._witness = Witness()
        self._search = StraySearch(redis, queue)
        self._outage = Outage("redis_consumer.unavailable", "CELERY_BROKER_URL, or else REDIS_URL,")

    async def start(self) -> None:
        """Start to take messages, once the other workers can know that this one is alive."""
        with suppress(RedisError, OSError):
            await self._beat()
        self._tasks = [asyncio.create_task(one) for one in (self._run(), self._keep_beating(), self._keep_searching())]
        log.info("redis_consumer.started", queue=self._queue)

    async def stop(self) -> None:
        """Take nothing new, finish what was taken, and let the other workers know that this one is gone."""
        self._stopping = True
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * BLOCK + RETRY):
                await self._tasks[0]
        await cancel_all(self._tasks)
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(SHUTDOWN_TIMEOUT):
                await self._let_go()
                await self._redis.zrem(f"{self._prefix}:beats", self._name)
        await self._redis.aclose()

    @property
    def problem(self) -> str:
        """Why no commands are taken in; empty if they are."""
        silent = asyncio.get_running_loop().time() - self._answered_at
        if silent > BEAT_LIFE:
            return "the broker has not answered" + (f" for {silent:.0f} s" if silent < inf else " yet")
        return self._backpressure.problem

    async def _run(self) -> None:
        while not self._stopping:
            try:
                if self._backpressure.problem:
                    await self._let_go()
                    await asyncio.sleep(RETRY)
                else:
                    await self._take_some()
            except (RedisError, OSError, StoreUnavailable) as error:
                self._note_outage(error)
                await asyncio.sleep(RETRY)
            except Exception:
                log.exception("redis_consumer.failed")
                await asyncio.sleep(RETRY)

    async def _take_some(self) -> None:
        """Take and handle one chunk, or else the next message that comes."""
        chunk = await self._take_chunk()
        taken = chunk or await self._take_next()
        if taken:
            await settle([Taken(raw, decode(raw)) for raw in reversed(taken)], self._handle)
            self._settled = tuple(reversed(taken))
        if taken and not chunk:
            await asyncio.sleep(HEAD_START)

    async def _take_next(self) -> list[bytes]:
        """Wait for the next message and take it in one step; it is not handled if the store is full by now."""
        waiting = self._redis.blmove(self._queue, self._list, BLOCK, "RIGHT", "LEFT")
        raw: bytes | None = await cast("Awaitable[Any]", waiting)
        return [] if raw is None or self._backpressure.problem else [raw]

    async def _take_chunk(self) -> list[bytes]:
        """Take one chunk; in the same step handled messages leave our list, and unhandled ones are returned again."""
        keys = [self._list, f"{self._prefix}:takers", *(self._queue + suffix for suffix in SPELLINGS)]
        args = [self._name, CHUNK, CHUNK_BYTES, f"{self._prefix}:clock", *self._settled]
        taken: list[bytes] = await self._take(keys=keys, args=args)
        self._settled = ()
        return taken

    async def _let_go(self) -> None:
        """Remove only what was handled: a wait that was interrupted may have put another message into our list."""
        pipe = self._redis.pipeline(transaction=False)
        for raw in self._settled:
            pipe.lrem(self._list, -1, cast("Any", raw))
        await pipe.execute()
        self._settled = ()

    async def _keep_beating(self) -> None:
        while not self._stopping:  # redis-py may swallow a cancellation
            try:
                await self._backpressure.look()
                await self._beat()
                self._outage.is_over()
            except (RedisError, OSError, StoreUnavailable) as error:
                self._note_outage(error)
            except Exception:
                log.exception("redis_consumer.failed")
            await asyncio.sleep(BEAT_LIFE / 4)

    def _note_outage(self, error: Exception) -> None:
        away = unavailable(error)
        self._outage.goes_on(str(away), away.hint)

    async def _keep_searching(self) -> None:
        """Warn of commands that no worker reads; one worker searches for all, and each list is named once an hour."""
        while not self._stopping:
            try:
                turn = await self._redis.set(f"{self._prefix}:look", self._name, nx=True, px=int(SEARCH_EVERY * 900))
                for stray in await self._search.look() if turn else ():
                    if await self._redis.set(f"{self._prefix}:told:{stray.name}", self._name, nx=True, ex=REMIND):
                        hint = stray.way_out(self._queue)
                        log.warning(
                            "redis_consumer.stranded", list=visible_name(stray.name), messages=stray.length, hint=hint
                        )
            except (RedisError, OSError) as error:
                log.debug("redis_consumer.not_looked_beside", error=f"{type(error).__name__}: {error}")
            except Exception:
                log.exception("redis_consumer.failed")
            await asyncio.sleep(SEARCH_EVERY)

    async def _beat(self) -> None:
        keys = [f"{self._prefix}:takers", self._queue]
        asked = self._witness.now()
        args = [self._prefix, self._name, int(BEAT_LIFE * 1000), *self._witness.knows(asked)]
        now, step, back = await self._return(keys=keys, args=args)
        self._witness.hears(asked, now, step)
        self._answered_at = asyncio.get_running_loop().time()
        if back:
            log.warning("redis_consumer.returned", messages=back, queue=self._queue)
