"""PURE: the force gate, with every precondition of the force step.

Oracle ESS (`POST …/forceCancel`) names three: the caller makes sure that the remote job no longer
runs; the request waits for an asynchronous response in CANCELLING; at least 30 minutes have passed
since it went there or since the job last checked in. `force_after` is that time, and a shorter one
in the configuration changes nothing about what the backend itself will allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from . import polling
from .cancellation import Cancellation, sent_key
from .decision import Condition, Gate
from .evidence.clock import cancelling_for
from .evidence.proof import proven_gone, word_for
from .model import Action, AnswerKind, Force, JobState, Observation, Policy


def candidates(cancellation: Cancellation, seen: Observation, policy: Policy) -> tuple[Observation, ...]:
    """Return the jobs whose force step is still ahead: stuck children first, else the job itself.

    A parent follows its children, so it is none while a child lives, or may live unseen. What was forced with an
    accepted answer is never forced again.
    """
    if not policy.steps.force:
        return ()
    alive = tuple(child for child in seen.children if not child.final)
    members = alive if alive or seen.unlisted is not None else (seen,)
    stuck = (member for member in members if member.state is JobState.CANCELLING)
    return tuple(member for member in stuck if not _forced(cancellation, member))


def gate(cancellation: Cancellation, member: Observation, policy: Policy, now: datetime) -> Gate:
    """Judge every precondition for one job in CANCELLING."""
    wait = max(waited(cancellation, member, policy, now), refused_wait(cancellation, member, policy, now))
    force = cancellation.spec.force.stricter(policy.force)
    return Gate(
        job_id=member.job_id,
        wait=max(0.0, wait),
        conditions=(
            Condition("in_cancelling", met=True, evidence=f"seen in {member.raw}"),
            Condition("time_over", wait <= 0, _time_evidence(cancellation, member, policy, now)),
            _said(member, "asynchronous", "that it is asynchronous"),
            _said(member, "force_allowed", "that a force is allowed"),
            Condition("policy_allows", force is not Force.NEVER, f'force = "{force}"'),
            _proof(cancellation, member, force, policy),
        ),
    )


def waited(cancellation: Cancellation, member: Observation, policy: Policy, now: datetime) -> float:
    """Return how many seconds of `force_after` are left, on the backend's own clock where it shows one that counts.

    Two hosts' wall clocks are never compared: the backend's state change time is set against its own `Date`. Else
    the wait counts on Redis's clock from our first sight of CANCELLING.
    """
    return force_after(cancellation, policy) - cancelling_for(cancellation, member, policy, now)[0]


def refused_wait(cancellation: Cancellation, member: Observation, policy: Policy, now: datetime) -> float:
    """Return how many seconds an earlier try of the force step still keeps us from the next.

    A refusal holds for `force_after`, to which a hold does not count, or until a backend that did not say so says that
    it allows it now.
    """
    sent = cancellation.progress.sent.get(sent_key(Action.FORCE, member.job_id))
    if sent is None:
        return 0.0
    if sent.last in {AnswerKind.UNANSWERED, AnswerKind.BUSY, AnswerKind.REFUSED}:
        pause = polling.pause(cancellation, policy, sent).total_seconds()
    elif member.force_allowed and sent.allowed is not True:
        pause = 0.0
    else:
        pause = force_after(cancellation, policy) + cancellation.stood_still(now) - sent.held
    at = cancellation.seen_at(now) if sent.last is AnswerKind.UNANSWERED else now
    return (sent.last_at + timedelta(seconds=pause) - at).total_seconds()


def force_after(cancellation: Cancellation, policy: Policy) -> float:
    """Return the seconds to wait in CANCELLING: a command can only lengthen what the backend is given."""
    return max(cancellation.spec.force_after, policy.force_after)


def _forced(cancellation: Cancellation, member: Observation) -> bool:
    sent = cancellation.progress.sent.get(sent_key(Action.FORCE, member.job_id))
    return sent is not None and sent.accepted


def _proof(cancellation: Cancellation, member: Observation, force: Force, policy: Policy) -> Condition:
    """Somebody must know that the remote process is gone, unless the policy does not ask for it."""
    if policy.probes and proven_gone(cancellation, member.job_id, policy):
        return Condition("remote_stopped", met=True, evidence="the remote probe says that it is gone")
    word = word_for(cancellation, member.job_id)
    if word is not None:
        return Condition("remote_stopped", met=True, evidence=f"attested by {word.whose}")
    if force is Force.AUTO:
        return Condition("remote_stopped", met=None, evidence='not asked for by force = "auto"')
    return Condition("remote_stopped", met=False, evidence=_no_proof(cancellation, policy))


def _no_proof(cancellation: Cancellation, policy: Policy) -> str:
    given = (
        cancellation.spec.attestations and "the word that was given does not hold: it is not about this job, or refuted"
    )
    probe = ", and the remote probe does not say so" if policy.probes else ""
    return (given or "nobody has given their word") + probe


def _time_evidence(cancellation: Cancellation, member: Observation, policy: Policy, now: datetime) -> str:
    spent, on_its_clock = cancelling_for(cancellation, member, policy, now)
    needed = f"{force_after(cancellation, policy):g} s"
    if on_its_clock:
        return f"{spent:g} s of {needed} since {member.since_text} on the backend's own clock"
    return f"{needed} since our first sight of {member.raw}, on Redis's clock"


NAMES: Mapping[str, str] = {"asynchronous": "asynchronous", "force_allowed": "backend_allows"}
"""The conditions that a backend's own words decide, by the field of an observation."""


def _said(member: Observation, field: str, what: str) -> Condition:
    """Judge what the backend says: silence shuts no gate, what can't be read does."""
    if field in member.unreadable:
        return Condition(NAMES[field], met=False, evidence=f"what the backend says of it can't be read: {what}")
    said: bool | None = getattr(member, field)
    if said is None:
        return Condition(NAMES[field], met=None, evidence=f"the backend does not say {what}")
    return Condition(NAMES[field], met=said, evidence=f"the backend says {what}: {'yes' if said else 'no'}")
