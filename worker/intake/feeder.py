"""Starts the members of batches. A feeder runs in each worker, without a leader.

What counts is the batch's cursor in Redis: members start and the cursor moves in one step, so no member is started
twice or lost, whichever worker dies. A worker's lease of a batch only saves duplicate work.
"""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

import structlog
from msgspec.structs import replace

from ..domain.errors import CONFLICT, StoreUnavailable
from ..observability.observer import NOBODY, MessageHandled, Observer
from ..observability.outage import Seldom
from ..store.batches import UNFIT, Duties, Duty, PartSize, Step
from ..store.store import Store
from ..store.transitions import Acceptance, Accepted, RejectedMember, Rejection
from .admission import Admission
from .decoder import text_in
from .delivery import FULL
from .handler import Wake
from .handover import Handover
from .members import Member, judge

log = structlog.get_logger(__name__)

STEP = 30
"""The most members that one step starts, so that its script takes a few milliseconds."""
SMALLEST_STEP = 10
"""What this limit never falls below when many batches take turns."""
LEAST_ROOM = 50
"""First passes of the batch lane that may wait on a backend, however few calls it may have in flight."""
SOON, LATE = 0.05, 1.0
"""The least and the most seconds between two rounds while a batch waits; the worker's beat asks for later rounds."""
RETRY = 0.5
"""Seconds until the next round after one that failed."""
FULL_FOR = 0.2
"""Seconds until a batch's members that wait for room on a backend are tried again."""
KEPT_PARTS = 4
"""How many parts of batches a worker keeps."""
LEFT = 1.0
"""Seconds for which a batch is left to other workers: those that serve its next member's backend, or after an error."""


class Feeder:
    """Starts members of all batches, in turns."""

    def __init__(
        self,
        store: Store,
        admission: Admission,
        worker: str,
        wake_engine: Wake,
        handover: Handover,
        in_flight: Mapping[str, int],
        observer: Observer = NOBODY,
    ) -> None:
        """`in_flight` says for each backend how many calls it may have in flight."""
        self._batches = store.batches
        self._store = store
        self._admission = admission
        self._worker = worker
        self._wake_engine = wake_engine
        self._handover = handover
        self._observer = observer
        self._rooms = {name: max(LEAST_ROOM, 2 * most) for name, most in in_flight.items()}
        self._sizes: tuple[tuple[str, int], Sequence[PartSize]] | None = None
        self._parts: dict[tuple[tuple[str, int], PartSize], Sequence[object]] = {}
        self._full_until: dict[tuple[str, str], float] = {}
        self._warned = Seldom()
        self._full, self._look_again_at = False, 0.0
        self._left: dict[str, float] = {}
        self._stopping = False
        self._woken = asyncio.Event()
        self.wake = self._woken.set
        """Checks at once whether there is something to do."""

    def stop(self) -> None:
        """End after the round under way."""
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        """Start members until stopped. Nothing is asked of Redis before the first `wake`."""
        pause: float | None = None
        while not self._stopping:  # redis-py may swallow a cancellation
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._woken.wait()
            self._woken.clear()
            pause = await self._try_round()

    async def _try_round(self) -> float | None:
        try:
            return None if self._stopping else await self.round()
        except StoreUnavailable as error:
            log.debug("feeder.unavailable", error=str(error))  # the engine logs the outage
        except Exception:
            log.exception("feeder.failed")
        return RETRY

    async def round(self) -> float | None:
        """Do what there is to do; return the seconds until the next round, None if a beat will ask for it."""
        now = asyncio.get_running_loop().time()
        self._left = {batch_id: until for batch_id, until in self._left.items() if until > now}
        self._full_until = {which: until for which, until in self._full_until.items() if until > now}
        duties = await self._batches.feed(self._worker, sorted(self._left))
        if duties.older and duties.next_at is not None and self._warned.due():
            hint = "finish the upgrade: members start once all workers support batches"
            log.warning("feeder.waits_for_older_workers", workers=duties.older, hint=hint)
        if any(duty.count for duty in duties.batches) and await self._is_full(now):
            duties = replace(duties, batches=tuple(replace(duty, count=0) for duty in duties.batches))
        worked = await self._work(duties)
        if worked:
            return 0.0
        if duties.next_at is None:
            return None
        wait = (duties.next_at - duties.now).total_seconds()
        return max(SOON, wait) if wait <= LATE else None

    async def _is_full(self, now: float) -> bool:
        """Say whether the store is too full to take in anything new, as of the last second."""
        if now >= self._look_again_at:
            self._full = await self._store.fullness() > FULL
            self._look_again_at = now + LATE
        return self._full

    async def _work(self, duties: Duties) -> bool:
        """Work on batches in turns; return whether anything was done."""
        turns = deque(random.sample(duties.batches, len(duties.batches)))
        size = max(SMALLEST_STEP, STEP // max(1, len(turns)))
        worked = False
        while turns and not self._stopping:
            duty = turns.popleft()
            count = min(size, duty.count)
            try:
                swept = duty.sweep and await self._sweep(duty.id)
                late = await self._start_passed(duty, count, duties.now) if count and duty.passed else 0
                started = await self._start(duty, count - late, duties.now) if count > late else 0
            except StoreUnavailable:
                raise
            except Exception:  # other batches go on
                log.exception("feeder.failed", batch_id=duty.id)
                self._left[duty.id] = asyncio.get_running_loop().time() + LEFT
                continue
            worked = worked or swept or late + started > 0
            if late + started == count < duty.count:
                rest = {"cursor": duty.cursor + started, "count": duty.count - count}
                turns.append(replace(duty, **rest, sweep=False, passed={}))
        return worked

    async def _sweep(self, batch_id: str) -> bool:
        """Hold, release or abort the next open members; return whether there may be more to do at once."""
        goes_on, names = await self._batches.sweep(batch_id)
        for name in names:
            self._wake_engine(name)
        return goes_on

    async def _start_passed(self, duty: Duty, count: int, now: datetime) -> int:
        """Start up to `count` of the members that were passed; return how many were started."""
        began, started = asyncio.get_running_loop().time(), 0
        elsewhere = await self._handover.elsewhere(duty.passed)
        for backend in random.sample(sorted(duty.passed), len(duty.passed)):
            if backend in elsewhere or self._full_until.get((duty.id, backend), 0.0) > began or started >= count:
                continue
            indexes = await self._batches.passed(duty.id, backend, count - started)
            step = Step(duty.id, duty.cursor, (), self._rooms, backend, indexes)
            mine = await self._start_all(step, await self._members(duty, indexes), now)
            if not mine:
                self._full_until[duty.id, backend] = began + FULL_FOR
            started += mine
        return started

    async def _start(self, duty: Duty, count: int, now: datetime) -> int:
        """Start up to `count` members from the cursor on, or pass them; return how many."""
        members = await self._members(duty, range(duty.cursor, duty.cursor + count))
        step = Step(duty.id, duty.cursor, (), self._rooms)
        return await self._start_all(step, await self._mine(duty, members), now)

    async def _start_all(self, step: Step, members: Sequence[Member], now: datetime) -> int:
        """Start the members of a step; return how many were started or passed."""
        began = asyncio.get_running_loop().time()
        known = self._handover.serving.known
        judged = [(one, judge(self._admission, step.batch_id, one, now, known)) for one in members]
        for member, verdict in judged:
            if isinstance(verdict, Rejection):
                await self._reject(member, verdict)
        started, unfit = 0, True
        while unfit and started < len(judged):
            rest = [
                RejectedMember(one.command_id, one.reason) if isinstance(one, Rejection) else one
                for _, one in judged[started:]
            ]
            indexes = step.indexes[started : len(judged)]
            left = replace(step, members=rest, cursor=step.cursor + started, indexes=indexes)
            verdicts = await self._batches.start(left, self._worker)
            unfit = bool(verdicts) and verdicts[-1].verdict in UNFIT
            seconds = asyncio.get_running_loop().time() - began
            for (member, one), said in zip(judged[started:], verdicts[:-1] if unfit else verdicts, strict=False):
                started += 1
                if said.verdict != "passed":
                    traceparent = one.traceparent if isinstance(one, Acceptance) else None
                    verb = text_in(member.content, "verb")
                    self._observer(MessageHandled(member.backend, verb, said.verdict, traceparent, seconds))
            if unfit:
                judged[started] = await self._reject_unfit(*judged[started], verdicts[-1])
        for name in {one.backend for _, one in judged[:started]}:
            self._wake_engine(name)
        return started

    async def _reject_unfit(
        self, member: Member, one: Acceptance | Rejection, said: Accepted
    ) -> tuple[Member, Rejection]:
        """Reject a member that could not be started; if this worker dies before counting it, another does it again."""
        why = CONFLICT if said.verdict == "conflict" else f"command: could not be taken in: {said.cancellation_id}"
        rejection = self._admission.rejection(member.content, one.command_id, why)
        await self._reject(member, rejection)
        return member, rejection

    async def _mine(self, duty: Duty, members: Sequence[Member]) -> Sequence[Member]:
        """Return the members before the first whose backend only others serve; leave them the batch if that is next."""
        elsewhere = await self._handover.elsewhere({one.backend for one in members})
        mine = next((place for place, one in enumerate(members) if one.backend in elsewhere), len(members))
        if not mine and members:
            self._left[duty.id] = asyncio.get_running_loop().time() + LEFT
            await self._batches.let_go(duty.id)
        return members[:mine]

    async def _members(self, duty: Duty, indexes: Sequence[int]) -> Sequence[Member]:
        """Return the members with these indexes, up to the first one that is not there."""
        batch = duty.id, duty.created
        if self._sizes is None or self._sizes[0] != batch:
            self._sizes = batch, await self._batches.sizes(duty.id)
        members: list[Member] = []
        for index in indexes:
            place = bisect_right(self._sizes[1], index, key=lambda one: one.first) - 1
            part = self._sizes[1][place] if place >= 0 else None
            if part is None or index >= part.first + part.count:
                self._sizes = None if not members else self._sizes
                break
            commands = await self._commands(batch, part)
            if index - part.first >= len(commands):
                break
            content = commands[index - part.first]
            members.append(Member.of(index, content, part.signed_by, any_state=duty.any_state))
        return members

    async def _commands(self, batch: tuple[str, int], part: PartSize) -> Sequence[object]:
        """Return the commands of a part; the latest few are kept."""
        known = self._parts.pop((batch, part), None)
        commands = await self._batches.commands(batch[0], part.number) if known is None else known
        self._parts[batch, part] = commands
        if len(self._parts) > KEPT_PARTS:
            del self._parts[next(iter(self._parts))]
        return commands

    async def _reject(self, member: Member, rejection: Rejection) -> None:
        """Reject a member with an event and a dead letter; a dry run in a batch only has its result."""
        if member.quiet:
            return
        await self._store.reject(rejection)
        log.warning(
            "command.rejected",
            command_id=rejection.data["command_id"],
            backend=rejection.backend,
            reason=rejection.log_reason or rejection.reason,
        )
