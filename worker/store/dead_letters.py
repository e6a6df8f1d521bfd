"""Rejected messages, each with the reason and its raw text. A replay tries the same command again."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any

from redis.asyncio import Redis

from ..errors import InvalidCommand, UnknownCancellation
from .codec import moment
from .keyspace import Keyspace
from .retention import LETTERS

PAGE = 200
ENTRY = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")
REMEMBERED_DAYS = 40
"""Rejections are forgotten by then: longer than any command id is kept by default."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One rejected message. `raw` is what is kept of it: JSON if it could be read, and never a token."""

    id: str
    at: datetime
    reason: str
    raw: str
    mark: str

    @property
    def command_id(self) -> str:
        """The id of the command that was rejected."""
        return self.mark.rpartition(" ")[0]

    def command(self) -> Mapping[str, Any]:
        """Return the command, its verb included, that is to be sent again.

        Raises:
            InvalidCommand: the message could not be read, so it can't be sent again.

        """
        try:
            content = json.loads(self.raw)
        except ValueError:
            content = None
        if not isinstance(content, dict) or content.get("verb") not in {"cancel", "delete"}:
            raise InvalidCommand(f"dead letter {self.id}: it is no command that could be sent again: {self.reason}")
        return {"command_id": self.command_id, **content}


class DeadLetters(Keyspace):
    """The dead letters of one deployment."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        super().__init__(redis, prefix)
        self._streams = [f"{self._base}:{name}" for name in LETTERS]

    async def list(self, limit: int | None = None) -> AsyncIterator[DeadLetter]:
        """Walk through them, oldest first, `limit` at most."""
        left = inf if limit is None else limit
        walks = [self._walk(stream, left) for stream in self._streams]
        heads = [(letter, walk) for walk in walks if (letter := await anext(walk, None))]
        while heads and left > 0:
            head = min(heads, key=lambda one: tuple(map(int, one[0].id.split("-"))))
            yield head[0]
            left -= 1
            heads.remove(head)
            if letter := await anext(head[1], None):
                heads.append((letter, head[1]))

    async def newest(self, limit: int, before: str = "") -> Sequence[DeadLetter]:
        """Return up to `limit` of them, the newest first: those before the one with an id, if that is given."""
        behind = f"({before}" if ENTRY.fullmatch(before) else "+"
        found: dict[tuple[int, ...], DeadLetter] = {}
        for stream in self._streams:
            page = await self._call(self._redis.xrevrange(stream, max=behind, count=limit))
            found |= {tuple(map(int, entry.decode().split("-"))): _read(entry, fields) for entry, fields in page}
        return [found[place] for place in sorted(found, reverse=True)[:limit]]

    async def _walk(self, stream: str, limit: float) -> AsyncIterator[DeadLetter]:
        after, count = "-", int(min(PAGE, limit))
        while True:
            page = await self._call(self._redis.xrange(stream, min=after, count=count))
            for entry, fields in page:
                yield _read(entry, fields)
            if len(page) < count:
                return
            after = f"({page[-1][0].decode()}"

    async def get(self, letter_id: str) -> DeadLetter:
        """Return one.

        Raises:
            UnknownCancellation: there is none with this id.

        """
        for stream in self._streams if ENTRY.fullmatch(letter_id) else ():
            found = await self._call(self._redis.xrange(stream, min=letter_id, max=letter_id, count=1))
            if found:
                return _read(*found[0])
        raise UnknownCancellation(f"no dead letter is known as {letter_id!r}")

    async def forget(self, letter: DeadLetter) -> None:
        """Forget that the message was rejected, so that it may be tried, and rejected, again."""
        await self._run(self._scripts.forget, letter.mark, REMEMBERED_DAYS)

    async def drop(self, letter: DeadLetter) -> None:
        """Delete one."""
        for stream in self._streams:
            await self._call(self._redis.xdel(stream, letter.id))


def _read(entry: bytes, fields: Mapping[bytes, bytes]) -> DeadLetter:
    stamp = entry.decode().partition("-")[0]
    reason, raw, mark = (fields.get(name, b"").decode("utf-8", "replace") for name in (b"reason", b"raw", b"mark"))
    return DeadLetter(entry.decode(), moment(int(stamp)), reason, raw, mark)
