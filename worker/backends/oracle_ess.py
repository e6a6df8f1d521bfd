"""Oracle Enterprise Scheduler (ESS), as in Fusion Applications and SOA Suite: its calls.

This file and the others named `oracle_ess_…` are the only places that know ESS's states,
request types and answers. No IO, no waiting and no decision lives here: when a force is due, and
what a 400 means for a cancellation, is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from ..domain.model import Action, Answer, Job, JobState, Steps
from ..settings.backends_file.backend_table import WithoutProject
from .adapter import CALLS_SAVED, Adapter, Call, Look, LookMany, Request
from .oracle_ess_family import with_children, with_known_children
from .oracle_ess_words import (
    HEADERS,
    MAX_ID,
    REQUESTS,
    by_ids,
    judge_change,
    look_at,
    request_id,
)

CHANGES: Mapping[Action, tuple[str, tuple[str, ...]]] = {
    Action.CANCEL: ("POST", ("cancel",)),  # asks the children of a parent to stop, too
    Action.FORCE: ("POST", ("forceCancel",)),  # declares an asynchronous request's remote job dead
    Action.DELETE: ("DELETE", ()),  # hides a request that has ended, and its children
}
"""The method of each changing call, and its path below the request's own."""


class OracleEssOptions(WithoutProject):
    """Oracle Enterprise Scheduler, at `{base_url}/ess/rest/scheduler/v1`."""


class OracleEss(Adapter):
    """The adapter of kind `oracle-ess`."""

    steps: ClassVar[Steps] = Steps(look_before_cancel=False, force=True)

    def problem(self, job: Job) -> str:
        """Say why this can't be a request id."""
        fits = bool(job.id) and request_id(job.id) == job.id
        return "" if fits else f"job_id: {job.id!r} is not a request id: a whole number from 1 to {MAX_ID}"

    def look(self, job: Job) -> Look:
        """Read the request, then its children if it can have any, or could when it was looked at before."""
        seen, data = yield from look_at(job)
        if isinstance(seen, Answer):
            return seen
        if seen.state is JobState.GONE:
            return (yield from with_known_children(job, seen))
        if job.parent or job.living or seen.parent:
            return (yield from with_children(job, data, seen))
        return seen

    def look_many(self, jobs: Sequence[Job]) -> LookMany:
        """Read requests by their ids; parents are left out, because a list shows too little of them.

        So is a request in CANCELLING without a time: once a look shows the time, it would seem to have just entered
        that state.
        """
        childless = [job.id for job in jobs if not job.parent]
        shown = yield from by_ids(childless, len(childless) // CALLS_SAVED)
        seen = {
            job_id: one.seen
            for job_id, one in shown.entries.items()
            if one.seen.raw and not one.seen.parent
            if one.seen.since_text or one.seen.state is not JobState.CANCELLING
        }
        return shown.why if shown.why is not None and not seen else seen

    def change(self, action: Action, job: Job) -> Call:
        """Make the call that `CHANGES` has for it."""
        method, below = CHANGES[action]
        reply = yield Request(method, (*REQUESTS, job.id, *below), headers=HEADERS)
        return judge_change(reply, action, job)
