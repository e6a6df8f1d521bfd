"""PURE: when to look at a job after its cancellation has ended, and what shows that the job is alive again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from .evidence.breaker import outage
from .evolve import ALIVE
from .model import Answer, JobState, Observation, Policy, Source

GRACE = 3
"""A look that does not show the job's state is repeated for this many times `poll.max`, or for `believe_after` if that
is longer: some records never show it, and each look is a call."""


def next_look(
    ended_at: datetime, watch_after: Sequence[float], policy: Policy, now: datetime, *, shown: bool
) -> datetime | None:
    """Return when the next look is due, None after the last one; `watch_after` is in seconds from the end.

    `shown` says whether the latest look showed how the job is. A look that did not is repeated every `poll.max` seconds
    for a while, see `GRACE`, or until the next one is due.
    """
    times = [ended_at + timedelta(seconds=after) for after in watch_after]
    following = next((at for at in times if at > now), None)
    if shown:
        return following
    soon = now + timedelta(seconds=max(policy.poll.max, policy.poll.first))
    grace = timedelta(seconds=max(policy.believe_after, GRACE * policy.poll.max))
    if soon > max((at for at in times if at <= now), default=ended_at) + grace:
        return following
    return soon if following is None else min(soon, following)


def shows(said: Observation | Answer) -> bool:
    """Whether a look shows the state of a job and of all its family, or that there is none in the API's own words.

    A list that the API itself does not show whole counts as shown: another look would show no more.
    """
    if isinstance(said, Answer) or outage(said):
        return False
    return all(member.state is not JobState.UNKNOWN for member in (said, *said.children))


def lives(seen: Observation) -> bool:
    """Whether a look shows the job, or a member of its family, alive, in the backend's own words.

    A word that we do not know shows neither life nor an end.
    """
    return seen.source is Source.OWN and any(member.state in ALIVE for member in (seen, *seen.children))
