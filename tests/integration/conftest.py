"""A store over the session's real Redis, and `Http` by either transport."""

from __future__ import annotations

from functools import partial

import pytest
from integration.wiretap import Calling, calling
from redis.asyncio import Redis

from worker.backends.http import Transport
from worker.store import Store


@pytest.fixture
def store(redis: Redis) -> Store:
    return Store(redis, "canceller")


@pytest.fixture(params=["aiohttp", "fast"])
def transport(request: pytest.FixtureRequest) -> Transport:
    chosen: Transport = request.param
    return chosen


@pytest.fixture
def backend(transport: Transport) -> Calling:
    return partial(calling, transport)
