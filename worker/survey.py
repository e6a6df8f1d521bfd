"""Looks at many jobs of one backend together, where its lists take fewer calls than looks at each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from worker.backends.base import CALLS_SAVED, Survey
from worker.errors import CallUnanswered, CredentialRefused, CredentialUnavailable
from worker.escalation import needs_look
from worker.model import Answer, Observation
from worker.reconcile import Backend
from worker.transitions import Claim

log = structlog.get_logger(__name__)

USELESS = 60.0
"""Seconds for which a backend's lists are left alone after one that could not be used, or showed next to nothing."""

Sights = Mapping[str, Observation]


class Surveyor:
    """Judges when a list is worth reading, and reads it.

    A list only spares calls: what it does not show is looked at alone, and so is everything while the
    backend's lists turn out to be of no use.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._not_before = 0.0

    @property
    def ready(self) -> bool:
        """Whether lists may be read now."""
        return self._backend.look_many and asyncio.get_running_loop().time() >= self._not_before

    def plan(self, claims: Sequence[Claim], suspect: datetime | None) -> Survey | None:
        """Choose the jobs that are due for a look and say how to see them together; None if each is looked at alone."""
        cancellations = (claim.record.cancellation for claim in claims)
        jobs = [
            one.job
            for one in cancellations
            if needs_look(one, self._backend.policy, suspect) and not one.orders.aborted
        ]
        return self._backend.adapter.look_many(jobs) if len(jobs) >= CALLS_SAVED else None

    async def read(self, survey: Survey) -> Sights:
        """Make the calls; return what was seen, by job id."""
        try:
            seen = await self._drive(survey)
        except (CallUnanswered, CredentialUnavailable, CredentialRefused) as error:
            return self._useless(str(error))
        if isinstance(seen, Answer):
            return self._useless(seen.detail)
        return (
            seen if len(seen) >= CALLS_SAVED else self._useless("it shows next to none of the jobs asked for") or seen
        )

    async def _drive(self, survey: Survey) -> Sights | Answer:
        request = next(survey)
        while True:
            reply = await self._backend.calls.send(request)
            try:
                request = survey.send(reply)
            except StopIteration as stop:
                seen: Sights | Answer = stop.value
                return seen

    def _useless(self, why: str) -> Sights:
        self._not_before = asyncio.get_running_loop().time() + USELESS
        log.info("survey.useless", backend=self._backend.name, detail=why, seconds=USELESS)
        return {}
