"""The only module that talks to Redis about cancellations. Every transition is one of the scripts under `lua/`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from msgspec.structs import replace
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from ..aio.coalescer import Coalescer
from ..aio.tasks import unswallowed
from ..domain.cancellation import Cancellation
from ..errors import CONFLICT, CommandConflict, SeveralOpen, UnknownCancellation
from ..protocol.messages import Event
from ..protocol.operator_actions import backend_acted_on
from ..protocol.signing import Signed
from . import codec
from .clock_witness import Witness
from .codec import Record, Snapshot, fragment, milliseconds, moment, place_mark
from .event_entries import readable
from .patterns import literal
from .peers import Peers
from .redis_client import translated
from .retention import DAY, USUAL, Retention
from .scripts import load
from .transitions import (
    Acceptance,
    Accepted,
    Claims,
    Commit,
    Rejection,
    ToClaim,
    accept_argument,
    claim_arguments,
    commit_arguments,
    grouped,
    places_argument,
    read_claims,
    read_times,
    verdict,
)

NOTHING: Mapping[str, Any] = {}
GROUP = 100
"""How many records one script call moves at most: it keeps each under a few milliseconds."""


class Store:
    """Cancellations, their schedule and their events, in one Redis."""

    def __init__(self, redis: Redis, prefix: str, retention: Retention = USUAL, longest: float = DAY) -> None:
        """`longest` is the longest `give_up_after` of any backend, in seconds: command ids outlive it."""
        self._redis = redis
        self._base = f"{{{prefix}}}"
        self._retention = retention
        self._days = int((retention.records + longest) // DAY) + 1
        self._memory = 0.0
        self._scripts = load(redis)
        self._witness = Witness("redis")
        self.peers = Peers(redis, self._base)
        self.commits: Coalescer[Commit, int] = Coalescer(self._commit, GROUP)

    async def accept(self, acceptance: Acceptance) -> Accepted:
        """Take in one command."""
        return (await self.accept_all([acceptance]))[0]

    async def accept_all(self, acceptances: Sequence[Acceptance]) -> list[Accepted]:
        """Take in many commands of one message."""
        places = places_argument(acceptances)
        arguments = [accept_argument(one) for one in acceptances]
        return [accepted for group in grouped(arguments) for accepted in await self._accept(places, group)]

    async def reject(self, rejection: Rejection) -> bool:
        """Reject a command with an event and a dead letter; False if this very rejection was made before."""
        whose = (rejection.mark, rejection.backend, rejection.subject)
        data = "{" + fragment(rejection.data) + "}"
        kept = (rejection.raw, rejection.reason, int(rejection.stranger))
        limit = self._retention.letters_limit(self._memory, stranger=rejection.stranger)
        return bool(await self._run("reject", self._days, *whose, data, *kept, limit))

    async def count_commands(self, counts: Mapping[str, int]) -> None:
        """Note how many commands messages have, by the messages' ids: whoever waits for all of them asks."""
        pipe = self._redis.pipeline(transaction=False)
        for message_id, count in counts.items():
            pipe.set(f"{self._base}:submit:{message_id}", count, ex=int(self._retention.records))
        await self._call(pipe.execute())

    async def claim(self, one: ToClaim) -> Claims:
        """Claim what is due on one backend. A record of a newer format is left to newer workers."""
        return read_claims(await self._run("claim", *claim_arguments(one)))

    async def accept_and_claim(
        self, few: Sequence[Acceptance], one: ToClaim
    ) -> tuple[Claims | None, Coroutine[Any, Any, list[Accepted]]]:
        """Take in a few commands and claim what is due, on one way to Redis.

        Return what was claimed, if anything could be, and what became of the commands: to be awaited, and
        then it may raise StoreUnavailable, but what was claimed is claimed all the same.
        """
        keys, pipe = [f"{self._base}:events"], self._redis.pipeline(transaction=False)
        arguments = [self._days, places_argument(few), *(accept_argument(one) for one in few)]
        self._scripts.accept.put_into(pipe, keys, arguments)
        self._scripts.claim.put_into(pipe, keys, claim_arguments(one))
        accepted, claimed = await self._call(pipe.execute(raise_on_error=False))
        return None if isinstance(claimed, Exception) else read_claims(claimed), self._settled(accepted, few)

    async def _settled(self, reply: list[bytes] | Exception, few: Sequence[Acceptance]) -> list[Accepted]:
        if isinstance(reply, NoScriptError):
            return await self.accept_all(few)
        with translated():
            if isinstance(reply, Exception):
                raise reply
        return [verdict(entry) for entry in reply]

    async def commit(self, commit: Commit) -> int:
        """Hand in a pass: 1 done, 0 refused since the orders changed, -1 the claim is no longer ours."""
        return await self.commits.add(commit)

    async def beat(self, worker: str, life: float, backends: Sequence[str]) -> tuple[datetime, list[datetime | None]]:
        """Say that this worker lives for `life` seconds more; return the time and each backend's next due."""
        asked = self._witness.now()
        now, step, *due = await self._run("beat", worker, int(life * 1000), *self._witness.knows(asked), *backends)
        self._witness.hears(asked, int(now), step)
        return moment(int(now)), [moment(int(one)) if int(one) >= 0 else None for one in due]

    async def fullness(self) -> float:
        """Return the share of Redis's memory limit that is used; 0 where there is no limit."""
        memory = await self._call(self._redis.info("memory"))
        self._memory = float(memory.get("maxmemory", 0))
        return float(memory["used_memory"]) / self._memory if self._memory else 0.0

    async def leave(self, worker: str) -> None:
        """Say that a worker is gone, so that others take over at once what it still holds."""
        await self._call(self._redis.zrem(f"{self._base}:workers", worker))

    async def act(
        self,
        action: str,
        cancellation_id: str,
        by: str,
        reason: str,
        *,
        signed_by: str = "",
        message_id: str = "",
        more: Mapping[str, Any] = NOTHING,
    ) -> str:
        """Carry out an operator's action; return the backend. A message that comes again changes nothing.

        Raises:
            UnknownCancellation: there is none.
            ActionRejected: it has ended, or can't be acted on so.

        """
        whose = (by, reason, signed_by, message_id, self._days, json.dumps(more))
        script = self._scripts.actions[action]
        reply = await self._call(script(keys=[f"{self._base}:events"], args=(cancellation_id, *whose)))
        return backend_acted_on(reply, cancellation_id, signed_by or by)

    async def use(self, signed: Signed, message_id: str) -> str:
        """Use up an order's signature: ok, replayed, or throttled."""
        args = (signed.mark, message_id, signed.producer, signed.per_minute or 0)
        return str((await self._run("use", *args)).decode())

    async def times(self) -> list[datetime]:
        """Return the time, and behind it Redis's own if a step of its clock lies between them."""
        return read_times(await self._run("now"))

    async def resolve(self, reference: str, digest: str = "") -> str:
        """Return the id of the cancellation that a cancellation id or a command id names, as `find_command` does.

        Raises:
            UnknownCancellation: there is none, or it is past its retention.

        """
        if await self._read(self._redis.exists(f"{self._base}:hot:{reference}")):
            return reference
        found = await self.find_command(reference, digest)
        if not found:
            raise UnknownCancellation(f"no cancellation or command is known as {reference!r}")
        return found

    async def find_command(self, command_id: str, digest: str = "") -> str:
        """Return the id of the cancellation that a command opened or joined; empty if the command is unknown.

        Raises CommandConflict where the id is that of a command with another `digest`, if one is given.
        """
        told = await self._run("recall", self._days, command_id)
        remembered, found = [part.decode() for part in told[:2]] or ("", "")
        if found and digest not in {"", remembered}:
            raise CommandConflict(CONFLICT)
        return found

    async def open_id(self, backend: str, job_id: str) -> str:
        """Return the id of the open cancellation of a job, empty if there is none.

        The one of the job that its id alone addresses goes before those that take more.

        Raises:
            SeveralOpen: jobs at different addresses have this id.

        """
        name = f"{self._base}:open:{backend}"
        plain = await self._read(cast("Any", self._redis.hget(name, job_id)))
        found = [plain.decode()] if plain else await self._open_elsewhere(name, job_id)
        if len(found) > 1:
            ids = ", ".join(sorted(found))
            raise SeveralOpen(f"{len(found)} jobs of {backend} have the id {job_id}: name one by its id: {ids}")
        return found[0] if found else ""

    async def _open_elsewhere(self, name: str, job_id: str) -> list[str]:
        """Return the ids of the open cancellations of a job whose key holds an address, as `lib.lua` writes it."""
        pattern = literal(job_id) + "\x1f*"
        with translated():
            found = {field async for field in self._redis.hscan_iter(name, pattern, count=1000)}
        return [cancellation_id.decode() for _, cancellation_id in found]

    async def get(self, cancellation_id: str) -> Snapshot:
        """Read one cancellation.

        Raises:
            UnknownCancellation: there is none, or it is past its retention.
            NewerFormat, UnreadableRecord: it was written by a newer version, or by nobody of ours.

        """
        base = self._base
        hot, cold = await self._read(
            self._redis.mget(f"{base}:hot:{cancellation_id}", f"{base}:cold:{cancellation_id}")
        )
        if hot is None:
            raise UnknownCancellation(f"no cancellation is known as {cancellation_id!r}")
        seen = codec.read(cancellation_id, hot, cold or b"")
        due, claimed = await self._due(seen.record)
        return replace(seen, due_at=None if due is None else moment(due), claimed=claimed)

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
        found = await self._read(self._redis.mget(f"{self._base}:hot:{one}" for one in ids)) if ids else []
        return [codec.mark_of(hot) for hot in found if hot is not None]

    async def note_places(self, places: Mapping[str, str]) -> None:
        """Say where the backends of a worker's file are, in words."""
        pipe = self._redis.pipeline(transaction=False)
        for backend, place in places.items():
            pipe.hset(f"{self._base}:places", place_mark(place), place)
            pipe.hset(f"{self._base}:at", backend, place_mark(place))
        await self._call(pipe.execute())

    async def places(self, cancellation: Cancellation) -> tuple[str, str]:
        """Return in words for which place a cancellation was accepted, and where its backend is now."""
        now = await self._read(cast("Any", self._redis.hget(f"{self._base}:at", cancellation.backend)))
        marks = [cancellation.place, now or b""]
        before, after = await self._read(cast("Any", self._redis.hmget(f"{self._base}:places", marks)))
        return (before or b"").decode(), (after or b"").decode()

    async def backends(self) -> list[str]:
        """Return the names of the backends that have open cancellations."""
        return await self.peers.named("backends", "open")

    async def last_event_id(self) -> str:
        """Return the stream id of the newest event, from which a reader may go on."""
        newest = await self._read(self._redis.xrevrange(f"{self._base}:events", count=1))
        return newest[0][0].decode() if newest else "0-0"

    async def events(self, after: str, *, block: float | None = None, count: int = 500) -> list[tuple[str, Event]]:
        """Return events behind a stream id; wait up to `block` seconds for the first one."""
        milliseconds_ = None if block is None else max(1, int(block * 1000))
        while True:
            call = self._redis.xread({f"{self._base}:events": after}, count=count, block=milliseconds_)
            entries = [entry for _, stream in await self._read(call) or [] for entry in stream]
            found = readable(entries)
            if found or not entries:
                return found
            after = entries[-1][0].decode()

    async def event(self, entry: str) -> Event | None:
        """Return the event with this stream id, None once it is past its retention."""
        found = await self._read(self._redis.xrange(f"{self._base}:events", min=entry, max=entry, count=1))
        return next((event for _, event in readable(found)), None)

    async def newest_events(self, count: int) -> AsyncIterator[Event]:
        """Walk back through the events, newest first."""
        before = "+"
        while True:
            page = await self._read(self._redis.xrevrange(f"{self._base}:events", max=before, count=count))
            for _, event in readable(page):
                yield event
            if len(page) < count:
                return
            before = f"({page[-1][0].decode()}"

    async def trim(self, now: datetime) -> None:
        """Let go of events and dead letters that are past their retention."""
        for stream, keep in self._retention.streams.items():
            oldest = milliseconds(now) - int(keep * 1000)
            await self._call(self._redis.xtrim(f"{self._base}:{stream}", minid=oldest, approximate=True))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _accept(self, places: bytes, arguments: Sequence[bytes]) -> Sequence[Accepted]:
        reply = await self._run("accept", self._days, places, *arguments)
        return [verdict(entry) for entry in reply]

    async def _commit(self, commits: Sequence[Commit]) -> Sequence[int]:
        keep = int(self._retention.records)
        reply = await self._run("commit", *(part for one in commits for part in commit_arguments(one, keep)))
        return [int(result) for result in reply]

    async def _due(self, record: Record) -> tuple[float | None, bool]:
        cancellation = record.cancellation
        base, backend = self._base, cancellation.backend
        names = [f"{base}:due:{backend}:{class_}" for class_ in ("ip", "if", "bp", "bf")]
        pipe = self._redis.pipeline(transaction=False)
        for name in (*names, f"{base}:park:{backend}:i", f"{base}:park:{backend}:b"):
            pipe.zscore(name, cancellation.id)
        pipe.hexists(f"{base}:claims:{backend}", cancellation.id)
        *scores, claimed = await self._call(pipe.execute())
        return next((score for score in scores if score is not None), None), bool(claimed)

    async def _run(self, script: str, *args: Any) -> Any:
        return await self._call(getattr(self._scripts, script)(keys=[f"{self._base}:events"], args=args))

    async def _read(self, call: Any) -> Any:
        return await unswallowed(self._call(call))

    async def _call(self, call: Any) -> Any:
        with translated():
            return await call
