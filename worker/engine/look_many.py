"""Looks at many jobs of one backend together, if its lists take fewer calls than a look at each job."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from msgspec.structs import replace

from ..backends.adapter import CALLS_SAVED, LookMany, Request
from ..domain.errors import CallUnanswered, CredentialRefused, CredentialUnavailable
from ..domain.escalation import needs_look
from ..domain.model import Answer, AnswerKind, Job, Observation, Source
from ..domain.polling import asked_for
from ..observability.observer import CallMade
from ..store.transitions import Claim
from .backend import Backend

log = structlog.get_logger(__name__)

USELESS = 60.0
"""Seconds for which a backend's lists are not read after one that failed or saved hardly any looks."""
SPARED = CALLS_SAVED // 2
"""How many looks each call of a list must save on average for lists to be read again at once: a job that a list does
not show is claimed a second time."""

LIST = "list"
"""The action that observers are given for such a call."""

UNSHOWN = Answer(AnswerKind.BUSY, Source.OWN, detail="the list of jobs does not show it, and asked us to wait")

Sightings = Mapping[str, Observation | Answer]
"""What is known of jobs without a look at each, by id; an `Answer` says that the job may not be looked at now."""


@dataclass(frozen=True, slots=True)
class ListRequest:
    """Lists to be read, starting with the call `first`, and the jobs whose looks they may save, by their ids."""

    exchange: LookMany
    first: Request
    jobs: Mapping[str, Job]


@dataclass(frozen=True, slots=True)
class SharedList:
    """A list that is being read, and the jobs whose passes wait for it, by their ids."""

    sightings: asyncio.Future[Sightings]
    jobs: Mapping[str, Job]

    async def of(self, claim: Claim) -> Observation | Answer | None:
        """Return what the list shows of a claimed job, None if the job must be looked at alone.

        A poll whose job was not requested waits too if it may make a call: the list may be using its permit.
        """
        job = claim.record.cancellation.job
        requested = self.jobs.get(job.id) == job
        if not requested and (claim.piggy_backed or not claim.record.polled):
            return None
        sightings = await asyncio.shield(self.sightings)
        return sightings.get(job.id) if requested else None


class ListReader:
    """Judges when a list is worth reading, and reads it.

    A list only saves calls: a job that it does not show is looked at alone, and so is every job while the
    backend's lists are of no use. The failure of a list reaches a pass only if the reply has a `Retry-After`: then no
    job that a list could show is looked at before that time is over.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._not_before = 0.0
        self._busy: Answer | None = None
        """The latest answer of a list that asked us to wait; None once a list is read that does not."""
        self._busy_until = 0.0
        self.reading: set[asyncio.Task[Sightings]] = set()
        """The shared lists that are being read; whoever stops must cancel them."""

    @property
    def ready(self) -> bool:
        """Whether lists may be read now or the backend asked us to wait, so no job may be looked at alone either."""
        now = asyncio.get_running_loop().time()
        return self._backend.look_many and (now < self._busy_until or now >= self._not_before)

    def _told_to_wait(self, job_ids: Iterable[str]) -> Sightings:
        """Return an answer for each of these jobs while the backend has asked us to wait, nothing if it has not."""
        left = self._busy_until - asyncio.get_running_loop().time()
        if self._busy is None or left <= 0:
            return {}
        return dict.fromkeys(job_ids, replace(self._busy, retry_after=left))

    def share(self, claims: Sequence[Claim], lost_at: datetime | None) -> SharedList | None:
        """Begin to read a list of the claimed jobs that are polled; None if each must be looked at alone.

        Only polls count: any other pass mostly ends in a call, which needs a look at the job alone.
        """
        polled = (claim.record.cancellation for claim in claims if claim.record.polled)
        jobs = [
            one.job
            for one in polled
            if needs_look(one, self._backend.policy, lost_at) and not self._backend.elsewhere(one)
        ]
        if told := self._told_to_wait(job.id for job in jobs):
            done = asyncio.get_running_loop().create_future()
            done.set_result(told)
            return SharedList(done, {job.id: job for job in jobs})
        plan = self.plan_for(jobs)
        if plan is None:
            if len(jobs) >= CALLS_SAVED:  # otherwise polls would still be claimed as piggy-backed
                self._not_before = asyncio.get_running_loop().time() + USELESS
            return None
        task = asyncio.create_task(self.read(plan))
        self.reading.add(task)
        task.add_done_callback(self.reading.discard)
        return SharedList(task, plan.jobs)

    def plan_for(self, jobs: Sequence[Job]) -> ListRequest | None:
        """Return how to see these jobs together, None if each must be looked at alone.

        Jobs at different addresses that share an id are looked at alone: a list identifies jobs by id only.
        """
        times = Counter(job.id for job in jobs)
        chosen = {job.id: job for job in jobs if times[job.id] == 1}
        if len(chosen) < CALLS_SAVED:
            return None
        try:
            exchange = self._backend.adapter.look_many(tuple(chosen.values()))
            first = next(exchange, None)
        except Exception:
            log.exception("look_many.failed", backend=self._backend.name)
            self._useless("no list could be requested")
            return None
        return None if first is None else ListRequest(exchange, first, chosen)

    async def read(self, plan: ListRequest) -> Sightings:
        """Make the calls, in the time of one look at most; return what they show, by job id.

        While the backend has asked us to wait, that is the answer for each job, and no call is made.
        The passes that wait for this have leases that last for a look, a credential and a call.
        """
        if told := self._told_to_wait(plan.jobs):
            return told
        began = time.monotonic()
        kind = AnswerKind.UNANSWERED
        try:
            async with asyncio.timeout(self._backend.policy.timeout):
                seen, calls = await self._drive(plan.exchange, plan.first)
            kind = seen.kind if isinstance(seen, Answer) else AnswerKind.ACCEPTED
        except TimeoutError:
            return self._useless("it takes longer than a look may take")
        except (CallUnanswered, CredentialUnavailable, CredentialRefused) as error:
            return self._useless(str(error))
        except Exception:
            log.exception("look_many.failed", backend=self._backend.name)
            return self._useless("it could not be understood")
        finally:
            self._backend.observer(CallMade(self._backend.name, LIST, kind, time.monotonic() - began))
        if isinstance(seen, Answer):
            return self._asked_for_time(plan, seen) if seen.retry_after else self._useless(seen.detail)
        self._busy = None
        if len(seen) < calls * SPARED:
            self._useless(f"it shows {len(seen)} of {len(plan.jobs)} jobs in {calls} calls")
        asked = max((one.retry_after for one in seen.values()), default=0.0)
        return {**dict.fromkeys(plan.jobs, replace(UNSHOWN, retry_after=asked)), **seen} if asked else seen

    async def _drive(self, exchange: LookMany, request: Request) -> tuple[Mapping[str, Observation] | Answer, int]:
        calls, retry_after = 0, 0.0
        while True:
            reply = await self._backend.calls.send(request)
            calls, retry_after = calls + 1, max(retry_after, reply.retry_after or 0.0)
            try:
                request = exchange.send(reply)
            except StopIteration as stop:
                seen: Mapping[str, Observation] | Answer = stop.value
                if retry_after and isinstance(seen, Answer):
                    return replace(seen, retry_after=retry_after), calls
                if retry_after and not isinstance(seen, Answer):
                    seen = {job_id: replace(one, retry_after=retry_after) for job_id, one in seen.items()}
                return seen, calls

    def _asked_for_time(self, plan: ListRequest, said: Answer) -> Sightings:
        """Look at no job before the time is over; then read lists again, but not at once after a second such answer."""
        again, seconds = self._busy is not None, asked_for(said.retry_after, self._backend.policy).total_seconds()
        self._busy_until = asyncio.get_running_loop().time() + seconds
        self._not_before = self._busy_until + (USELESS if again else 0.0)
        detail = f"the reply to the list of jobs asked us to wait: {said.detail}"
        self._busy = Answer(AnswerKind.BUSY, said.source, said.status, said.code, detail, seconds)
        log.info("look_many.busy", backend=self._backend.name, detail=said.detail, seconds=seconds)
        return dict.fromkeys(plan.jobs, self._busy)

    def _useless(self, why: str) -> Sightings:
        self._busy = None
        self._not_before = asyncio.get_running_loop().time() + USELESS
        log.info("look_many.useless", backend=self._backend.name, detail=why, seconds=USELESS)
        return {}
