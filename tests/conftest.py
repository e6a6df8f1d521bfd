"""What all tests share: a real Redis, started once per session and emptied for each test."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings
from redis import Redis as SyncRedis
from redis.asyncio import Redis

from worker.local.embedded_redis import Embedded

# No test depends on the machine's speed, so neither the time of an example nor that of generating it matters.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")

# A shell that starts us in the background makes us, and each process that a test interrupts, ignore interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Embedded(tmp_path_factory.mktemp("redis")) as embedded:
        yield embedded.url


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def sync_redis(redis_url: str) -> Iterator[SyncRedis]:
    client = SyncRedis.from_url(redis_url)
    client.flushall()
    yield client
    client.close()
