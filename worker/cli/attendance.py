"""Who is there: workers that live, commands that wait for one, backends that workers have told of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from config.settings import Settings
from worker.connection import connect, connect_to, translated
from worker.store import GLOB
from worker.strays import SPELLINGS

PAGE = 1000
"""Keys that Redis looks at in one go."""


@dataclass(frozen=True, slots=True)
class Attendance:
    """`waiting` is None where the broker is none that can be asked."""

    workers: int
    waiting: int | None
    backends: tuple[str, ...]
    queue: str

    @property
    def idle(self) -> bool:
        """Whether no command waits, and a worker would take one in at once."""
        return self.workers > 0 and not self.waiting

    def __str__(self) -> str:
        """Say so, as a part of a sentence."""
        waiting = f"{_counted(self.waiting, 'command')} in {self.queue!r}" if self.waiting else ""
        if not self.workers:
            wait = f" ({waiting} waiting)" if waiting else ""
            return f"no worker runs{wait}: start one with `canceller up` or `celery -A worker worker`"
        there = f"{_counted(self.workers, 'worker')} {'runs' if self.workers == 1 else 'run'}"
        return f"{there}, {waiting} waiting" if waiting else there


async def attendance(settings: Settings) -> Attendance:
    """Count workers and waiting commands.

    Raises:
        StoreUnavailable: Redis can't be reached.

    """
    redis, base = connect(settings), f"{{{settings.prefix}}}"
    try:
        with translated():
            beats = [key async for key in redis.scan_iter(GLOB.sub(r"\\\g<0>", base) + ":beat:*", PAGE)]
            told: Any = await cast("Any", redis.hkeys(f"{base}:at"))
            had: Any = await cast("Any", redis.smembers(f"{base}:backends"))
    finally:
        await redis.aclose()
    backends = tuple(sorted(name.decode() for name in {*told, *had}))
    return Attendance(len(beats), await _waiting(settings), backends, settings.queue)


async def _waiting(settings: Settings) -> int | None:
    if settings.redis_broker is None:
        return None
    broker = connect_to(settings.redis_broker)
    try:
        return await _length(broker, settings.queue)
    except (RedisError, OSError):
        return None
    finally:
        await broker.aclose()


async def _length(broker: Redis, queue: str) -> int:
    pipe = broker.pipeline(transaction=False)
    for suffix in SPELLINGS:
        pipe.llen(f"{queue}{suffix}")
    return sum(await pipe.execute())


def _counted(number: int | None, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
