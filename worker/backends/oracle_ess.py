"""Oracle Enterprise Scheduler (ESS), as in Fusion Applications and SOA Suite: its calls.

This file and the others named `oracle_ess_…` are the only places that know ESS's states,
request types and answers. No IO, no waiting and no decision lives here: when a force is due, and
what a 400 means for a cancellation, is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..domain.model import Action, Answer, Job, JobState, Observation, Steps
from ..settings.backends_file.backend_table import WithoutProject
from .adapter import Adapter, Call, Look, Request, Survey, pages_worth, text
from .oracle_ess_family import with_children, with_known_children
from .oracle_ess_selection import CRITERIA, list_requests, objections
from .oracle_ess_words import (
    HEADERS,
    MAX_ID,
    REQUESTS,
    Item,
    by_ids,
    change,
    is_id,
    look_result,
    single,
)
from .selecting import Listing, Selecting, Where


class OracleEssOptions(WithoutProject):
    """Oracle Enterprise Scheduler, at `{base_url}/ess/rest/scheduler/v1`."""


@dataclass(frozen=True, slots=True)
class OracleEss(Adapter, Selecting):
    """The adapter of kind `oracle-ess`."""

    steps: ClassVar[Steps] = Steps(look_before_cancel=False, force=True)
    criteria: ClassVar[Mapping[str, str]] = CRITERIA

    def problem(self, job: Job) -> str:
        """Say why this can't be a request id."""
        return "" if is_id(job.id) else f"job_id: {job.id!r} is not a request id: a whole number from 1 to {MAX_ID}"

    def look(self, job: Job) -> Look:
        """Read the request, then its children where it can have any, or could when it was looked at before."""
        reply = yield single(job.id)
        seen = look_result(reply, job)
        if isinstance(seen, Answer):
            return seen
        if seen.state is JobState.GONE:
            return (yield from with_known_children(job, seen))
        if job.parent or job.living or seen.parent:
            return (yield from with_children(job, reply.data or {}, seen))
        return seen

    def look_many(self, jobs: Sequence[Job]) -> Survey | None:
        """Read requests by their ids; a parent, of which a list shows too little, is left out."""
        childless = [job for job in jobs if not job.parent]
        return _survey([job.id for job in childless], pages_worth(childless)) if pages_worth(childless) else None

    def cancel(self, job: Job) -> Call:
        """Ask ESS to cancel; for a parent it asks all its children too."""
        reply = yield Request("POST", (*REQUESTS, job.id, "cancel"), headers=HEADERS)
        return change(reply, Action.CANCEL, job)

    def force(self, job: Job) -> Call:
        """Declare an asynchronous request's remote job dead."""
        reply = yield Request("POST", (*REQUESTS, job.id, "forceCancel"), headers=HEADERS)
        return change(reply, Action.FORCE, job)

    def delete(self, job: Job) -> Call:
        """Hide a request that has ended, and its children."""
        reply = yield Request("DELETE", (*REQUESTS, job.id), headers=HEADERS)
        return change(reply, Action.DELETE, job)

    def objections(self, where: Where) -> list[str]:
        """Say what is wrong with a state, an age or a submitter."""
        return objections(where)

    def list_page(self, where: Where, after: tuple[str, ...] = ()) -> Listing:
        """List requests in the order of their ids."""
        return list_requests(where, after)


def _survey(ids: Sequence[str], pages: int) -> Survey:
    shown = yield from by_ids(ids, pages, _tells_all)
    return shown.why if shown.why is not None and not shown.seen else shown.seen


def _tells_all(item: Item, seen: Observation) -> bool:
    """Whether a list's item shows as much as a look: it has no children, and what says so was not left out.

    Without its time, CANCELLING would seem to have begun anew.
    """
    timed = seen.state is not JobState.CANCELLING or seen.since_text
    return bool(seen.raw and timed and text(item.get("requestType"))) and not seen.parent
