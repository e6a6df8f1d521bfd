"""Asks sentinels for the primary: all at once, each for a moment only."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

Address = tuple[str, int]

REFUSES = (AuthenticationError, NoPermissionError)
AUTHENTICATE = "it refuses our user and password (?sentinel_username=..., ?sentinel_password=...)"


class Sentinels(Sentinel):
    """Sentinels that are asked together: one that hangs, refuses or lies behind delays nobody."""

    async def discover_master(self, service_name: str) -> Address:
        """Return where the primary is, by whichever sentinel knows first.

        Raises:
            MasterNotFoundError: none knows; the text says what each had to say, on one line.

        """
        asked = {asyncio.create_task(self._ask(sentinel, service_name)): sentinel for sentinel in self.sentinels}
        said: dict[str, str] = {}
        try:
            for answer in asyncio.as_completed(asked):
                sentinel, found = await answer
                if not isinstance(found, str):
                    return found
                said[named(sentinel)] = found
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        told = "; ".join(f"{name}: {said[name]}" for name in sorted(said))
        raise MasterNotFoundError(f"no sentinel names a primary for {service_name!r}: {told}")

    async def _ask(self, sentinel: Redis, service_name: str) -> tuple[Redis, Address | str]:
        """Return the primary's address by one sentinel, or why it tells none."""
        try:
            masters: Any = await sentinel.sentinel_masters()
        except REFUSES:
            return sentinel, AUTHENTICATE
        except (RedisError, OSError) as error:
            return sentinel, " ".join(str(error).split()) or type(error).__name__
        state = masters.get(service_name)
        if state is None:
            return sentinel, f"it watches {', '.join(sorted(masters)) or 'nothing'}"
        if not self.check_master_state(state, service_name):
            return sentinel, "it sees that one down"
        return sentinel, (state["ip"], int(state["port"]))


class Pool(SentinelConnectionPool):
    """Connections to the primary, which close those to the sentinels with them."""

    sentinel_manager: Sentinels

    async def aclose(self) -> None:
        """Close all."""
        await super().aclose()
        await self.sentinel_manager.aclose()


def named(sentinel: Redis) -> str:
    """Name a sentinel by host and port."""
    where = sentinel.connection_pool.connection_kwargs
    return f"{where['host']}:{where['port']}"
