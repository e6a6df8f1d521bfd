"""A Redis client whose scripts see a time that the test sets."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError


class SteppedRedis(Redis):
    """A client that replaces TIME in its scripts: the text of each script reads TIME in one place."""

    at = 1_800_000_000_000
    """The server's clock, in milliseconds."""

    async def evalsha(self, *_: Any) -> Any:
        raise NoScriptError

    async def eval(self, script: str, *parts: Any) -> Any:
        assert script.count("redis.call('TIME')") == 1
        seconds, left = divmod(self.at, 1000)
        shown = script.replace("redis.call('TIME')", f"{{'{seconds}', '{left * 1000}'}}")
        return await super().eval(shown, *parts)
