"""PURE: what proves that a job's remote process is gone: an attestation, or the second source.

An attestation is valid until the job shows a later sign of life. The second source (`remote_probe`) must say twice, a
poll apart, that the process is gone, and once more at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from msgspec.structs import replace

from ..cancellation import WHOLE, Attestation, Cancellation, Probed
from ..model import Action, JobState, Observation, Policy
from .ending import apart

TWICE = 2


class Refuted(NamedTuple):
    """An attestation that is no longer valid, the child it is about (empty: the family), and what has refuted it."""

    attestation: Attestation
    child: str
    why: str


def attestation_for(cancellation: Cancellation, job_id: str) -> Attestation | None:
    """Return the valid attestation for a job: its own, or one about the family that covers it."""
    attestations = cancellation.spec.attestations.items()
    return next((one for key, one in attestations if _holds(cancellation, key, job_id)), None)


def _holds(cancellation: Cancellation, key: str, job_id: str) -> bool:
    attestation, void_at = cancellation.spec.attestations[key], cancellation.progress.void.get(key)
    if void_at is not None and attestation.at <= void_at:
        return False
    return key == job_id or (key == WHOLE and _covers(cancellation, attestation, job_id))


def _covers(cancellation: Cancellation, attestation: Attestation, job_id: str) -> bool:
    """Whether an attestation about the family covers this member: the job itself, or a child that was seen by then.

    One given before the family was first seen covers the family as it was first seen.
    """
    if job_id == cancellation.job_id:
        return True
    child, family_at = cancellation.progress.children.get(job_id), cancellation.progress.family_at
    return child is not None and child.first_at <= max(attestation.at, family_at or attestation.at)


def refuted(cancellation: Cancellation, seen: Observation, asked: datetime) -> Mapping[str, Refuted]:
    """Return the attestations that a look, begun at `asked`, refutes because one of their jobs shows a sign of life."""
    attestations = cancellation.spec.attestations
    signs = signs_of_life(cancellation, seen, asked) if attestations else {}
    lost: dict[str, Refuted] = {}
    for key, attestation in attestations.items():
        shown = signs if attestation.at < asked else {}
        why = next((why for job_id, why in shown.items() if _holds(cancellation, key, job_id)), "")
        if why:
            lost[key] = Refuted(attestation, key, why)
    return lost


def signs_of_life(cancellation: Cancellation, seen: Observation, asked: datetime) -> Mapping[str, str]:
    """Say, for each job of a family whose process is shown running by a look begun at `asked`, what shows it."""
    living = [child for child in seen.children if not child.ended]
    above = {child.above for child in living} | ({seen.job_id} if living else set())
    hidden = seen.unlisted is not None or "" in above  # a living child of any parent may be among these
    signs = {}
    for member in (seen, *seen.children):
        follows = member.grouping or member.job_id in above or (member.parent and hidden)
        signs[member.job_id] = _sign_of_life(cancellation, member, asked, follows=follows)
    return {job_id: why for job_id, why in signs.items() if why}


def _sign_of_life(cancellation: Cancellation, member: Observation, asked: datetime, *, follows: bool) -> str:
    """Say what shows that a job's process is running, empty if nothing does.

    That a scheduler reports a job as running before it was asked to stop shows nothing: it may be waiting for a process
    that is gone. `follows` says that the job runs nothing itself, or that children of its own are alive or may be, as
    not all could be seen: then running shows nothing, because its state follows theirs. That it could have children
    explains nothing.
    """
    before, since = last_time(cancellation, member.job_id), member.since_text
    if member.state is JobState.CANCELLING:
        moved = before and since and before != since
        return f"job {member.job_id} has checked in, at {member.since_text}" if moved else ""
    if member.state is not JobState.ACTIVE:
        return ""
    if before is not None:
        return f"job {member.job_id} has gone back to {member.raw}"
    cancel = cancellation.progress.sent.get(Action.CANCEL)
    asked_to_stop = cancel is not None and cancel.accepted and cancel.last_at < asked
    runs = asked_to_stop and not follows
    return f"job {member.job_id} is still in {member.raw} after the cancel was accepted" if runs else ""


def last_time(cancellation: Cancellation, job_id: str) -> str | None:
    """Return the last text shown for the time of a job in CANCELLING, empty if none was; None if it was never there.

    Looks that do not show the job's state or its time change nothing: what they hide must not pass unnoticed. Once the
    job is seen running, all begins anew.
    """
    sighting = cancellation.progress.cancelling.get(job_id)
    return cancellation.progress.left.get(job_id) if sighting is None else sighting.since_text


def probed(before: Mapping[str, Probed], job_id: str, gone: bool | None, at: datetime) -> Mapping[str, Probed]:  # noqa: FBT001 - the source's own answer
    """Record what the second source says about a job's process; None means that it can't say, and changes nothing."""
    if gone is None:
        return before
    known = before.get(job_id)
    again = known is not None and known.gone is gone
    return {
        **before,
        job_id: replace(known, last=at, times=known.times + 1) if known and again else Probed(gone, at, at),
    }


def proven_gone(cancellation: Cancellation, job_id: str, policy: Policy) -> bool:
    """Whether the second source said, twice, a poll apart, and in the latest look, that a job's process is gone."""
    said = said_now(cancellation, job_id)
    return said is not None and said.gone and said.times >= TWICE and said.last - said.since >= apart(policy)


def said_now(cancellation: Cancellation, job_id: str) -> Probed | None:
    """Return what the second source said about a job in the latest look, None if it was not asked or could not say."""
    said = cancellation.progress.probes.get(job_id)
    return said if said is not None and said.last == cancellation.progress.looked_at else None
