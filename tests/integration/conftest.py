"""A store over the session's real Redis."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from worker.store import Store


@pytest.fixture
def store(redis: Redis) -> Store:
    return Store(redis, "canceller")
