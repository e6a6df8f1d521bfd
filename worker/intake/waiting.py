"""How many commands wait in the queue for a worker to take them in."""

from __future__ import annotations

import asyncio
from contextlib import closing
from functools import partial

from amqp.exceptions import NotFound
from redis.exceptions import RedisError

from ..aio.daemon import in_daemon_thread
from ..broker.bounds import worded
from ..broker.sender import Sender
from ..domain.errors import CancellerError
from ..settings.environment import Settings
from ..settings.redis_url import RedisTarget
from ..store.redis_client import connect_to
from .strays import SPELLINGS

PATIENCE = 2.0
"""Seconds that the broker has to answer."""


async def waiting_commands(settings: Settings) -> int | None:
    """Return how many commands wait at the broker; None if it does not answer, or is of a kind that can't say."""
    if settings.redis_broker is not None:
        return await waiting_in_redis(settings.redis_broker, settings.queue)
    return await in_daemon_thread(partial(_waiting_in_rabbitmq, settings)) if settings.amqp_broker else None


async def waiting_in_redis(target: RedisTarget, queue: str) -> int | None:
    """Return the length of a queue in all lists that workers read; None if Redis does not answer."""
    broker = connect_to(target)
    try:
        pipe = broker.pipeline(transaction=False)
        for suffix in SPELLINGS:
            pipe.llen(f"{queue}{suffix}")
        async with asyncio.timeout(PATIENCE):
            waiting: int = sum(await pipe.execute())
            return waiting
    except (RedisError, OSError, TimeoutError):
        return None
    finally:
        await broker.aclose()


def _waiting_in_rabbitmq(settings: Settings) -> int | None:
    sender = Sender(settings)
    try:
        with worded(settings.queue), sender.connection(PATIENCE) as connection:
            connection.ensure_connection(max_retries=1, timeout=PATIENCE)
            with closing(connection.channel()) as channel:
                try:
                    return int(channel.queue_declare(settings.queue, passive=True).message_count)
                except NotFound:
                    return 0  # the first producer or worker declares it
    except CancellerError:
        return None
