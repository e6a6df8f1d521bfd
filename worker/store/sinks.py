"""How far each sink has come in the events, what is owed to it, and which worker delivers to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, cast

from redis.asyncio import Redis

from .codec import WRITER, milliseconds, moment
from .event_entries import body
from .event_log import NEVER
from .keyspace import Keyspace
from .retention import DAY, USUAL, Retention
from .sink_state import Lease, Note, Owed, SinkState
from .stream_ids import stream_order

SLACK = 600.0
"""Seconds for which events are kept beyond `keep_at_most`, so that a worker can first report what is lost."""
FORGOTTEN_AFTER = DAY
"""Seconds after which events are no longer kept for a sink that no worker serves and that is not in the file."""


class Sinks(Keyspace):
    """The sinks of one deployment; `here` are the names of those in this worker's file."""

    def __init__(
        self,
        redis: Redis,
        prefix: str,
        retention: Retention = USUAL,
        here: Collection[str] = (),
        letters_limit: Callable[[], int] | None = None,
    ) -> None:
        super().__init__(redis, prefix, retention)
        self._here = frozenset(here)
        self._letters_limit = letters_limit or (lambda: retention.letters_limit(0, unverified=False))

    async def claim(self, sink: str, worker: str, life: float, kind: str, keep: float) -> tuple[datetime, Lease | None]:
        """Take the lease of a sink for `life` seconds; return the time, and None if another worker has the lease."""
        arguments = (sink, worker, int(life * 1000), kind, int(keep))
        now, number, position = await self._run(self._scripts.sink_claim, *arguments)
        return moment(int(now)), Lease(sink, worker, int(number), position.decode()) if number else None

    async def note(self, lease: Lease, note: Note, life: float) -> tuple[datetime, bool]:
        """Store a note and renew the lease, or give it back with a `life` of 0; False if it is another's by now."""
        owed = {
            entry: json.dumps([one.tries, one.due, one.refused_since, one.order], separators=(",", ":"))
            for entry, one in note.owed.items()
        }
        told: dict[str, Any] = {
            "p": note.position,
            "o": note.oldest,
            "w": [part for one in owed.items() for part in one],
            "x": list(note.settled),
            "a": list(note.replayed),
            "n": note.delivered,
        }
        if note.error:
            told["e"] = note.error
        arguments = (lease.sink, lease.worker, lease.number, int(life * 1000), WRITER.encode(told))
        now, held = await self._run(self._scripts.sink_note, *arguments)
        return moment(int(now)), bool(held)

    async def give_up(
        self, lease: Lease, reason: str, raw: bytes, event_id: str, *, entry: str = "", replay: str = ""
    ) -> bool:
        """Keep what can't be delivered as a dead letter; False if the lease is another's by now."""
        which = (lease.sink, lease.worker, lease.number, entry, replay)
        kept = (reason, raw, f"{event_id} {lease.sink}", self._letters_limit())
        return bool(await self._run(self._scripts.sink_give_up, *which, *kept))

    async def owed(self, sink: str) -> dict[str, Owed]:
        """Return what is owed to a sink, by stream id."""
        found = await self._interruptible(cast("Any", self._redis.hgetall(f"{self._base}:owed:{sink}")))
        return {entry.decode(): Owed(*json.loads(value)) for entry, value in found.items()}

    async def entries(self, after: str, count: int, block: float | None = None) -> list[tuple[str, bytes]]:
        """Return entries of the event stream after a position, waiting up to `block` seconds for the first one."""
        wait = () if block is None else ("BLOCK", max(1, int(block * 1000)))
        # Called by the plain name XREAD, redis-py would make a dict of each entry, which takes as long as all the rest.
        command = ("XREAD COUNT", count, *wait, "STREAMS", f"{self._base}:events", after)
        found = await self._interruptible(cast("Any", self._redis).execute_command(*command))
        if not found:
            return []
        page = next(iter(found.values())) if isinstance(found, dict) else found[0][1]  # RESP3, RESP2
        return [(entry.decode(), body(fields)) for entry, fields in page]

    async def entry(self, entry: str) -> bytes | None:
        """Return the event with a stream id; None if it is no longer there."""
        found = await self._interruptible(self._redis.xrange(f"{self._base}:events", min=entry, max=entry, count=1))
        return found[0][1].get(b"event") if found else None

    async def replays(self, sink: str, after: str, count: int) -> list[tuple[str, bytes]]:
        """Return events that are to be delivered again, with their ids."""
        call = self._redis.xrange(f"{self._base}:again:{sink}", min=f"({after}", count=count)
        return [(entry.decode(), fields.get(b"event", b"")) for entry, fields in await self._interruptible(call)]

    async def states(self) -> list[SinkState]:
        """Return all sinks that ever had a position, by name."""
        _, _, now, *_ = await self._run(self._scripts.now)
        names = sorted(name.decode() for name in await self._interruptible(self._redis.smembers(f"{self._base}:sinks")))
        return [state for name in names if (state := await self._state(name, now)) is not None]

    async def lags(self) -> dict[str, float]:
        """Return the lag of each sink in seconds; one that live workers have not served for a day is left out."""
        now, *_ = await self._run(self._scripts.now)
        states = await self.states()
        return {one.sink: one.lag for one in states if now - milliseconds(one.seen_at) < FORGOTTEN_AFTER * 1000}

    async def _state(self, name: str, now: int) -> SinkState | None:
        pipe = self._redis.pipeline(transaction=False)
        pipe.hgetall(f"{self._base}:sink:{name}")
        pipe.hlen(f"{self._base}:owed:{name}")
        pipe.xlen(f"{self._base}:again:{name}")
        found, owed, replays = await self._interruptible(pipe.execute())
        told = {key.decode(): value.decode("utf-8", "replace") for key, value in found.items()}
        if "position" not in told:
            return None
        since = await self._needed_since(told["position"], told.get("oldest", ""))
        error_at = told.get("error_at")
        return SinkState(
            sink=name,
            kind=told.get("kind", ""),
            position=told["position"],
            lag=0.0 if since == NEVER else max(0.0, (now - since) / 1000),
            owed=owed,
            replays=replays,
            delivered=int(told.get("delivered", 0)),
            since=moment(int(told.get("since", now))),
            seen_at=moment(int(told.get("seen", now))),
            worker=told.get("worker", "") if int(told.get("until", 0)) > now else "",
            error=told.get("error", ""),
            error_at=None if error_at is None else moment(int(error_at)),
        )

    async def needed_since(self, now: datetime) -> int:
        """Return when the oldest event was written that a sink still needs, in milliseconds."""
        needed, at = [NEVER], milliseconds(now)
        for name in await self._interruptible(self._redis.smembers(f"{self._base}:sinks")):
            asked = self._redis.hmget(f"{self._base}:sink:{name.decode()}", "position", "oldest", "keep", "seen")
            position, oldest, keep, seen = await self._interruptible(cast("Any", asked))
            abandoned = at - int(seen or 0) > FORGOTTEN_AFTER * 1000 and name.decode() not in self._here
            if position is None or abandoned:
                continue
            since = await self._needed_since(position.decode(), (oldest or b"").decode())
            needed.append(max(since, at - int((float(keep) + SLACK) * 1000)))
        return min(needed)

    async def _needed_since(self, position: str, oldest: str) -> int:
        """Return when the first event after a position, or the oldest that is owed, was written, in milliseconds.

        `oldest` is empty if nothing is owed. The result is `NEVER` if there is no event of either kind.
        """
        call = self._redis.xrange(f"{self._base}:events", min=f"({position}", count=1)
        entries = [entry.decode() for entry, _ in await self._interruptible(call)] + [oldest] * bool(oldest)
        return min((stream_order(entry)[0] for entry in entries), default=NEVER)
