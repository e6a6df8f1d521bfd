"""What could not be taken in, with the reason and the raw message; a replay is a new try of the same command."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any

from redis.asyncio import Redis

from worker.connection import translated
from worker.errors import InvalidCommand, UnknownCancellation
from worker.records import moment
from worker.scripts import Script, on_store

PAGE = 200
ENTRY = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")
REMEMBERED_DAYS = 40
"""Refusals are forgotten by then: longer than any command id is kept by default."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused message. `raw` is what came, as JSON where it could be read."""

    id: str
    at: datetime
    reason: str
    raw: str
    mark: str

    @property
    def command_id(self) -> str:
        """The id of the command that was refused."""
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


class DeadLetters:
    """The dead letters of one deployment."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._base = f"{{{prefix}}}"
        self._forget = Script(redis, on_store("forget"))

    async def list(self, limit: int | None = None) -> AsyncIterator[DeadLetter]:
        """Walk through them, oldest first, `limit` at most."""
        after, left = "-", inf if limit is None else limit
        while left > 0:
            count = int(min(PAGE, left))
            with translated():
                page: Any = await self._redis.xrange(f"{self._base}:dead", min=after, count=count)
            for entry, fields in page:
                yield _read(entry, fields)
            if len(page) < count:
                return
            after, left = f"({page[-1][0].decode()}", left - count

    async def get(self, letter_id: str) -> DeadLetter:
        """Return one.

        Raises:
            UnknownCancellation: there is none with this id.

        """
        found: Any = []
        if ENTRY.fullmatch(letter_id):
            with translated():
                found = await self._redis.xrange(f"{self._base}:dead", min=letter_id, max=letter_id, count=1)
        if not found:
            raise UnknownCancellation(f"no dead letter is known as {letter_id!r}")
        return _read(*found[0])

    async def forget(self, letter: DeadLetter) -> None:
        """Forget that the message was refused, so that it may be tried, and refused, again."""
        with translated():
            await self._forget(keys=[f"{self._base}:events"], args=[letter.mark, REMEMBERED_DAYS])

    async def drop(self, letter: DeadLetter) -> None:
        """Let go of one."""
        with translated():
            await self._redis.xdel(f"{self._base}:dead", letter.id)


def _read(entry: bytes, fields: Mapping[bytes, bytes]) -> DeadLetter:
    stamp = entry.decode().partition("-")[0]
    reason, raw, mark = (fields.get(name, b"").decode("utf-8", "replace") for name in (b"reason", b"raw", b"mark"))
    return DeadLetter(entry.decode(), moment(int(stamp)), reason, raw, mark)
