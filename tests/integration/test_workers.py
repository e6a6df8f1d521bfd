"""Which workers are alive, as the store knows from their beats."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from worker.cli.checks.attendance import attendance, older_workers
from worker.settings.environment import Settings
from worker.store.store import Store


async def alive(redis_url: str) -> int:
    return (await attendance(Settings.load({"REDIS_URL": redis_url}))).workers


async def test_each_worker_that_beats_lives(store: Store, redis_url: str) -> None:
    for worker in ("w1", "w2", "w1"):
        await store.beat(worker, 60.0, ["ess"])
    assert await alive(redis_url) == 2


async def test_a_worker_that_left_lives_no_more(store: Store, redis_url: str) -> None:
    await store.beat("w1", 60.0, ["ess"])
    await store.leave("w1")
    assert await alive(redis_url) == 0


async def test_a_worker_whose_beat_ended_lives_no_more(store: Store, redis_url: str) -> None:
    await store.beat("w1", 0.05, ["ess"])
    async with asyncio.timeout(60):
        while await alive(redis_url):
            pass


async def test_the_next_beat_forgets_dead_workers(store: Store, redis: Redis, redis_url: str) -> None:
    await store.beat("w1", 0.001, ["ess"])
    async with asyncio.timeout(60):
        while await alive(redis_url):
            pass
    await store.beat("w2", 60.0, ["ess"])
    assert await redis.zrange("{canceller}:workers", 0, -1) == [b"w2"]


async def test_a_worker_that_knows_no_batches_is_told_from_others(store: Store, redis: Redis) -> None:
    for worker in ("w1", "w2", "old"):
        await store.beat(worker, 60.0, ["ess"])
    assert await older_workers(redis, "{canceller}") == 0

    await redis.zrem("{canceller}:feeders", "old")
    assert await older_workers(redis, "{canceller}") == 1
