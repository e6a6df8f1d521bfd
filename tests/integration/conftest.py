"""A store over the session's real Redis, and `Http` by either transport."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from integration.authority import Authority
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


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The one authority that this system trusts."""
    authority = Authority(tmp_path, "system")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    return authority
