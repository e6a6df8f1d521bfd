"""Reads cancellations: by id, by command, by job, by backend. Nothing here writes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from msgspec.structs import replace

from ..domain.cancellation import Cancellation
from ..domain.errors import CONFLICT, CommandConflict, SeveralOpen, UnknownCancellation
from ..protocol.message_ids import kept_id
from . import codec
from .codec import Snapshot, moment
from .keyspace import Keyspace
from .patterns import literal
from .redis_client import translated

CLOCK_STEP = 1000
"""A difference in milliseconds between the deployment's time and Redis's own that only a step of its clock explains."""
SCHEDULES = ("due:{}:ip", "due:{}:if", "due:{}:bp", "due:{}:bf", "park:{}:i", "park:{}:b")
"""The keys of a backend's schedule, as `lua/include/keys.lua` lists them."""


class Reader(Keyspace):
    """The cancellations of one deployment, for clients, operators and workers."""

    async def times(self) -> list[datetime]:
        """Return the time, followed by Redis's own if its clock was stepped."""
        now, by_redis, *_ = await self._run(self._scripts.now)
        return [moment(now)] if abs(now - by_redis) < CLOCK_STEP else [moment(now), moment(by_redis)]

    async def resolve(self, reference: str, digest: str = "") -> str:
        """Return the id of the cancellation that a reference names: by its own id, or by a command's (`find_command`).

        Raises:
            UnknownCancellation: there is none, or it is past its retention.

        """
        if await self._interruptible(self._redis.exists(f"{self._base}:hot:{reference}")):
            return reference
        found = await self.find_command(reference, digest)
        if not found:
            raise UnknownCancellation(f"no cancellation or command is known as {reference!r}")
        return found

    async def find_command(self, command_id: str, digest: str = "") -> str:
        """Return the id of the cancellation that a command opened or joined; empty if the command is unknown.

        Raises:
            CommandConflict: a `digest` is given, and the id belongs to a command with a different one.

        """
        known = await self._run(self._scripts.recall, self._days, kept_id(command_id))
        remembered, found = [part.decode() for part in known[:2]] or ("", "")
        if found and digest not in {"", remembered}:
            raise CommandConflict(CONFLICT)
        return found

    async def open_id(self, backend: str, job_id: str) -> str:
        """Return the id of the open cancellation of a job, empty if there is none.

        A job that its id alone addresses takes precedence over jobs whose address has more parts.

        Raises:
            SeveralOpen: jobs at different addresses have this id.

        """
        ids = await self.open_ids_of(backend, job_id)
        if len(ids) > 1:
            raise SeveralOpen(
                f"{len(ids)} jobs of {backend} have the id {job_id}: name one by its cancellation id: {', '.join(ids)}"
            )
        return ids[0] if ids else ""

    async def open_ids_of(self, backend: str, job_id: str) -> list[str]:
        """Return the ids of the open cancellations of the jobs with an id, as `open_id` finds them."""
        name = f"{self._base}:open:{backend}"
        plain = await self._interruptible(cast("Any", self._redis.hget(name, job_id)))
        if plain:
            return [plain.decode()]
        with_address = literal(job_id) + "\x1f*"  # as `open_field` in `lua/include/record.lua` writes it
        with translated():
            found = {field: id_ async for field, id_ in self._redis.hscan_iter(name, with_address, count=1000)}
        return sorted(id_.decode() for id_ in found.values())

    async def get(self, cancellation_id: str) -> Snapshot:
        """Read one cancellation.

        Raises:
            UnknownCancellation: there is none, or it is past its retention.
            NewerFormat: it was written by a newer version.
            UnreadableRecord: it is damaged, or something else wrote it.

        """
        base = self._base
        parts = self._redis.mget(f"{base}:hot:{cancellation_id}", f"{base}:cold:{cancellation_id}")
        hot, cold = await self._interruptible(parts)
        if hot is None:
            raise UnknownCancellation(f"no cancellation is known as {cancellation_id!r}")
        seen = codec.read(cancellation_id, hot, cold)
        backend = seen.record.cancellation.backend
        pipe = self._redis.pipeline(transaction=False)
        for schedule in SCHEDULES:
            pipe.zscore(f"{base}:{schedule.format(backend)}", cancellation_id)
        pipe.hexists(f"{base}:claims:{backend}", cancellation_id)
        *scores, claimed = await self._call(pipe.execute())
        due = next((score for score in scores if score is not None), None)
        return replace(seen, due_at=None if due is None else moment(due), claimed=bool(claimed))

    async def open_ids(self, backend: str, limit: int) -> list[str]:
        """Return the ids of up to `limit` open cancellations on a backend, in no particular order."""
        ids: list[str] = []
        with translated():
            async for _, found in self._redis.hscan_iter(f"{self._base}:open:{backend}", count=500):
                ids.append(found.decode())
                if len(ids) >= limit:
                    break
        return ids

    async def open_places(self, backend: str, limit: int) -> list[str]:
        """Return the marks of the places for which up to `limit` open cancellations on a backend were accepted."""
        ids = await self.open_ids(backend, limit)
        if not ids:
            return []
        found = await self._interruptible(self._redis.mget(f"{self._base}:hot:{one}" for one in ids))
        return [codec.mark_of(hot) for hot in found if hot is not None]

    async def places(self, cancellation: Cancellation) -> tuple[str, str]:
        """Return in words the place for which a cancellation was accepted, and the place of its backend now."""
        now = await self._interruptible(cast("Any", self._redis.hget(f"{self._base}:at", cancellation.backend)))
        marks = [cancellation.place, now or b""]
        found = await self._interruptible(cast("Any", self._redis.hmget(f"{self._base}:places", marks)))
        before, after = ((text or b"").decode() for text in found)
        return before, after

    async def places_now(self) -> dict[str, str]:
        """Return in words the place of each backend, as the worker that started last has it in its backends file."""
        marks = await self._interruptible(cast("Any", self._redis.hgetall(f"{self._base}:at")))
        if not marks:
            return {}
        texts = await self._interruptible(cast("Any", self._redis.hmget(f"{self._base}:places", [*marks.values()])))
        return {name.decode(): text.decode() for name, text in zip(marks, texts, strict=True) if text is not None}

    async def backends(self) -> list[str]:
        """Return the names of the backends that have open cancellations."""
        members = sorted(await self._interruptible(cast("Any", self._redis.smembers(f"{self._base}:backends"))))
        pipe = self._redis.pipeline(transaction=False)
        for name in members:
            pipe.exists(f"{self._base}:open:{name.decode()}")
        exist = await self._interruptible(pipe.execute())
        return [name.decode() for name, exists in zip(members, exist, strict=True) if exists]
