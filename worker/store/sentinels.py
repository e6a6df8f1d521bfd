"""Asks sentinels for the primary: all at once, and each only for a moment."""

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
    """Sentinels that are asked together: one that hangs, refuses or lags delays nobody."""

    async def discover_master(self, service_name: str) -> Address:
        """Return the primary's address from the first sentinel that knows it.

        Raises:
            MasterNotFoundError: none knows it; the text has the answer of each, on one line.

        """
        asked = {asyncio.create_task(self._ask(sentinel, service_name)): sentinel for sentinel in self.sentinels}
        said: dict[str, str] = {}
        try:
            for answer in asyncio.as_completed(asked):
                sentinel, found = await answer
                if not isinstance(found, str):
                    return found
                where = sentinel.connection_pool.connection_kwargs
                said[f"{where['host']}:{where['port']}"] = found
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        answers = "; ".join(f"{name}: {said[name]}" for name in sorted(said))
        raise MasterNotFoundError(f"no sentinel names a primary for {service_name!r}: {answers}")

    async def _ask(self, sentinel: Redis, service_name: str) -> tuple[Redis, Address | str]:
        """Return the primary's address according to one sentinel, or why it names none."""
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
            return sentinel, "it reports that one as down"
        return sentinel, (state["ip"], int(state["port"]))


class Pool(SentinelConnectionPool):
    """Connections to the primary; closing them closes those to the sentinels too."""

    sentinel_manager: Sentinels

    async def aclose(self) -> None:
        """Close all connections."""
        await super().aclose()
        await self.sentinel_manager.aclose()
