"""Which workers are alive, which backends they serve, and which commands wait for a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from redis.asyncio import Redis

from ...aio.tasks import cancel_all
from ...domain.errors import StoreUnavailable
from ...intake.waiting import waiting_in_redis
from ...settings.environment import Settings
from ...store.peers import Peers
from ...store.redis_client import connect, translated
from ...store.scripts import Script, text_of
from ...views.counted import counted
from ..output import Output

SOON = 1.0
"""Seconds between two looks, which also give a worker that is being started time for a first sign of life."""


@dataclass(frozen=True, slots=True)
class Attendance:
    """The living workers and the waiting commands; `waiting` is None if the broker can't be asked.

    `backends` are all that workers have ever announced, `served` those that living workers serve; `left` is how many
    commands wait for a worker that serves their backend.
    """

    workers: int
    waiting: int | None
    backends: tuple[str, ...]
    queue: str
    served: frozenset[str] = frozenset()
    left: int = 0

    @property
    def idle(self) -> bool:
        """Whether no command waits, and a worker would take one in at once."""
        return self.workers > 0 and not self.waiting and not self.left

    def unserved(self, backend: str) -> bool:
        """Whether workers live, and none of them serves a backend."""
        return self.workers > 0 and backend not in self.served

    def __str__(self) -> str:
        """Describe it as part of a sentence."""
        waiting = f"{counted(self.waiting, 'command')} in {self.queue!r}" if self.waiting else ""
        if not self.workers:
            wait = f" ({waiting} waiting)" if waiting else ""
            return f"no worker is running{wait}: start one with `canceller up` or `celery -A worker worker`"
        there = f"{counted(self.workers, 'worker')} {'is' if self.workers == 1 else 'are'} running"
        left = f"{counted(self.left, 'command')} for a worker with another backends file" if self.left else ""
        waits = " and ".join(filter(None, (waiting, left)))
        return f"{there}, {waits} waiting" if waits else there


async def attendance(settings: Settings) -> Attendance:
    """Count workers and waiting commands.

    Raises:
        StoreUnavailable: Redis can't be reached.

    """
    redis, base = connect(settings), f"{{{settings.prefix}}}"
    try:
        pipe = redis.pipeline(transaction=False)
        pipe.hkeys(f"{base}:at")
        pipe.smembers(f"{base}:backends")
        with translated():
            _, _, _, workers, *served = await Script(redis, text_of("now"))(keys=[f"{base}:events"], args=[])
            told, had = await pipe.execute()
            left = await Peers(redis, settings.prefix).left()
    finally:
        await redis.aclose()
    backends = tuple(sorted(name.decode() for name in {*told, *had}))
    target = settings.redis_broker
    waiting = await waiting_in_redis(target, settings.queue) if target is not None else None
    names = frozenset(name.decode() for name in served)
    return Attendance(int(workers), waiting, backends, settings.queue, names, sum(left.values()))


async def older_workers(redis: Redis, base: str) -> int:
    """Count the living workers of versions without batches: no member of a batch starts while one of them runs.

    The deployment's keys begin with `base`.
    """
    _, _, now, workers, *_ = await Script(redis, text_of("now"))(keys=[f"{base}:events"], args=[])
    feeders = await redis.zcount(f"{base}:feeders", f"({int(now)}", "+inf")
    return max(0, int(workers) - int(feeders))


@asynccontextmanager
async def noting_absence(settings: Settings, output: Output) -> AsyncIterator[None]:
    """Note once, during a wait, that no worker is alive, whether from the start or because the last one died."""

    async def note() -> None:
        while True:
            await asyncio.sleep(SOON)
            with suppress(StoreUnavailable):
                there = await attendance(settings)
                if not there.workers:
                    return output.note(str(there))

    task = asyncio.create_task(note())
    try:
        yield
    finally:
        await cancel_all({task})
