"""PURE: when a backend's clock is trusted.

A reply's `Date` is often written by a front server, not by the scheduler whose times are in the body. It is trusted if
it advances as our monotonic clock does and does not contradict the times of our own calls and looks.
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from ..cancellation import Cancellation, ClockReading
from ..model import Action, Observation, Policy

SLACK = 2.0
"""Seconds by which a moment may be wrong, as a `Date` has whole seconds and a call takes time."""
MEASURED = 5.0
"""Seconds for which a clock must be watched before a force may rely on it: a wrong speed does not show in less."""
DRIFT = 0.01
"""The relative drift allowed between two sound clocks."""


def read(
    before: ClockReading | None, theirs: datetime | None, asked: datetime, now: datetime, speed: float
) -> ClockReading | None:
    """Record the `Date` of a reply that was requested at `asked` and had arrived by `now`.

    If it does not fit the earlier reading it starts a new one, because either of the two may be wrong.
    """
    if theirs is None:
        return before
    if before is None or not _fits(before, theirs, asked, now, speed):
        return ClockReading(theirs, now, anew=before is not None)
    return before if before.steady else replace(before, steady=True)


def _fits(before: ClockReading, theirs: datetime, asked: datetime, now: datetime, speed: float) -> bool:
    moved, slack = (theirs - before.theirs).total_seconds(), SLACK * max(1.0, speed)
    least, most = (asked - before.ours).total_seconds() * speed, (now - before.ours).total_seconds() * speed
    return least * (1 - DRIFT) - slack <= moved <= most * (1 + DRIFT) + slack


def cancelling_for(
    cancellation: Cancellation, member: Observation, policy: Policy, now: datetime
) -> tuple[float, bool]:
    """Return for how many seconds a job has been in CANCELLING, and whether the backend's own clock says so.

    Otherwise they are counted from our first sight of it there, which is later than the true start, without time on
    hold; while looks do not show its time, from the first of them, because it may have checked in since. The backend's
    clock is not trusted if it claims more seconds than our own sightings and calls allow, or if the job's time is still
    ahead of it: then the two come from different clocks.
    """
    progress, speed = cancellation.progress, policy.clock_speed
    sighting = progress.cancelling.get(member.job_id)
    if sighting is not None and sighting.hidden is not None:
        sighting = sighting.hidden
    ours = (now - sighting.at).total_seconds() - (cancellation.stood_still(now) - sighting.held) if sighting else 0.0
    reading, asked = progress.clock, progress.looked_at or now
    if reading is None or not reading.steady or member.since is None or member.clock is None:
        return ours, False
    if (asked - reading.ours).total_seconds() * speed < MEASURED:
        return ours, False
    theirs = (member.clock - member.since).total_seconds()
    longest = float("inf")
    if sighting is not None and sighting.not_before is not None:
        longest = (now - sighting.not_before).total_seconds() * speed + SLACK * max(1.0, speed)
    sound = _fits(reading, member.clock, asked, now, speed) and -SLACK <= theirs <= longest
    return (theirs, True) if sound else (ours, False)


def not_before(cancellation: Cancellation, job_id: str) -> datetime | None:
    """Return a time at which a job newly sighted in CANCELLING was certainly not there yet, None if unknown.

    That is the last look that showed another time of the job's, or else the later of the last look that showed it alive
    and our accepted cancel.
    """
    progress = cancellation.progress
    sighting = progress.cancelling.get(job_id)
    if sighting is not None:
        return sighting.hidden.not_before if sighting.hidden is not None else progress.looked_at
    child = progress.children.get(job_id)
    alive_at = progress.alive_at if job_id == cancellation.job_id else child.alive_at if child else None
    cancel = progress.sent.get(Action.CANCEL)
    cancelled_at = cancel.first_at if cancel is not None and cancel.accepted else None
    return max((at for at in (alive_at, cancelled_at) if at is not None), default=None)
