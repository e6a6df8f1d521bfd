"""PURE: the force gate, with every precondition of the force step.

Oracle ESS (`POST …/forceCancel`) names three: the caller makes sure that the remote job no longer runs; the request
waits for an asynchronous response in CANCELLING; at least 30 minutes have passed since it entered that state or the job
last checked in. `force_after` is that time; configuring a shorter one does not change what the backend allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from . import polling
from .cancellation import Cancellation, attributed, sent_key
from .decision import Condition, Gate
from .evidence.clock import cancelling_for
from .evidence.proof import attestation_for, proven_gone
from .model import Action, AnswerKind, Force, JobState, Observation, Policy


def candidates(cancellation: Cancellation, seen: Observation, policy: Policy) -> tuple[Observation, ...]:
    """Return the jobs whose force step is still ahead: stuck children first, else the job itself.

    A parent's state follows its children's, so it is not forced while a child is alive, or may be alive unseen. An
    accepted force is never repeated.
    """
    if not policy.steps.force:
        return ()
    alive = tuple(child for child in seen.children if not child.final)
    members = alive if alive or seen.unlisted is not None else (seen,)
    calls = cancellation.progress.sent.items()
    accepted = {key for key, sent in calls if sent.accepted}
    return tuple(
        member
        for member in members
        if member.state is JobState.CANCELLING and sent_key(Action.FORCE, member.job_id) not in accepted
    )


def gate(cancellation: Cancellation, member: Observation, policy: Policy, now: datetime) -> Gate:
    """Judge every precondition for one job in CANCELLING; an unknown one does not shut the gate.

    The waiting time is measured on the backend's own clock if that can be relied on: the time of its state change is
    compared with its own `Date`, never with another host's clock. Otherwise it is measured on Redis's clock, from our
    first sight of CANCELLING.
    """
    spent, on_its_clock = cancelling_for(cancellation, member, policy, now)
    force, needed = policy.stricter(cancellation.spec.force, cancellation.spec.force_after)
    wait = max(needed - spent, refused_wait(cancellation, member, policy, now))
    time_evidence = f"{needed:g} s since our first sight of {member.raw}, on Redis's clock"
    if on_its_clock:
        time_evidence = f"{spent:g} s of {needed:g} s since {member.since_text} on the backend's own clock"
    conditions = (
        Condition("in_cancelling", met=True, evidence=f"seen in {member.raw}"),
        Condition("time_over", wait <= 0, time_evidence),
        _said(cancellation, member, "asynchronous", "whether it is asynchronous"),
        _said(cancellation, member, "force_allowed", "whether a force is allowed"),
        Condition("policy_allows", force is not Force.NEVER, f'force = "{force}"'),
        _proof(cancellation, member, force, policy),
    )
    shut = tuple([condition.name for condition in conditions if condition.met is False])
    return Gate(member.job_id, conditions, max(0.0, wait), shut)


def refused_wait(cancellation: Cancellation, member: Observation, policy: Policy, now: datetime) -> float:
    """Return for how many more seconds an earlier try of the force step forbids the next.

    One that was turned down because of the job's state forbids it for `force_after`, not counting time on hold, or
    until the backend says that it allows a force, if it had not said so before that try.
    """
    sent = cancellation.progress.sent.get(sent_key(Action.FORCE, member.job_id))
    if sent is None:
        return 0.0
    if sent.last in {AnswerKind.UNANSWERED, AnswerKind.BUSY, AnswerKind.REFUSED}:
        pause = polling.pause(cancellation, policy, sent).total_seconds()
    elif member.force_allowed and sent.allowed is not True:
        pause = 0.0
    else:
        _, force_after = policy.stricter(cancellation.spec.force, cancellation.spec.force_after)
        pause = force_after + cancellation.stood_still(now) - sent.held
    again = sent.last_at + timedelta(seconds=pause)
    return (again - cancellation.known_until(sent, now)).total_seconds()


def _proof(cancellation: Cancellation, member: Observation, force: Force, policy: Policy) -> Condition:
    """Judge whether somebody knows that the remote process is gone, unless the policy does not ask for that."""
    if policy.probes and proven_gone(cancellation, member.job_id, policy):
        return Condition("remote_stopped", met=True, evidence="the remote probe says that it is gone")
    attestation = attestation_for(cancellation, member.job_id)
    if attestation is not None:
        who = attributed(attestation.by, attestation.signed_by)
        return Condition("remote_stopped", met=True, evidence=f"attested by {who}")
    if force is Force.AUTO:
        return Condition("remote_stopped", met=None, evidence='not required by force = "auto"')
    missing = "nobody has given their word"
    if cancellation.spec.attestations:
        missing = "an attestation was given but does not count: it is not about this job, or was refuted"
    probe = ", and the remote probe does not say so" if policy.probes else ""
    return Condition("remote_stopped", met=False, evidence=missing + probe)


NAMES: Mapping[str, str] = {"asynchronous": "asynchronous", "force_allowed": "backend_allows"}
"""The conditions that the backend itself decides, by the observation's field."""


def denied(before: Mapping[str, tuple[str, ...]], seen: Observation) -> Mapping[str, tuple[str, ...]]:
    """Return by which fields the backend denies a force of each job that has neither ended nor runs.

    A field that this look does not show is as it was: only the backend's yes takes its no back. While a job runs, a no
    says nothing about later.
    """
    if not before and not seen.children and (seen.final or seen.state is JobState.ACTIVE):
        return before
    found = {}
    for member in (seen, *seen.children):
        if member.final or member.state is JobState.ACTIVE:
            continue
        earlier = before.get(member.job_id, ())
        fields = tuple([name for name in NAMES if _denies(member, name, earlier)])
        if fields:
            found[member.job_id] = fields
    return found


def _denies(member: Observation, field: str, earlier: tuple[str, ...]) -> bool:
    said: bool | None = getattr(member, field)
    return field in member.unreadable or said is False or (said is None and field in earlier)


def _said(cancellation: Cancellation, member: Observation, field: str, what: str) -> Condition:
    """Judge by what the backend says, or last said: mere silence does not shut the gate, an unreadable value does."""
    if field in member.unreadable:
        return Condition(NAMES[field], met=False, evidence=f"the backend's value can't be read: {what}")
    said: bool | None = getattr(member, field)
    if said is None and field in cancellation.progress.denied.get(member.job_id, ()):
        return Condition(NAMES[field], met=False, evidence=f"the backend does not say {what}, and denied it before")
    if said is None:
        return Condition(NAMES[field], met=None, evidence=f"the backend does not say {what}")
    return Condition(NAMES[field], met=said, evidence=f"the backend says {what}: {'yes' if said else 'no'}")
