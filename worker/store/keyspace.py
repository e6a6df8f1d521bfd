"""One deployment's part of a Redis: its keys, its scripts, and calls that raise this project's errors."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from redis.asyncio import Redis

from ..aio.tasks import unswallowed
from .redis_client import translated
from .retention import DAY, LETTERS, USUAL, Retention
from .script_connection import ScriptConnection
from .scripts import Script, load


class Keyspace:
    """What all readers and writers of a deployment share. Every key begins with their prefix as a hash tag."""

    def __init__(
        self,
        redis: Redis,
        prefix: str,
        retention: Retention = USUAL,
        longest: float = DAY,
        scripts: ScriptConnection | None = None,
    ) -> None:
        """`longest` is the longest `give_up_after` of any backend, in seconds: command ids outlive it.

        `scripts` runs the scripts; without it, `redis` does.
        """
        self._redis = redis
        self._base = f"{{{prefix}}}"
        self._retention = retention
        self._days = int((retention.records + longest) // DAY) + 1
        self._letters = [f"{self._base}:{name}" for name in LETTERS]
        self._scripts = load(scripts or redis)

    async def _run(self, script: Script, *args: Any) -> Any:
        """Run a script, whose reply is never lost to a cancellation of the task."""
        with translated():
            return await script(keys=[f"{self._base}:events"], args=args)

    async def _call(self, call: Awaitable[Any]) -> Any:
        with translated():
            return await call

    async def _interruptible(self, call: Awaitable[Any]) -> Any:
        """Await a call whose reply may be lost: the task can be cancelled at any moment."""
        with translated():
            return await unswallowed(call)
