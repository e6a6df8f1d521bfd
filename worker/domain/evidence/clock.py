"""PURE: when a backend's clock counts.

A reply's `Date` is often written by a front server, not by the scheduler whose times stand in the body. It counts if it
moves as our monotonic time does and does not contradict the times of our own calls and looks.
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from ..cancellation import Cancellation, ClockReading, Sighting
from ..model import Action, Observation, Policy

SLACK = 2.0
"""Seconds by which a `Date` (whole seconds) and a call's way may mislead about a moment."""
MEASURED = 5.0
"""Seconds for which a clock must have been watched before a force may rest on it: in less no wrong speed shows."""
DRIFT = 0.01
"""The share by which two sound clocks may run apart."""


def read(
    before: ClockReading | None, theirs: datetime | None, asked: datetime, now: datetime, speed: float
) -> ClockReading | None:
    """Take in the `Date` of a reply that was asked for at `asked` and had come by `now`.

    One that does not fit the earlier reading starts anew: nobody knows which of the two was wrong.
    """
    if theirs is None:
        return before
    if before is None or not _fits(before, theirs, asked, now, speed):
        return ClockReading(theirs, now, anew=before is not None)
    return before if before.steady else replace(before, steady=True)


def _fits(before: ClockReading, theirs: datetime, asked: datetime, now: datetime, speed: float) -> bool:
    moved, slack = (theirs - before.theirs).total_seconds(), _slack(speed)
    least, most = (asked - before.ours).total_seconds() * speed, (now - before.ours).total_seconds() * speed
    return least * (1 - DRIFT) - slack <= moved <= most * (1 + DRIFT) + slack


def _slack(speed: float) -> float:
    return SLACK * max(1.0, speed)


def cancelling_for(
    cancellation: Cancellation, member: Observation, policy: Policy, now: datetime
) -> tuple[float, bool]:
    """Return for how many seconds a job has been in CANCELLING, and whether the backend's own clock says so.

    Otherwise they count from our first sight of it there, which is later than the truth, and stand still in a hold.
    """
    progress, speed = cancellation.progress, policy.clock_speed
    sight = progress.cancelling.get(member.job_id)
    ours = (now - sight.at).total_seconds() - (cancellation.stood_still(now) - sight.held) if sight else 0.0
    reading, asked = progress.clock, progress.looked_at or now
    if reading is None or not reading.steady or member.since is None or member.clock is None:
        return ours, False
    if (asked - reading.ours).total_seconds() * speed < MEASURED:
        return ours, False
    theirs = (member.clock - member.since).total_seconds()
    sound = _fits(reading, member.clock, asked, now, speed) and theirs <= _longest(sight, now, speed)
    return (theirs, True) if sound else (ours, False)


def _longest(sight: Sighting | None, now: datetime, speed: float) -> float:
    """Return the most seconds on the backend's clock that what we saw and did leaves for its CANCELLING."""
    if sight is None or sight.not_before is None:
        return float("inf")
    return (now - sight.not_before).total_seconds() * speed + _slack(speed)


def not_before(cancellation: Cancellation, job_id: str) -> datetime | None:
    """Return when a job that is seen in CANCELLING anew was certainly not there yet, None if that is not known.

    Its time has moved since the look before, or that look has shown it alive, or our cancel has put it there.
    """
    progress = cancellation.progress
    if job_id in progress.cancelling:
        return progress.looked_at
    child = progress.children.get(job_id)
    alive_at = progress.alive_at if job_id == cancellation.job_id else child.alive_at if child else None
    cancel = progress.sent.get(Action.CANCEL)
    taken_at = cancel.first_at if cancel is not None and cancel.accepted else None
    return max((at for at in (alive_at, taken_at) if at is not None), default=None)


def on_theirs(reading: ClockReading, at: datetime, speed: float) -> datetime:
    """Return a moment of ours on the backend's clock, at the latest."""
    return reading.theirs + (at - reading.ours) * speed
