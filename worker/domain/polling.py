"""PURE: when to look at a job again.

Looks back off from `poll.first` by `poll.factor` to `poll.max`. Where it is known how long a backend's
jobs take to stop, three in four cancellations are looked at around then instead. The fourth keeps to
the plain plan, and only such teach: a look made late finds every job late, and nobody would see that
they have become faster.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zlib import crc32

from msgspec.structs import replace

from .cancellation import Cancellation, Sent
from .model import Action, AnswerKind, Policy, Poll

JITTER = 0.2
"""The share of a wait that varies from record to record, so that they do not all come due at once."""
SOONEST = 0.1
"""Seconds from which waits grow where `poll.first` is shorter: nothing grows from zero."""
TURNED_DOWN = frozenset({AnswerKind.REJECTED, AnswerKind.REFUSED})
LONGER = 10
"""So many times `poll.max` is the longest pause of a call that the backend keeps turning down."""
PLAIN = 4
"""One in so many cancellations keeps to the plain plan."""
ENOUGH = 16
"""Stops that must have been seen before their times are believed."""
QUANTILES = (0.5, 0.9)
"""When looks are worth most: when half the jobs have stopped, and when nearly all have."""


def first(policy: Policy) -> timedelta:
    """Return `poll.first`."""
    return timedelta(seconds=policy.poll.first)


def back_off(cancellation: Cancellation, policy: Policy, waits: int) -> timedelta:
    """Grow from `poll.first` to `poll.max`, spread by a jitter that is the record's own, not chance."""
    return _spread_out(cancellation, policy.poll, waits)


def _spread_out(cancellation: Cancellation, poll: Poll, waits: int) -> timedelta:
    return timedelta(seconds=_grown(poll, waits) * (1 - JITTER * _spread(cancellation, waits)))


def pause(cancellation: Cancellation, policy: Policy, sent: Sent) -> timedelta:
    """Return how long a changing call that had no effect, or went unanswered, is not made again: longer each time.

    One that is turned down again and again waits longer than looks ever do. A backend's `Retry-After` only lengthens
    a pause: one that says 0 would be called without end.
    """
    poll = policy.poll
    if sent.last in TURNED_DOWN:
        poll = replace(poll, max=max(poll.max * LONGER, poll.first))
    grown = max(first(policy), _spread_out(cancellation, poll, sent.count - 1))
    return max(grown, timedelta(seconds=sent.retry_after or 0.0))


def next_look(cancellation: Cancellation, policy: Policy, now: datetime) -> timedelta:
    """Return the wait until a job that is asked to stop is looked at again."""
    waits = cancellation.progress.waits
    asked = cancellation.progress.sent.get(Action.CANCEL)
    if asked is None or is_plain(cancellation.id):
        return back_off(cancellation, policy, waits)
    elapsed = (now - asked.last_at).total_seconds()
    least = max(SOONEST, policy.poll.first / 2)
    left = next((one - elapsed for one in policy.usual if one - elapsed >= least), None)
    if left is None:
        return back_off(cancellation, policy, waits)
    return timedelta(seconds=min(policy.poll.max, left * (1 + JITTER / 2 * _spread(cancellation, waits))))


def first_look(cancellation: Cancellation, policy: Policy, now: datetime) -> timedelta:
    """Return the wait from a call's answer to the first look at what it has done."""
    taken = cancellation.progress.sent.get(Action.CANCEL)
    if not policy.usual or taken is None or not taken.accepted:
        return first(policy)
    return max(first(policy), next_look(cancellation, policy, now))


def is_plain(cancellation_id: str) -> bool:
    """Whether this one keeps to the plain plan, and teaches."""
    return crc32(cancellation_id.encode()) % PLAIN == 0


def usual(stops: list[float]) -> tuple[float, ...]:
    """Return after how many seconds half, and nearly all, of the jobs have stopped; nothing from too few."""
    if len(stops) < ENOUGH:
        return ()
    ordered = sorted(stops)
    return tuple(ordered[int(len(ordered) * share)] for share in QUANTILES)


def _spread(cancellation: Cancellation, waits: int) -> float:
    return crc32(f"{cancellation.id}:{waits}".encode()) / 0xFFFFFFFF


def _grown(poll: Poll, waits: int) -> float:
    start = max(poll.first, SOONEST) if waits else poll.first
    try:
        return min(poll.max, start * poll.factor**waits)
    except OverflowError:
        return poll.max
