"""PURE: reopens a cancellation whose job is alive after its end."""

from __future__ import annotations

from collections.abc import Callable

from ..domain import event_drafts
from ..domain.model import Lane
from ..store.codec import Snapshot
from ..store.transitions import Acceptance
from .admission import BackendRules, new_id

OURSELVES = "canceller"
"""Who asks, in the words of the command's events."""
ONCE = "reopened"
"""The content digest of such a command, which no other content has. With the command's id it makes sure that a
cancellation is reopened only once."""


def reopened(rules: BackendRules, ended: Snapshot, taken: int = 0, make_id: Callable[[], str] = new_id) -> Acceptance:
    """Return the command that reopens an ended cancellation, with the same wishes.

    No attestation is carried over, because the job is alive, and no expected state. `taken` is how many of the ids for
    such a command belong to other commands, which an older worker may have let in: every worker tries the same next id.
    """
    record, policy = ended.record, rules.policy
    cancellation = record.cancellation
    spec, job_id = cancellation.spec, cancellation.job_id
    wished = (spec.give_up_at - cancellation.begins_at).total_seconds() - spec.held_for
    force, force_after = policy.stricter(spec.force, spec.force_after)
    give_up_after = min(wished, policy.give_up_after) if wished > 0 else policy.give_up_after
    another = rules.another_attests
    sinks = tuple(ended.command.get("reply_to") or ())
    return Acceptance(
        cancellation_id=make_id(),
        command_id=f"{cancellation.id}-reopened" + (f"-{taken}" if taken else ""),  # both are `RESERVED`
        digest=ONCE.ljust(16, "-"),
        backend=cancellation.backend,
        job_id=job_id,
        verb=spec.verb,
        force=force,
        force_after=force_after,
        give_up_after=give_up_after,
        warn_after=policy.warn_after,
        lane=Lane(spec.lane),
        remote_stopped="",
        said={
            "reason": f"the job lives again after cancellation {cancellation.id} has ended as {record.outcome}",
            "requested_by": OURSELVES,
            "labels": ended.command.get("labels") or {},
            "batch_id": ended.command.get("batch_id"),
            **({"reply_to": sinks} if sinks else {}),  # last, as in admission
        },
        effective=event_drafts.effective(force, force_after, give_up_after, another=another),
        params=cancellation.params,
        traceparent=cancellation.traceparent,
        address=rules.adapter.address(cancellation.job),
        place=rules.place,
        another_attests=another,
        reply_to=sinks,
    )
