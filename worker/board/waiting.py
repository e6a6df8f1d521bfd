"""Counts the commands that wait in the queue of a Redis broker."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ..intake.strays import SPELLINGS
from ..settings.environment import Settings
from ..store.redis_client import connect_to

PATIENCE = 2.0
"""Seconds that the broker has to answer."""


class WaitingCommands:
    """Asks the broker, if it is a Redis."""

    def __init__(self, settings: Settings) -> None:
        self._names = [f"{settings.queue}{suffix}" for suffix in SPELLINGS]
        self._target = settings.redis_broker
        self._redis: Redis | None = None

    async def number(self) -> int | None:
        """Return how many wait, None if the broker can't be asked."""
        if self._target is None:
            return None
        self._redis = self._redis or connect_to(self._target)
        pipe = self._redis.pipeline(transaction=False)
        for name in self._names:
            pipe.llen(name)
        try:
            async with asyncio.timeout(PATIENCE):
                waiting: int = sum(await pipe.execute())
                return waiting
        except (RedisError, OSError, TimeoutError):
            return None

    async def aclose(self) -> None:
        """Close the connection."""
        if self._redis is not None:
            await self._redis.aclose()
