"""Whether any worker lives, and how many commands wait for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.exceptions import RedisError

from config.redis_target import RedisTarget
from worker.cli.output import Output
from worker.cli.session import Session
from worker.connection import connect_to, ended
from worker.errors import StoreUnavailable
from worker.taker import PRIORITIES

SOON = 1.0
"""Seconds between two looks, and for a worker that is just being started to show its first sign of life."""
PATIENCE = 2.0
"""Seconds that the broker may take to tell how many commands wait: it is said beside the point."""
START = "start one with `canceller up`, or `celery -A worker worker`"


async def absence(session: Session) -> str:
    """Say that no worker lives; nothing if one does."""
    if await session.store.workers():
        return ""
    broker, queue = session.settings.redis_broker, session.settings.queue
    waiting = None if broker is None else await waiting_commands(broker, queue)
    commands = "" if waiting is None else f" (0 alive, {counted(waiting)} in '{queue}')"
    return f"no worker runs{commands}: {START}"


def counted(waiting: int) -> str:
    """Say how many messages wait."""
    return "1 command waits" if waiting == 1 else f"{waiting} commands wait"


async def waiting_commands(broker: RedisTarget, queue: str) -> int | None:
    """Count the messages in a queue of a Redis broker; None if it can't be asked."""
    client = connect_to(broker)
    pipe = client.pipeline(transaction=False)
    for suffix in PRIORITIES:
        pipe.llen(queue + suffix)
    try:
        async with asyncio.timeout(PATIENCE):
            return sum(map(int, await pipe.execute()))
    except (RedisError, OSError, TimeoutError):
        return None
    finally:
        await client.aclose()


@asynccontextmanager
async def noting_absence(session: Session, output: Output) -> AsyncIterator[None]:
    """Say once, while something is waited for, that no worker lives, or lives any more."""

    async def note() -> None:
        missing = ""
        while not missing:
            await asyncio.sleep(SOON)
            with suppress(StoreUnavailable):
                missing = await absence(session)
        output.note(missing)

    task = asyncio.create_task(note())
    try:
        yield
    finally:
        await ended({task})
