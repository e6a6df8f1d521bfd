"""What a worker writes: commands that it accepts, passes that it claims and commits, beats, operators' actions.

Every transition is one of the scripts under `lua/`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from redis.asyncio import Redis

from ..aio.coalescer import Coalescer
from ..observability.observer import NOBODY, Committed, Observer
from ..protocol.operator_actions import backend_acted_on
from ..protocol.signing import OBJECTIONS, Signed, objection
from .batches import Batches
from .clock_witness import Witness
from .codec import fragment, moment, place_mark
from .event_log import EventLog
from .event_search import EventSearch
from .peers import Peers
from .reader import Reader
from .retention import DAY, USUAL, Retention
from .script_arguments import (
    claim_arguments,
    command_arguments,
    commit_arguments,
    grouped,
    read_claims,
    verdict,
)
from .script_connection import ScriptConnection
from .sinks import Sinks
from .transitions import Acceptance, Accepted, Claims, Commit, Rejection, ToClaim
from .watch_list import WatchList

NOTHING: Mapping[str, Any] = {}
GROUP = 100
"""The most records that one script call moves, so that each takes a few milliseconds."""


class Store(Reader, EventLog, EventSearch):
    """Cancellations, their schedule and their events, in one Redis."""

    def __init__(
        self,
        redis: Redis,
        prefix: str,
        retention: Retention = USUAL,
        longest: float = DAY,
        scripts: ScriptConnection | None = None,
        observer: Observer = NOBODY,
        sinks: Collection[str] = (),
    ) -> None:
        """`longest` is the longest `give_up_after` of any backend, in seconds: command ids outlive it.

        `scripts` is the connection of a worker's scripts; it is closed with the store. `sinks` are the names of the
        sinks in the backends file.
        """
        super().__init__(redis, prefix, retention, longest, scripts)
        self._own = scripts
        self._memory = 0.0
        self._witness = Witness("redis")
        self.commit = Coalescer(self._commit, GROUP).add
        """Commits a pass; 1: done, 0: refused because the spec has changed, -1: the claim is no longer ours."""
        self.peers = Peers(redis, prefix)
        self.batches = Batches(redis, prefix, retention, longest)
        self.batches_wait = False
        """Whether a batch needed work at the latest beat."""
        self.alone = False
        """Whether no other worker was alive at the latest beat."""
        self.sinks = Sinks(
            redis, prefix, retention, sinks, lambda: retention.letters_limit(self._memory, unverified=False)
        )
        self.watch_list = WatchList(redis, prefix)
        self.observer = observer

    async def accept(self, acceptance: Acceptance) -> Accepted:
        """Accept one command."""
        return (await self.accept_all([acceptance]))[0]

    async def accept_all(self, acceptances: Sequence[Acceptance]) -> list[Accepted]:
        """Accept many commands, in as few script calls as their size allows."""
        places, commands = command_arguments(acceptances)
        accepted: list[Accepted] = []
        for group in grouped(commands):
            reply = await self._run(self._scripts.accept, self._days, places, *group)
            accepted += [verdict(entry) for entry in reply]
        return accepted

    async def reject(self, rejection: Rejection) -> bool:
        """Reject a command with an event and a dead letter; False if the same rejection was made before."""
        whose = (rejection.mark, rejection.backend, rejection.subject)
        data = "{" + fragment(rejection.data) + "}"
        kept = (rejection.raw, rejection.reason, int(rejection.unverified))
        limit = self._retention.letters_limit(self._memory, unverified=rejection.unverified)
        return bool(await self._run(self._scripts.reject, self._days, *whose, data, *kept, limit))

    async def count_commands(self, counts: Mapping[str, int]) -> None:
        """Note how many commands each message has, by message id, for clients that wait for all of them."""
        pipe = self._redis.pipeline(transaction=False)
        for message_id, count in counts.items():
            pipe.set(f"{self._base}:submit:{message_id}", count, ex=int(self._retention.records))
        await self._call(pipe.execute())

    async def claim(self, one: ToClaim) -> Claims:
        """Claim what is due on one backend. A record of a newer format is left to newer workers."""
        return read_claims(await self._run(self._scripts.claim, *claim_arguments(one)))

    async def accept_and_claim(self, few: Sequence[Acceptance], one: ToClaim) -> tuple[list[Accepted], Claims]:
        """Accept a few commands, and claim what is due then, in one step."""
        claiming = claim_arguments(one)
        places, commands = command_arguments(few)
        arguments = (self._days, places, len(claiming), *claiming, *commands)
        verdicts, claimed = await self._run(self._scripts.accept_and_claim, *arguments)
        return [verdict(entry) for entry in verdicts], read_claims(claimed)

    async def _commit(self, commits: Sequence[Commit]) -> Sequence[int]:
        keep = int(self._retention.records)
        arguments = [part for one in commits for part in commit_arguments(one, keep)]
        began = time.monotonic()
        results = [int(result) for result in await self._run(self._scripts.commit, *arguments)]
        self.observer(Committed(len(commits), time.monotonic() - began))
        return results

    async def beat(self, worker: str, life: float, backends: Sequence[str]) -> tuple[datetime, list[datetime | None]]:
        """Report that this worker lives for `life` more seconds; return the time and each backend's next due time."""
        asked = self._witness.now()
        arguments = (worker, int(life * 1000), *self._witness.knows(asked), *backends)
        now, step, fed, others, *due = await self._run(self._scripts.beat, *arguments)
        self._witness.hears(asked, int(now), step)
        self.batches_wait, self.alone = 0 <= int(fed) <= int(now), int(others) == 0
        return moment(int(now)), [moment(int(one)) if int(one) >= 0 else None for one in due]

    async def leave(self, worker: str) -> None:
        """Report that a worker is gone, so that others take over at once what it still holds."""
        pipe = self._redis.pipeline(transaction=False)
        for name in ("workers", "feeders"):
            pipe.zrem(f"{self._base}:{name}", worker)
        await self._call(pipe.execute())

    async def fullness(self) -> float:
        """Return the share of Redis's memory limit that is used; 0 if there is no limit."""
        memory = await self._call(self._redis.info("memory"))
        self._memory = float(memory.get("maxmemory", 0))
        return float(memory["used_memory"]) / self._memory if self._memory else 0.0

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
        """Carry out an operator's action; return the backend. A redelivered message changes nothing.

        Raises:
            UnknownCancellation: there is none.
            ActionRejected: it has ended, or its state does not allow this action.

        """
        arguments = (cancellation_id, by, reason, signed_by, message_id, self._days, json.dumps(more))
        reply = await self._run(self._scripts.actions[action], *arguments)
        return backend_acted_on(reply, cancellation_id, signed_by or by)

    async def use(self, signed: Signed, message_id: str) -> None:
        """Use up the signature of an operator's action.

        Raises:
            SignatureRejected: it was used before, or its producer has sent too many commands.

        """
        arguments = (signed.mark, message_id, signed.producer, signed.per_minute or 0)
        verdict = (await self._run(self._scripts.use, *arguments)).decode()
        if verdict in OBJECTIONS:
            raise objection(signed, verdict)

    async def note_places(self, places: Mapping[str, str]) -> None:
        """Note the place of each backend in this worker's file, in words."""
        pipe = self._redis.pipeline(transaction=False)
        for backend, place in places.items():
            pipe.hset(f"{self._base}:places", place_mark(place), place)
            pipe.hset(f"{self._base}:at", backend, place_mark(place))
        await self._call(pipe.execute())

    async def aclose(self) -> None:
        """Close the connections."""
        if self._own:
            await self._own.aclose()
        await self._redis.aclose()
