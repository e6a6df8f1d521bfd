"""Batches in Redis: what workers do with them, and what clients read (their state, the results of their members)."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from msgspec import Struct

from ..domain.errors import ActionRejected, InvalidCommand, UnknownBatch
from ..protocol.batches import WRONG, BatchOrder, BatchPart, BatchResult, BatchStatus
from ..protocol.signing import Signed
from .batch_codec import (
    CUT,
    LINE,
    RECORD,
    BatchRecord,
    backends_of,
    result_of,
    status_of,
)
from .codec import WRITER, moment
from .event_log import EventLog
from .script_arguments import command_arguments, grouped, verdict
from .transitions import Acceptance, Accepted, RejectedMember

LEVEL = 6
"""How hard the commands of a part are compressed: to about 20 bytes for each."""
LEASE = 2.0
"""Seconds for which a worker has a batch for itself."""
AT_ONCE = 10
"""The most batches that a worker gets in one round."""
SWEPT_AT_ONCE = 25
"""The most open members that one script call holds, releases or aborts, so that it takes a few milliseconds."""
UNFIT = frozenset({"conflict", "broken"})
"""Verdicts on a member that can't be started: it has to be rejected, and then given again as a `RejectedMember`."""


class Duty(Struct, frozen=True):
    """What is to be done for a batch: `count` members may start from index `cursor` on; `sweep` says that one goes on.

    `created` is when its first part arrived, in milliseconds: an id may be used again once its batch is past its
    retention. `any_state` says that no member's `expect` counts. `passed` is how many members before the cursor wait
    for room on their backend, by backend.
    """

    id: str
    created: int
    cursor: int
    count: int
    sweep: bool
    any_state: bool
    passed: Mapping[str, int]


class Duties(Struct, frozen=True):
    """What there is to do in a round; `next_at` is when the next batch needs work, None if none will.

    `older` is how many live workers do not know batches; while there is one, nothing starts.
    """

    now: datetime
    next_at: datetime | None
    older: int
    batches: tuple[Duty, ...]


class PartSize(Struct, frozen=True):
    """The members of one part: how many, the index of the first one, and who signed them, empty for nobody."""

    number: int
    first: int
    count: int
    signed_by: str


class Step(Struct, frozen=True):
    """The members of a batch from index `cursor` on that are to be started.

    `rooms` says for each backend how many first passes of the batch lane may wait there. If `of` names a backend, the
    members are instead the first ones of that backend that were passed, with these `indexes`.
    """

    batch_id: str
    cursor: int
    members: Sequence[Acceptance | RejectedMember]
    rooms: Mapping[str, int]
    of: str = ""
    indexes: Sequence[int] = ()


class Batches(EventLog):
    """The batches of one deployment."""

    async def take_part(self, part: BatchPart, signed: Signed | None = None) -> bool:
        """Take in one part; False if it was taken in before.

        Raises:
            InvalidCommand: it contradicts what was taken in before.

        """
        options = part.options.model_dump_json(exclude_none=True) if part.options else ""
        whose = (signed.producer, signed.per_minute / 60 if signed.per_minute else "") if signed else ("", "")
        dry_runs = sum(isinstance(one, Mapping) and one.get("dry_run") is True for one in part.commands)
        packed = zlib.compress(json.dumps(part.commands, separators=(",", ":")).encode(), LEVEL)
        size = (len(part.commands), dry_runs, packed)
        named = (part.batch_id, part.part, part.parts, part.digest)
        keep = int(self._retention.records)
        arguments = (*named, *size, options, *whose, json.dumps(backends_of(part)), keep)
        said = (await self._run(self._scripts.batch_part, *arguments)).decode()
        if said in WRONG:
            raise InvalidCommand(WRONG[said])
        return bool(said == "ok")

    async def carry_out(self, order: BatchOrder, *, signed_by: str = "", message_id: str = "") -> None:
        """Carry out an order about a batch. A redelivered message changes nothing.

        Raises:
            UnknownBatch: there is none.
            ActionRejected: its state does not allow this order.

        """
        whose = (order.by, order.reason, signed_by, message_id, self._days, int(order.hold))
        said = (await self._run(self._scripts.batch_order, order.batch_id, order.action, *whose)).decode()
        if said == "unknown":
            raise UnknownBatch(f"no batch is known as {order.batch_id!r}")
        if said in WRONG:
            raise ActionRejected(f"batch {order.batch_id}: {WRONG[said]}")

    async def feed(self, worker: str, left: Sequence[str] = ()) -> Duties:
        """Find the batches that need work, and lease each of them to this worker for a while.

        Those in `left` are left to other workers.
        """
        now, next_at, older, *found = await self._run(self._scripts.feed, worker, int(LEASE * 1000), AT_ONCE, *left)
        duties = []
        for id_, what in zip(found[::2], found[1::2], strict=True):
            todo = json.loads(what)
            created, cursor, count = (int(todo[name]) for name in ("created", "cursor", "count"))
            sweep, any_state = (bool(todo[name]) for name in ("sweep", "blind"))
            duties.append(Duty(id_.decode(), created, cursor, count, sweep, any_state, todo["passed"]))
        return Duties(moment(now), moment(int(next_at)) if int(next_at) >= 0 else None, int(older), tuple(duties))

    async def let_go(self, batch_id: str) -> None:
        """Give up this worker's lease of a batch."""
        await self._interruptible(self._redis.delete(f"{self._base}:feeder:{batch_id}"))

    async def sweep(self, batch_id: str) -> tuple[bool, list[str]]:
        """Hold, release or abort the next open members of a batch.

        Return whether there may be more to do at once, and the backends on which something is due now.
        """
        goes_on, *names = await self._run(self._scripts.sweep, batch_id, SWEPT_AT_ONCE)
        return bool(goes_on), [name.decode() for name in names]

    async def start(self, step: Step, worker: str) -> list[Accepted]:
        """Start members, each once; return the verdicts on those that were started, perhaps fewer than were given.

        A member may be `passed` instead. The last verdict may be on one that was not started, but has to be rejected:
        see `UNFIT`.
        """
        head = WRITER.encode(
            {
                "id": step.batch_id,
                "cursor": step.cursor,
                "worker": worker,
                "lease": int(LEASE * 1000),
                "rooms": dict(step.rooms),
                **({"of": step.of, "indexes": list(step.indexes)} if step.of else {}),
            }
        )
        places, members = command_arguments(step.members)
        reply = await self._run(self._scripts.start, self._days, places, head, *next(grouped(members), ()))
        return [verdict(entry) for entry in reply]

    async def sizes(self, batch_id: str) -> list[PartSize]:
        """Return the parts of a batch that have arrived, in order; their indexes are right once all have arrived."""
        name = f"{self._base}:batchsizes:{batch_id}"
        found = await self._interruptible(cast("Any", self._redis.hgetall(name)))
        sizes: list[PartSize] = []
        first = 0
        for number, text in sorted((int(number), text.decode()) for number, text in found.items()):
            _, count, signed_by = text.split(" ", 2)
            sizes.append(PartSize(number, first, int(count), signed_by))
            first += int(count)
        return sizes

    async def commands(self, batch_id: str, number: int) -> list[Any]:
        """Return the commands of one part; empty if it is not there."""
        name = f"{self._base}:batchparts:{batch_id}"
        packed = await self._interruptible(cast("Any", self._redis.hget(name, str(number))))
        return json.loads(zlib.decompress(packed)) if packed else []

    async def passed(self, batch_id: str, backend: str, count: int) -> list[int]:
        """Return the indexes of the first members, up to `count`, that were passed because their backend is full."""
        name = f"{self._base}:batchpassed:{batch_id}:{backend}"
        found = await self._interruptible(cast("Any", self._redis.lrange(name, 0, count - 1)))
        return [int(index) for index in found]

    async def status(self, batch_id: str) -> BatchStatus:
        """Return what is known of a batch.

        Raises:
            UnknownBatch: there is none, or it is past its retention.

        """
        return status_of(batch_id, await self._record(batch_id))

    async def list(self, limit: int) -> list[BatchStatus]:
        """Return up to `limit` batches, the newest first."""
        ids = await self._interruptible(self._redis.zrevrange(f"{self._base}:batches", 0, limit - 1))
        names = [f"{self._base}:batch:{id_.decode()}" for id_ in ids]
        found = await self._interruptible(self._redis.mget(names)) if ids else []
        return [
            status_of(id_.decode(), RECORD.decode(value))
            for id_, value in zip(ids, found, strict=True)
            if value is not None
        ]

    async def report(self, batch_id: str) -> AsyncIterator[BatchResult]:
        """Go through the members of a batch in their order, also those that have not ended.

        Raises:
            UnknownBatch: there is none, or it is past its retention.

        """
        cut = (await self._record(batch_id)).cut
        for part in await self.sizes(batch_id):
            indexes = range(part.first, part.first + part.count)
            pipe = self._redis.pipeline(transaction=False)
            pipe.zrangebyscore(f"{self._base}:batchopen:{batch_id}", part.first, indexes[-1])
            pipe.hmget(f"{self._base}:batchends:{batch_id}", [str(index) for index in indexes])
            members, ends = await self._interruptible(pipe.execute())  # in this order no end goes unseen
            open_ = dict(member.decode().split(" ", 1) for member in members)
            commands = await self.commands(batch_id, part.number)
            for index, content, end in zip(indexes, commands, ends, strict=True):
                cancellation_id = open_.get(str(index))
                line = LINE.decode(end) if end else CUT if cut is not None and not cancellation_id else None
                yield result_of(batch_id, index, content, line, cancellation_id)

    async def _record(self, batch_id: str) -> BatchRecord:
        value = await self._interruptible(self._redis.get(f"{self._base}:batch:{batch_id}"))
        if value is None:
            raise UnknownBatch(f"no batch is known as {batch_id!r}")
        return RECORD.decode(value)
