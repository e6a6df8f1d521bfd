"""Rejected messages, and events that could not be delivered, each with the reason. A replay tries the same again."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any, cast

from ..domain.errors import InvalidCommand, UnknownCancellation
from .codec import moment
from .keyspace import Keyspace
from .retention import UNSIGNED
from .stream_ids import stream_order

PAGE = 200
ENTRY = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")
REMEMBERED_DAYS = 40
"""Days for which a rejection is remembered: longer than any command id is kept by default."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One rejected message. `raw` is what is kept of it: JSON if it could be read, and never a token.

    With a `sink` it is an event that could not be delivered there. An `unverified` one was sent unsigned, or its
    signature was not verified, although signatures are checked.
    """

    id: str
    at: datetime
    reason: str
    raw: str
    mark: str
    sink: str = ""
    unverified: bool = False

    @property
    def command_id(self) -> str:
        """The id of the command that was rejected, or of the event that could not be delivered."""
        return self.mark.rpartition(" ")[0]

    @property
    def event(self) -> str:
        """The event that is to be delivered again, as it was written.

        Raises:
            InvalidCommand: it says only that events were lost.

        """
        if not self.command_id:
            raise InvalidCommand(f"dead letter {self.id}: its events are lost: {self.reason}")
        return self.raw

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
            raise InvalidCommand(f"dead letter {self.id}: it holds no command that could be sent again: {self.reason}")
        return {"command_id": self.command_id, **content}


class DeadLetters(Keyspace):
    """The dead letters of one deployment."""

    async def list(self, limit: int | None = None) -> AsyncIterator[DeadLetter]:
        """Walk through them, oldest first, `limit` at most."""
        left = inf if limit is None else limit
        walks = [self._walk(stream, left) for stream in self._letters]
        heads = [(letter, walk) for walk in walks if (letter := await anext(walk, None))]
        while heads and left > 0:
            head = min(heads, key=lambda one: stream_order(one[0].id))
            yield head[0]
            left -= 1
            heads.remove(head)
            if letter := await anext(head[1], None):
                heads.append((letter, head[1]))

    async def count(self) -> int:
        """Return how many there are."""
        return sum([await self._call(self._redis.xlen(stream)) for stream in self._letters])

    async def newest(self, limit: int, before: str = "") -> Sequence[DeadLetter]:
        """Return up to `limit` of them, the newest first; with an id in `before`, only those older than that one."""
        behind = f"({before}" if ENTRY.fullmatch(before) else "+"
        found: dict[tuple[int, int], DeadLetter] = {}
        for stream in self._letters:
            page = await self._call(self._redis.xrevrange(stream, max=behind, count=limit))
            found |= {stream_order(entry.decode()): self._read(stream, entry, fields) for entry, fields in page}
        return [found[place] for place in sorted(found, reverse=True)[:limit]]

    async def _walk(self, stream: str, limit: float) -> AsyncIterator[DeadLetter]:
        after, count = "-", int(min(PAGE, limit))
        while True:
            page = await self._call(self._redis.xrange(stream, min=after, count=count))
            for entry, fields in page:
                yield self._read(stream, entry, fields)
            if len(page) < count:
                return
            after = f"({page[-1][0].decode()}"

    async def get(self, letter_id: str) -> DeadLetter:
        """Return one.

        Raises:
            UnknownCancellation: there is none with this id.

        """
        for stream in self._letters if ENTRY.fullmatch(letter_id) else ():
            found = await self._call(self._redis.xrange(stream, min=letter_id, max=letter_id, count=1))
            if found:
                return self._read(stream, *found[0])
        raise UnknownCancellation(f"no dead letter is known as {letter_id!r}")

    async def forget(self, letter: DeadLetter) -> None:
        """Forget that the message was rejected, so that it may be tried, and rejected, again."""
        await self._run(self._scripts.forget, letter.mark, REMEMBERED_DAYS)

    async def deliver_again(self, letter: DeadLetter) -> None:
        """Have an event delivered to its sink once more, under its old id.

        Raises:
            InvalidCommand: there is no such event or sink any more.

        """
        event = letter.event
        if not await self._call(cast("Any", self._redis.sismember(f"{self._base}:sinks", letter.sink))):
            raise InvalidCommand(f"dead letter {letter.id}: no sink is known as {letter.sink}")
        await self._call(self._redis.xadd(f"{self._base}:again:{letter.sink}", {"event": event}))

    async def drop(self, letter: DeadLetter) -> None:
        """Delete one."""
        for stream in self._letters:
            await self._call(self._redis.xdel(stream, letter.id))

    def _read(self, stream: str, entry: bytes, fields: Mapping[bytes, bytes]) -> DeadLetter:
        stamp = entry.decode().partition("-")[0]
        names = (b"reason", b"raw", b"mark", b"sink")
        reason, raw, mark, sink = (fields.get(name, b"").decode("utf-8", "replace") for name in names)
        unverified = stream == f"{self._base}:{UNSIGNED}"
        return DeadLetter(entry.decode(), moment(int(stamp)), reason, raw, mark, sink, unverified)
