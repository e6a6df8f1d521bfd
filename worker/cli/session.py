"""A command's connections: the client, and the store that it reads from directly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from redis.exceptions import RedisError

from ..client.async_client import AsyncClient
from ..domain.errors import StoreUnavailable
from ..settings.env_file import process_environment
from ..settings.environment import Settings
from ..settings.signing_key import SigningKey, signing_key
from ..store.redis_client import connect
from ..store.store import Store

UNSIGNED = "was it signed? Sign with --key FILE and --producer NAME, or CANCELLER_KEY_FILE and CANCELLER_PRODUCER"
"""The hint if a signature is not accepted and this command did not sign."""
CLOSE_TIMEOUT = 0.5
"""Seconds that closing all connections may take."""


@dataclass(frozen=True, slots=True)
class Session:
    """A command's connections and settings, and whether it signs."""

    client: AsyncClient
    store: Store
    settings: Settings
    signs: bool = False


def signer(key_file: Path | None, producer: str | None) -> SigningKey | None:
    """Read the signing key; the options `--key` and `--producer` take precedence over the environment.

    Raises:
        ConfigurationError: only the key or only the producer is given, or the key can't be used.

    """
    variables, places = dict(process_environment()), {}
    if key_file is not None:
        variables |= {"CANCELLER_KEY": "", "CANCELLER_KEY_FILE": str(key_file)}
        places = {"producer": "--producer", "file": "--key"}
    if producer is not None:
        variables["CANCELLER_PRODUCER"] = producer
        places["producer"] = "--producer"
    return signing_key(Settings.load(variables), **places)


@asynccontextmanager
async def connected(settings: Settings | None = None, key: SigningKey | None = None) -> AsyncIterator[Session]:
    """Connect as the environment says; with a `key` what is sent is signed.

    Raises:
        ConfigurationError: the environment has mistakes, or names no Redis.

    """
    settings = (settings or Settings.load()).discovered()
    store = Store(connect(settings), settings.prefix)
    client = AsyncClient(settings, key)
    try:
        yield Session(client, store, settings, signs=key is not None)
    finally:
        with suppress(TimeoutError, StoreUnavailable, RedisError, OSError):  # a server that hangs is not waited for
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await client.aclose()
                await store.aclose()
