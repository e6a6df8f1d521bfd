"""Looks at many jobs of one backend together, where its lists take fewer calls than looks at each."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from ..backends.adapter import CALLS_SAVED, Survey
from ..domain.escalation import needs_look
from ..domain.model import Answer, Job, Observation
from ..errors import CallUnanswered, CredentialRefused, CredentialUnavailable
from ..store.transitions import Claim
from .backend import Backend

log = structlog.get_logger(__name__)

USELESS = 60.0
"""Seconds for which a backend's lists are left alone after one that could not be used, or spared next to nothing."""
SPARED = CALLS_SAVED // 2
"""How many looks a list's call must spare on average for lists to be read again at once: what it does not show is
claimed a second time."""

Sights = Mapping[str, Observation]


@dataclass(frozen=True, slots=True)
class ListRequest:
    """Lists to be read, and the jobs whose looks they may spare, by their ids."""

    survey: Survey
    jobs: Mapping[str, Job]


class ListReader:
    """Judges when a list is worth reading, and reads it.

    A list only spares calls: what it does not show is looked at alone, and so is everything while the
    backend's lists turn out to be of no use. Whatever goes wrong with one, no pass notices.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._not_before = 0.0

    @property
    def ready(self) -> bool:
        """Whether lists may be read now."""
        return self._backend.look_many and asyncio.get_running_loop().time() >= self._not_before

    def plan(self, claims: Sequence[Claim], suspect: datetime | None) -> ListRequest | None:
        """Choose the jobs that are due for a look and say how to see them together; None if each is looked at alone."""
        cancellations = (claim.record.cancellation for claim in claims if is_poll(claim))
        jobs = [
            one.job
            for one in cancellations
            if needs_look(one, self._backend.policy, suspect)
            and not one.spec.aborted
            and not self._backend.elsewhere(one)
        ]
        plan = self.plan_for(jobs)
        if plan is None and len(jobs) >= CALLS_SAVED:
            self._leave_alone()  # else polls would go on to be claimed as riders
        return plan

    def plan_for(self, jobs: Sequence[Job]) -> ListRequest | None:
        """Say how to see these jobs together, None if each is looked at alone.

        Jobs that share an id, at different addresses, are looked at alone: what a list shows goes by the id.
        """
        times = Counter(job.id for job in jobs)
        chosen = {job.id: job for job in jobs if times[job.id] == 1}
        if len(chosen) < CALLS_SAVED:
            return None
        try:
            survey = self._backend.adapter.look_many(tuple(chosen.values()))
        except Exception:
            log.exception("survey.failed", backend=self._backend.name)
            self._useless("no list could be asked for")
            return None
        if survey is None:
            return None
        return ListRequest(survey, chosen)

    async def read(self, plan: ListRequest) -> Sights:
        """Make the calls, in the time of one look at most; return what was seen, by job id.

        The passes that wait for it hold their leases, which last for a look, a credential and a call.
        """
        try:
            async with asyncio.timeout(self._backend.policy.timeout):
                seen, calls = await self._drive(plan.survey)
        except TimeoutError:
            return self._useless("it takes longer than a look may")
        except (CallUnanswered, CredentialUnavailable, CredentialRefused) as error:
            return self._useless(str(error))
        except Exception:
            log.exception("survey.failed", backend=self._backend.name)
            return self._useless("it could not be understood")
        if isinstance(seen, Answer):
            return self._useless(seen.detail)
        if len(seen) < calls * SPARED:
            self._useless(f"it shows {len(seen)} of {len(plan.jobs)} jobs in {calls} calls")
        return seen

    async def _drive(self, survey: Survey) -> tuple[Sights | Answer, int]:
        request = next(survey)
        calls = 0
        while True:
            reply = await self._backend.calls.send(request)
            calls += 1
            try:
                request = survey.send(reply)
            except StopIteration as stop:
                seen: Sights | Answer = stop.value
                return seen, calls

    def _useless(self, why: str) -> Sights:
        self._leave_alone()
        log.info("survey.useless", backend=self._backend.name, detail=why, seconds=USELESS)
        return {}

    def _leave_alone(self) -> None:
        self._not_before = asyncio.get_running_loop().time() + USELESS


def is_poll(claim: Claim) -> bool:
    """Whether a pass is a poll: another one mostly ends in a call, which takes a look at the job alone."""
    return claim.record.polled
