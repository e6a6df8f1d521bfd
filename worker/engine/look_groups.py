"""Gathers looks that several passes of one process want at once, so that one list shows all their jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..aio.coalescer import Coalescer
from ..backends.adapter import CALLS_SAVED
from ..domain.model import Answer, Job, Observation
from .look_many import ListReader

GATHER, ENOUGH = 0.002, 16
"""Seconds for which looks are gathered before a list is read, and the fewest looks that are enough not to wait for
more: as many as a small claim returns. While a list is read, the next looks gather."""
MOST = 1000
LISTS = 2
"""How many lists one look may wait for, each taking as long as a look: the one that is being read, and its own."""


class ListedObservation(NamedTuple):
    """What a list shows of a job, None if the job must be looked at alone; and how many calls its pass pays for.

    An `Answer` says that the job may not be looked at now.
    """

    shown: Observation | Answer | None
    calls: int = 0


ALONE = ListedObservation(None)


class LookGroup(Coalescer[Job, ListedObservation]):
    """Lets passes share lists."""

    def __init__(self, lists: ListReader, in_flight: Callable[[], int], slots: int = 0) -> None:
        """`in_flight` returns how many passes are in flight, `slots` is how many there can be.

        If few are in flight, no list is worth a wait; half of all that there can be are enough for one.
        """
        super().__init__(self._read, MOST, gather=GATHER, enough=max(ENOUGH, slots // 2))
        self._lists = lists
        self._company = in_flight

    async def see(self, job: Job) -> ListedObservation:
        """Look at a job together with others; this takes no longer than `LISTS` looks may."""
        if not self._lists.ready or self._company() < CALLS_SAVED:
            return ALONE
        return await self.add(job)

    async def _read(self, jobs: Sequence[Job]) -> Sequence[ListedObservation]:
        plan = self._lists.plan_for(jobs) if self._lists.ready else None
        if plan is None:
            return [ALONE] * len(jobs)
        sightings = await self._lists.read(plan)
        # A list takes at most one call for every `CALLS_SAVED` jobs.
        return [
            ListedObservation(sightings.get(job.id), int(place % CALLS_SAVED == 0)) for place, job in enumerate(jobs)
        ]
