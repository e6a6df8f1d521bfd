"""The true state of jobs, as opposed to what the systems answer: for tests and for the control API."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .clock import iso_utc
from .ess import HANDLE
from .ess_state import force_due, moment_of
from .systems import COURSES, MOMENTS

if TYPE_CHECKING:
    from .job import Job
    from .world import Entry, World


@dataclass(frozen=True, slots=True)
class Truth:
    """A job as it really is. Times in seconds since 1970; `state` is the system's own word."""

    system: str
    id: str
    known: bool
    """Was it ever created?"""
    visible: bool
    """Does its system show it?"""
    state: str
    since: float
    ended_at: float | None
    deleted_at: float | None
    log: tuple[Entry, ...]

    def verbs(self) -> tuple[str, ...]:
        """List what was asked, in order."""
        return tuple(entry.verb for entry in self.log)

    def effects(self, verb: str) -> int:
        """Count the calls of one verb that had an effect."""
        return sum(entry.effect for entry in self.log if entry.verb == verb)


def truth(world: World, system: str, job_id: str, now: float) -> Truth:
    """Return the truth about one job at `now`.

    Raises:
        ValueError: No such system.

    """
    checked_system(system)
    log = tuple(world.log(system, job_id))
    job = world.jobs.get((system, job_id))
    if job is None:
        return Truth(
            system, job_id, known=False, visible=False, state="", since=0.0, ended_at=None, deleted_at=None, log=log
        )
    here = MOMENTS[system](world, job, now)
    ended = here.since if here.state in COURSES[system].terminal else None
    return Truth(
        system,
        job_id,
        known=True,
        visible=not job.hidden(now),
        state=here.state,
        since=here.since,
        ended_at=ended,
        deleted_at=job.deleted_at,
        log=log,
    )


def checked_system(system: str) -> str:
    """Return the name if it is a system's.

    Raises:
        ValueError: It is not.

    """
    if system not in COURSES:
        raise ValueError(f"no system is called {system!r}; there are {', '.join(COURSES)}")
    return system


def shown_time(at: float | None) -> str | None:
    """Show a time as ISO 8601, and never as null."""
    return None if at is None or math.isinf(at) else iso_utc(at)


def shown_entry(entry: Entry) -> dict[str, Any]:
    """Show a log line as plain values."""
    return dataclasses.asdict(entry) | {"at": iso_utc(entry.at)}


def shown_job(world: World, job: Job, now: float) -> dict[str, Any]:
    """Show a job's truth as plain values, without its log."""
    true = truth(world, job.system, job.id, now)
    shown = {
        "system": job.system,
        "id": job.id,
        "state": true.state,
        "since": shown_time(true.since),
        "ended_at": shown_time(true.ended_at),
        "visible": true.visible,
        "created_at": iso_utc(job.created_at),
        "deleted_at": shown_time(job.deleted_at),
        "cancels": job.cancels,
        "parent": job.parent or None,
        "children": [child.id for child in world.children(job.system, job.id)],
        "life": dataclasses.asdict(job.life),
    }
    return shown | (_ess_extra(world, job, now) if job.system == "ess" else {})


def _ess_extra(world: World, job: Job, now: float) -> dict[str, Any]:
    here = moment_of(world, job, now)
    due = force_due(job, here, now, world.knobs.ess) if here.state == "CANCELLING" and not job.life.sync else None
    return {"force_due": shown_time(due), "request_handle": HANDLE.format(job.id)}
