"""PURE: what is remembered about a job's children. A child seen alive counts as alive until it is seen to end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace

from ..cancellation import Cancellation, Child, sent_key
from ..model import Action, JobState, Observation, Source


def remembered(cancellation: Cancellation, seen: Observation, asked: datetime) -> Mapping[str, Child]:
    """Return the children to remember after a look; those that it did not show come first, to be asked about next.

    A child's end is kept only if the child was forced, or if later looks do not show it again: its record is gone, or
    the list is too long.
    """
    before = cancellation.progress.children
    if not before and not seen.children:
        return before
    shown = {child.job_id: child for child in seen.children if not not_shown(child)}
    kept = {job_id: child for job_id, child in before.items() if job_id not in shown}
    for job_id, child in shown.items():
        known = before.get(job_id)
        if not child.ended:
            kept[job_id] = Child(known.first_at if known else asked, asked)
        elif known is not None and (seen.long or child.state is JobState.GONE or _forced(cancellation, job_id)):
            kept[job_id] = replace(known, state=child.state, raw=child.raw, ended_at=child.ended_at)
    return kept


def whole(cancellation: Cancellation, seen: Observation) -> Observation:
    """Return the observation with its job id and with every child that was ever seen alive."""
    named = seen if seen.job_id else replace(seen, job_id=cancellation.job_id)
    if not cancellation.progress.children:
        return named
    shown = {child.job_id for child in named.children}
    missing = tuple(
        Observation(child.state, child.raw, Source.OWN, job_id, ended_at=child.ended_at)
        for job_id, child in cancellation.progress.children.items()
        if job_id not in shown
    )
    return replace(named, children=(*named.children, *missing)) if missing else named


def _forced(cancellation: Cancellation, job_id: str) -> bool:
    return sent_key(Action.FORCE, job_id) in cancellation.progress.sent


def not_shown(child: Observation) -> bool:
    """Whether an adapter lists a child only because we asked about it: the backend did not show it."""
    return child.state is JobState.UNKNOWN and not child.raw
