"""A command's connections: the client, and where the events stand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from config.settings import Settings
from worker.async_client import AsyncClient
from worker.connection import connect
from worker.store import Store


@dataclass(frozen=True, slots=True)
class Session:
    """What a command talks through."""

    client: AsyncClient
    store: Store
    settings: Settings

    async def position(self) -> str:
        """Return the position of the newest event."""
        return await self.store.last_event_id()


@asynccontextmanager
async def connected(settings: Settings | None = None) -> AsyncIterator[Session]:
    """Connect as the environment says.

    Raises:
        ConfigurationError: the environment has mistakes, or names no Redis.

    """
    settings = (settings or Settings.load()).discovered()
    store = Store(connect(settings), settings.prefix)
    client = AsyncClient.from_env(settings)
    try:
        yield Session(client, store, settings)
    finally:
        await client.aclose()
        await store.aclose()
