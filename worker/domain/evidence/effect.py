"""PURE: whether an end may be our doing, and which of our calls may have had an effect."""

from __future__ import annotations

from datetime import timedelta

from ..cancellation import Cancellation, ClockReading, Sent
from ..model import Action, Observation, Policy
from .clock import SLACK

APART = 86400.0
"""Seconds by which a time without a zone, or an unset clock, may differ from our own time."""


def forced(cancellation: Cancellation) -> dict[str, Sent]:
    """Return the force calls that may have had an effect, by the job that was forced."""
    calls = cancellation.progress.sent.items()
    prefix = f"{Action.FORCE}:"
    return {key.removeprefix(prefix): sent for key, sent in calls if key.startswith(prefix) and sent.effective}


def stop(cancellation: Cancellation) -> Sent | None:
    """Return the call that may have stopped the job, or None if nothing was sent that could have."""
    sent = cancellation.progress.sent
    for action in (Action.CANCEL, Action.DELETE):
        call = sent.get(action)
        if call is not None and call.effective:
            return call
    return None


def ended_before(cancellation: Cancellation, member: Observation, policy: Policy) -> bool:
    """Whether the backend's own times prove that a job ended before our first call that could have stopped it.

    They prove nothing if we saw it alive later than the end that they give. Until two replies agree on the backend's
    clock, the end must be before our call by our own clock too, by more than clocks and time zones can differ.
    """
    call, reading = stop(cancellation), cancellation.progress.clock
    if call is None:
        return False
    if reading is not None and not _dated_before(cancellation, member, policy, reading):
        return False
    if reading is not None and reading.steady:
        return True
    return _dated_before(cancellation, member, policy, ClockReading(call.first_at, call.first_at), APART)


def undated(cancellation: Cancellation, seen: Observation, policy: Policy) -> bool:
    """Whether only a second reading of the backend's clock can show that the job ended before our call."""
    reading = cancellation.progress.clock
    if reading is None or reading.steady or reading.anew or seen.clock is None:
        return False
    return _dated_before(cancellation, seen, policy, reading)


def _dated_before(
    cancellation: Cancellation, member: Observation, policy: Policy, reading: ClockReading, slack: float = SLACK
) -> bool:
    call, progress = stop(cancellation), cancellation.progress
    if call is None or member.ended_at is None:
        return False
    # The latest moment, on our clock, that the backend's time can mean.
    latest = reading.ours + (member.ended_at + timedelta(seconds=slack) - reading.theirs) / policy.clock_speed
    if latest >= call.first_at:
        return False
    child = progress.children.get(member.job_id)
    alive_at = progress.alive_at if member.job_id == cancellation.job_id else child.alive_at if child else None
    return alive_at is None or alive_at <= latest
