"""PURE: when to look at a job again.

Polling backs off from `poll.first` by `poll.factor` to `poll.max`. Once it is known how long a backend's jobs take to
stop, three in four cancellations are polled around that time instead. The fourth keeps to the plain back-off, and stop
times are learned only from such ones: polls around the expected time would never show that jobs now stop sooner.
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
"""Waits grow from at least this many seconds, even if `poll.first` is shorter: zero would never grow."""
TURNED_DOWN = frozenset({AnswerKind.REJECTED, AnswerKind.REFUSED})
LONGEST_DELAY = 300.0
"""Seconds for which a backend's `Retry-After` may delay the next look, or `poll.max` if that is longer."""
LONGER = 10
"""The pause before repeating a call that keeps being turned down grows to this many times `poll.max`."""
PLAIN = 4
"""One in this many cancellations keeps to the plain back-off."""
ENOUGH = 16
"""The fewest observed stops from which typical times are derived."""
QUANTILES = (0.5, 0.9)
"""The most useful times to poll: when half the jobs have stopped, and when nearly all have."""


def back_off(cancellation: Cancellation, poll: Poll, waits: int) -> timedelta:
    """Return the next wait, which grows from `poll.first` to `poll.max`; its jitter is fixed by the record."""
    start = max(poll.first, SOONEST) if waits else poll.first
    try:
        seconds = min(poll.max, start * poll.factor**waits)
    except OverflowError:
        seconds = poll.max
    return timedelta(seconds=seconds * (1 - JITTER * _spread(cancellation, waits)))


def pause(cancellation: Cancellation, policy: Policy, sent: Sent) -> timedelta:
    """Return how long to wait before repeating a changing call that was turned down or unanswered: longer each time.

    A call that is turned down again and again waits longer than polls ever do. A backend's `Retry-After` can only
    lengthen the pause: a `Retry-After: 0` would otherwise make us repeat the call without a pause.
    """
    poll = policy.poll
    if sent.last in TURNED_DOWN:
        poll = replace(poll, max=max(poll.max * LONGER, poll.first))
    shortest = timedelta(seconds=max(poll.first, sent.retry_after or 0.0))
    return max(shortest, back_off(cancellation, poll, sent.count - 1))


def next_look(cancellation: Cancellation, policy: Policy, now: datetime) -> timedelta:
    """Return the wait until the next look at a job that was asked to stop."""
    waits = cancellation.progress.waits
    asked = cancellation.progress.sent.get(Action.CANCEL)
    if asked is None or is_plain(cancellation.id):
        return back_off(cancellation, policy.poll, waits)
    elapsed = (now - asked.last_at).total_seconds()
    least = max(SOONEST, policy.poll.first / 2)
    left = next((one - elapsed for one in policy.stop_times if one - elapsed >= least), None)
    if left is None:
        return back_off(cancellation, policy.poll, waits)
    return timedelta(seconds=min(policy.poll.max, left * (1 + JITTER / 2 * _spread(cancellation, waits))))


def asked_for(retry_after: float | None, policy: Policy) -> timedelta:
    """Return for how long a backend's `Retry-After`, in seconds, delays the next look."""
    return timedelta(seconds=min(retry_after or 0.0, max(policy.poll.max, LONGEST_DELAY)))


def first_look(cancellation: Cancellation, policy: Policy, now: datetime) -> timedelta:
    """Return the wait from a call's answer to the first look at its effect."""
    first = timedelta(seconds=policy.poll.first)
    cancel = cancellation.progress.sent.get(Action.CANCEL)
    if not policy.stop_times or cancel is None or not cancel.accepted:
        return first
    return max(first, next_look(cancellation, policy, now))


def is_plain(cancellation_id: str) -> bool:
    """Whether this cancellation keeps to the plain back-off, so that its stop time is learned from."""
    return crc32(cancellation_id.encode()) % PLAIN == 0


def typical_stop_times(stops: list[float]) -> tuple[float, ...]:
    """Return after how many seconds half of the jobs, and nearly all, have stopped; empty if there are too few."""
    if len(stops) < ENOUGH:
        return ()
    ordered = sorted(stops)
    return tuple(ordered[int(len(ordered) * share)] for share in QUANTILES)


def _spread(cancellation: Cancellation, waits: int) -> float:
    return crc32(f"{cancellation.id}:{waits}".encode()) / 0xFFFFFFFF
