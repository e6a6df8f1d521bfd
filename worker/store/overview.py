"""Reads a whole deployment at a bounded cost: its backends, what is open page by page, what has changed since.

Nothing here reads everything at once. The raw bytes of events are searched before any is parsed.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from msgspec import Struct

from ..domain.cancellation import Cancellation
from ..domain.errors import NewerFormat, UnreadableRecord
from .codec import Snapshot, moment, read
from .keyspace import Keyspace

EVENT_PAGE = 1000
ABOUT = b'"cancellationid":"'
HELD = b".force_held.v1"
BREAKER = b'"type":"canceller.backend.'
Gates = Mapping[tuple[str, str], Mapping[str, Any]]
"""What `force_held` events say of each condition, by cancellation and by the job whose gate is shut."""


class BackendNow(Struct, frozen=True):
    """A backend: how many cancellations are open, whether a live worker serves it, what its breaker does.

    `paused_until` is when the breaker's pause ends or has ended; None while the breaker is closed.
    """

    name: str
    open: int
    served: bool
    failures: int
    paused_until: datetime | None


class Deployment(Struct, frozen=True):
    """A deployment at one moment.

    `left` is how many commands wait for a worker that serves their backend, `position` is that of the newest event.
    """

    now: datetime
    workers: int
    backends: tuple[BackendNow, ...]
    dead_letters: int
    left: int
    position: str


class Changes(Struct, frozen=True):
    """What has changed according to the events up to a position; `whole` is False if there may be more after it."""

    position: str
    ids: frozenset[str]
    gates: Gates
    whole: bool


class Overview(Keyspace):
    """One deployment, for somebody who watches all of it."""

    async def deployment(self) -> Deployment:
        """Return how the deployment is now, in two round trips."""
        base = self._base
        pipe = self._redis.pipeline(transaction=False)
        pipe.smembers(f"{base}:backends")
        pipe.hkeys(f"{base}:at")
        pipe.smembers(f"{base}:handovers")
        for stream in self._letters:
            pipe.xlen(stream)
        pipe.xrevrange(f"{base}:events", count=1)
        had, told, left_of, *letters, newest = await self._interruptible(pipe.execute())
        _, _, now, workers, *served = await self._run(self._scripts.now)
        names = sorted({*had, *told})
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.hlen(f"{base}:open:{name.decode()}")
            pipe.hmget(f"{base}:breaker:{name.decode()}", "fails", "open", "until")
        for name in left_of:
            pipe.hlen(f"{base}:handover:{name.decode()}")
        found = await self._interruptible(pipe.execute()) if names or left_of else []
        backends = (
            _backend(name, name in served, found[2 * index], found[2 * index + 1]) for index, name in enumerate(names)
        )
        left = sum(found[2 * len(names) :])
        position = newest[0][0].decode() if newest else "0-0"
        return Deployment(moment(now), int(workers), tuple(backends), sum(letters), left, position)

    async def open_page(self, backend: str, cursor: int, count: int) -> tuple[int, list[str]]:
        """Return the next cursor, 0 at the end, and the ids of about `count` open cancellations of a backend."""
        found, page = await self._interruptible(self._redis.hscan(f"{self._base}:open:{backend}", cursor, count=count))
        return int(found), [one.decode() for one in page.values()]

    async def snapshots(self, ids: Sequence[str], *, commands: bool) -> list[Snapshot]:
        """Read many records in one round trip, with their commands if asked to.

        What is gone, damaged or of a newer format is left out.
        """
        parts = ("hot", "cold") if commands else ("hot",)
        names = [f"{self._base}:{part}:{one}" for one in ids for part in parts]
        found = await self._interruptible(self._redis.mget(names)) if ids else []
        snapshots: list[Snapshot] = []
        for place, one in enumerate(ids):
            hot, *cold = found[place * len(parts) : (place + 1) * len(parts)]
            if hot is not None:
                with suppress(NewerFormat, UnreadableRecord):
                    snapshots.append(read(one, hot, *cold))
        return snapshots

    async def changes(self, after: str, pages: int = 5) -> Changes:
        """Return what has changed since a position, up to `pages` thousand events later."""
        ids: set[str] = set()
        gates: dict[tuple[str, str], Mapping[str, Any]] = {}
        for _ in range(pages):
            page = await self._interruptible(
                self._redis.xrange(f"{self._base}:events", min=f"({after}", count=EVENT_PAGE)
            )
            for entry, fields in page:
                after = entry.decode()
                raw = fields.get(b"event", b"")
                if (one := _about(raw)) and HELD in raw:
                    gates.update(_gates(raw))
                if one:
                    ids.add(one)
            if len(page) < EVENT_PAGE:
                return Changes(after, frozenset(ids), gates, whole=True)
        return Changes(after, frozenset(ids), gates, whole=False)

    async def gates(self, ids: Collection[str], searched: int) -> Gates:
        """Return what the newest `searched` events say of the shut gates of some cancellations."""
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        async for raw in self._newest(searched):
            if HELD in raw and _about(raw) in ids:
                for key, gate in _gates(raw):
                    found.setdefault(key, gate)
        return found

    async def mentioned(self, job_id: str, batch_id: str, searched: int, limit: int) -> list[str]:
        """Return cancellations of a job or a batch that the newest `searched` events are about, newest first."""
        named = {"subject": job_id, "batch_id": batch_id}
        needles = [  # as the scripts write them into events
            f'"{name}":{json.dumps(value, ensure_ascii=False)}'.encode("utf-8", "replace")
            for name, value in named.items()
        ]
        found: dict[str, None] = {}
        async for raw in self._newest(searched):
            if any(needle in raw for needle in needles) and (one := _about(raw)):
                found[one] = None
                if len(found) >= limit:
                    break
        return list(found)

    async def story(self, one: Cancellation, number: int, searched: int) -> list[Mapping[str, Any]]:
        """Return the events of a cancellation and of its backend's breaker that are among the entries searched.

        `number` is how many the cancellation has. Half of the `searched` entries are those from its acceptance on, half
        are the newest ones: in a busy stream, events in between may be missing.
        """
        needle = ABOUT + one.id.encode() + b'"'
        whose = b'"backend":"' + one.backend.encode() + b'"'
        early: dict[str, Mapping[str, Any]] = {}
        late: dict[str, Mapping[str, Any]] = {}
        found = 0
        after, left = f"{int(one.accepted_at.timestamp() * 1000) - 1000}", searched // 2
        while left > 0 and found < number:
            count = min(left, EVENT_PAGE)
            call = self._redis.xrange(f"{self._base}:events", min=after, count=count)
            page = await self._interruptible(call)
            for _, fields in page:
                early.update(_events(fields.get(b"event", b""), needle, whose))
            found = sum(event.get("cancellationid") == one.id for event in early.values())
            left = left - count if len(page) == count else 0
            after = f"({page[-1][0].decode()}" if page else after
        if found < number:
            async for raw in self._newest(searched // 2):
                late.update(_events(raw, needle, whose))
        return list((early | dict(reversed(late.items()))).values())

    async def _newest(self, searched: int) -> AsyncIterator[bytes]:
        before = "+"
        while searched > 0:
            count = min(searched, EVENT_PAGE)
            page = await self._interruptible(self._redis.xrevrange(f"{self._base}:events", max=before, count=count))
            for _, fields in page:
                yield fields.get(b"event", b"")
            if len(page) < count:
                return
            searched -= count
            before = f"({page[-1][0].decode()}"


def _backend(name: bytes, served: bool, size: int, breaker: Sequence[bytes | None]) -> BackendNow:  # noqa: FBT001 - one column
    failures, is_open, until = breaker
    paused = moment(float(until)) if is_open == b"1" and until else None
    return BackendNow(name.decode(), size, served, int(failures or 0), paused)


def _about(raw: bytes) -> str:
    """Return which cancellation an event is about; ids are ours and hold nothing that JSON escapes."""
    return raw.partition(ABOUT)[2].partition(b'"')[0].decode()


def _gates(raw: bytes) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
    try:
        event = json.loads(raw)
        data = event["data"]
        yield (str(event["cancellationid"]), str(data["target_job_id"])), data["gate"]
    except (ValueError, LookupError, TypeError):
        return


def _events(raw: bytes, needle: bytes, whose: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if needle in raw or (BREAKER in raw and whose in raw):
        try:
            event = json.loads(raw)
            yield str(event["id"]), event
        except (ValueError, LookupError, TypeError):
            return
