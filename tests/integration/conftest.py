"""A worker's store over the session's real Redis, and authorities that sign certificates."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from support.certificates import Authority

from worker.store.script_connection import ScriptConnection
from worker.store.store import Store


@pytest.fixture
async def store(redis: Redis) -> AsyncIterator[Store]:
    """A worker's store; its scripts use a separate connection, as in a worker."""
    scripts = ScriptConnection(redis)
    yield Store(redis, "canceller", scripts=scripts)
    await scripts.aclose()


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
