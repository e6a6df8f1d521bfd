"""PURE: when to look at a job after its cancellation has ended, and what shows that the job is alive again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from .evolve import ALIVE
from .model import Observation, Policy, Source

GRACE = 3
"""The last look, while it shows nothing, is repeated for this many times `poll.max`, or `believe_after` if longer."""


def next_look(
    ended_at: datetime, watch_after: Sequence[float], policy: Policy, now: datetime, *, shown: bool
) -> datetime | None:
    """Return when the next look is due, None after the last one; `watch_after` is in seconds from the end.

    `shown` says whether the latest look showed anything. A look that did not is repeated every `poll.max` seconds until
    the next one is due; the last one for a while longer, see `GRACE`.
    """
    times = (ended_at + timedelta(seconds=after) for after in watch_after)
    following = next((at for at in times if at > now), None)
    if shown:
        return following
    soon = now + timedelta(seconds=max(policy.poll.max, policy.poll.first))
    if following is not None:
        return min(soon, following)
    grace = max(policy.believe_after, GRACE * policy.poll.max)
    last = ended_at + timedelta(seconds=max(watch_after, default=0.0) + grace)
    return soon if soon <= last else None


def lives(seen: Observation) -> bool:
    """Whether a look shows the job, or a member of its family, alive, in the backend's own words.

    A word that we do not know shows neither life nor an end.
    """
    return seen.source is Source.OWN and any(member.state in ALIVE for member in (seen, *seen.children))
