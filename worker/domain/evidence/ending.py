"""PURE: when an observed end is proven."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from .. import polling
from ..cancellation import Cancellation, Doubt, Doubted
from ..model import JobState, Observation, Policy, Source
from .doubt import ask_again, lasting
from .effect import stop, undated


class Unproven(NamedTuple):
    """Why an end can't be believed yet, and when to look again."""

    why: str
    until: datetime


def unproven(cancellation: Cancellation, seen: Observation, policy: Policy, now: datetime) -> Unproven | None:
    """Return why an observed end is not proven yet, None if it is.

    Only the API's own words prove at once that a job is gone. A family has ended when two looks, a poll apart, say so.
    """
    gone, doubt = seen.state is JobState.GONE, cancellation.progress.doubt or Doubt(Doubted.GONE, now, now)
    if seen.source is not Source.OWN and not lasting(doubt, policy):
        again = ask_again(doubt, policy, now, polling.back_off(cancellation, policy.poll, doubt.times))
        what = "the reply that the job is gone" if gone else "what shows that the whole family has ended"
        return Unproven(f"look again: {what} was not in the backend's own words", again)
    if gone:
        return _may_appear(cancellation, policy, now)
    if now < cancellation.gives_up_at(now) and undated(cancellation, seen, policy):
        return Unproven("look again: only a second reading of its clock shows when the job ended", now + apart(policy))
    if not cancellation.progress.parent:
        return None
    closed_at, looked_at = cancellation.progress.closed_at, cancellation.progress.looked_at
    if closed_at is not None and looked_at is not None and looked_at - closed_at >= apart(policy):
        return None
    return Unproven("look again: only a second look proves that the whole family has ended", now + apart(policy))


def apart(policy: Policy) -> timedelta:
    """Return the least time between two looks, or two probes of the second source, that confirm each other."""
    return timedelta(seconds=max(policy.poll.first, polling.SOONEST))


def _may_appear(cancellation: Cancellation, policy: Policy, now: datetime) -> Unproven | None:
    """Wait for a job that no look has ever shown, which may still appear within `appears_within`.

    A backend that has accepted our call knows the job, but the copy that it reads from may be that much behind.
    """
    if cancellation.progress.seen_alive or cancellation.progress.end is not None:
        return None
    called = stop(cancellation)
    known_at = called.last_at if called is not None and called.accepted else cancellation.accepted_at
    latest = known_at + timedelta(seconds=policy.appears_within)
    latest = min(latest, cancellation.gives_up_at(now))
    if now >= latest:
        return None
    again = now + polling.back_off(cancellation, policy.poll, cancellation.progress.waits)
    return Unproven("look again: the job may still appear", min(again, latest))
