"""What workers leave for each other in Redis: which backends they serve, and commands that others have to take in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

from .keyspace import Keyspace


class Peers(Keyspace):
    """The other workers of a deployment, by what they have written."""

    async def announced(self) -> dict[str, float]:
        """Return the number with which each backend was last announced, if it ever was: when its last beat ends."""
        found = await self._interruptible(self._redis.zrange(f"{self._base}:serves", 0, -1, withscores=True))
        return {name.decode(): ends for name, ends in found}

    async def hand_over(self, commands: Mapping[str, Mapping[str, bytes]]) -> None:
        """Leave commands to workers that can take them in: by backend, by digest. Repeating this changes nothing."""
        pipe = self._redis.pipeline(transaction=False)
        for backend, some in commands.items():
            pipe.hset(f"{self._base}:handover:{backend}", mapping=cast("Any", some))
            pipe.sadd(f"{self._base}:handovers", backend)
        await self._interruptible(pipe.execute())

    async def left(self) -> dict[str, int]:
        """Return how many commands are left to workers that can take them in, for each backend that has any."""
        names = sorted(await self._interruptible(cast("Any", self._redis.smembers(f"{self._base}:handovers"))))
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.hlen(f"{self._base}:handover:{name.decode()}")
        counts = await self._interruptible(pipe.execute())
        return {name.decode(): count for name, count in zip(names, counts, strict=True) if count}

    async def handed_over(self, backend: str) -> AsyncIterator[dict[str, bytes]]:
        """Go through the commands left for a backend, by digest and page by page; some may be returned twice."""
        cursor = 0
        while True:
            cursor, page = await self._interruptible(
                self._redis.hscan(f"{self._base}:handover:{backend}", cursor, count=200)
            )
            if page:
                yield {digest.decode(): command for digest, command in page.items()}
            if not cursor:
                return

    async def taken_over(self, backend: str, digests: Sequence[str]) -> None:
        """Forget commands that were left for a backend, once what became of them is stored."""
        await self._interruptible(self._redis.hdel(f"{self._base}:handover:{backend}", *digests))
