"""PURE: what to do next about one cancellation. Every rule about when to call is here or in `force_gate.py`.

`decide` gets all it needs as arguments: the record, what a look has shown, what the backend's configuration allows, and
the time. It returns a value and touches nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from . import polling
from .cancellation import FAR, Cancellation, attributed, sent_key
from .decision import Decision, Finish, Hold, Send, Wait
from .dry_run import planned
from .evidence.breaker import outage
from .evidence.doubt import ask_again, lasting, refuses
from .evidence.effect import forced
from .evidence.ending import Unproven, unproven
from .expectation import as_expected, changed
from .force_gate import candidates, gate
from .model import Action, Answer, AnswerKind, Evidence, JobState, Observation, Outcome, Policy, Verb
from .outcome import ended

MOST_PROBED = 20
"""The most jobs of one family about which the second source is asked after a look."""
LISTED_AGAIN = 2
"""How many more looks a dry run takes to see the children of a parent that has ended."""
FORCE_DUE = "the force step is due at "
"""Precedes the time of a future force step in the `why` of a wait."""


def needs_look(cancellation: Cancellation, policy: Policy, lost_at: datetime | None = None) -> bool:
    """Whether a pass must look before it may decide.

    Only a first cancel may be sent without a look: if the backend's answer or the next look shows in what state it
    found the job (Oracle ESS, Sahara), no command asks for a look, and no operator holds the cancellation. `lost_at` is
    when Redis may have lost our last writes: a cancellation accepted by then looks first. One that an operator has
    withdrawn ends without a look.
    """
    spec = cancellation.spec
    if spec.aborted:
        return False
    if spec.verb is Verb.DELETE or policy.steps.look_before_cancel:
        return True
    if spec.dry_run or spec.expect or spec.hold is not None:
        return True
    if lost_at is not None and cancellation.accepted_at <= lost_at:
        return True
    return bool(cancellation.progress.sent) or cancellation.progress.looked_at is not None


def decide(cancellation: Cancellation, seen: Observation | Answer | None, policy: Policy, now: datetime) -> Decision:
    """Decide the next step.

    `seen` is what a look in this pass has shown, why it showed nothing, or None if none was needed.
    A hold stops only changing calls.
    """
    decision = _decided(cancellation, seen, policy, now)
    hold = cancellation.spec.hold
    if hold is None or not isinstance(decision, Send):
        return decision
    again = now + polling.next_look(cancellation, policy, now)
    why = f"look again; held by {attributed(hold.by, hold.signed_by)}: no {decision.action} is sent"
    return Wait(capped(cancellation, policy, now, again), why)


def _decided(cancellation: Cancellation, seen: Observation | Answer | None, policy: Policy, now: datetime) -> Decision:
    if cancellation.spec.aborted:
        return Finish(Outcome.ABORTED, Evidence.NONE, f"withdrawn by {cancellation.spec.aborted}")
    if too_early(cancellation, now):
        why = "begin: the command asked for no call before then"
        return Wait(min(cancellation.begins_at, _hold_ends(cancellation, now)), why)
    if isinstance(seen, Answer):
        return _unseen(cancellation, seen, policy, now)
    if seen is not None:
        look = _planned if cancellation.spec.dry_run else _seen
        return look(cancellation, seen, policy, now)
    if now >= cancellation.gives_up_at(now):
        return _given_up(cancellation, None, policy)
    return Send(Action.CANCEL, cancellation.job_id)


def _planned(cancellation: Cancellation, seen: Observation, policy: Policy, now: datetime) -> Decision:
    """End a dry run with what would be decided now, once what was seen is proven.

    If a parent has ended and the list of its children failed, it is looked at again a few times.
    """
    if _lacks(cancellation, seen, policy, now) is not None:
        return _seen(cancellation, seen, policy, now)
    unlisted = seen.ended and seen.unlisted is not None and outage(seen.unlisted)
    if unlisted and cancellation.progress.waits < LISTED_AGAIN and now < cancellation.gives_up_at(now):
        again = now + polling.back_off(cancellation, policy.poll, cancellation.progress.waits)
        return Wait(capped(cancellation, policy, now, again), "look again: the list of children failed")
    patient = replace(cancellation, spec=replace(cancellation.spec, give_up_at=FAR))
    now_or_never = replace(seen, unlisted=replace(seen.unlisted, retry_after=None)) if seen.unlisted else seen
    return planned(cancellation, seen, _seen(patient, now_or_never, policy, now))


def _lacks(cancellation: Cancellation, seen: Observation, policy: Policy, now: datetime) -> Unproven | None:
    """Return what is still to be proven before an observation may end a cancellation, None if nothing is.

    If the cancellation makes no calls, a job that is gone counts as an end whatever its children do.
    """
    untouched = cancellation.spec.dry_run or not as_expected(cancellation, seen)
    ends = seen.final or (untouched and seen.state is JobState.GONE)
    return unproven(cancellation, seen, policy, now) if ends else None


def _seen(cancellation: Cancellation, seen: Observation, policy: Policy, now: datetime) -> Decision:
    """Decide by what was seen of the job: its end counts once it is proven and the whole family was seen."""
    lacks = _lacks(cancellation, seen, policy, now)
    if seen.final and lacks is None:
        return _after_the_end(cancellation, seen, policy, now)
    if lacks is None and not as_expected(cancellation, seen):
        return changed(cancellation, seen)
    if now >= cancellation.gives_up_at(now):
        return _given_up(cancellation, seen, policy)
    decision: Decision
    if lacks is not None:
        decision = Wait(capped(cancellation, policy, now, lacks.until), lacks.why)
    else:
        decision = _alive(cancellation, seen, policy, now)
    return decision if seen.unlisted is None else _not_before(cancellation, seen.unlisted, decision, policy, now)


def _not_before(
    cancellation: Cancellation, unlisted: Answer, decision: Decision, policy: Policy, now: datetime
) -> Decision:
    """Postpone a decision until a list that the backend would not show may be requested again."""
    asked_for = now + polling.asked_for(unlisted.retry_after, policy)
    if asked_for == now or isinstance(decision, Finish):
        return decision
    if isinstance(decision, Send):
        why = f"look again before the {decision.action}, as the reply to a list asked us to wait"
        return Wait(capped(cancellation, policy, now, asked_for), why)
    return replace(decision, until=capped(cancellation, policy, now, max(decision.until, asked_for)))


def too_early(cancellation: Cancellation, now: datetime) -> bool:
    """Whether no call may be made yet, not even a look. Until then only an abort ends a cancellation."""
    not_before = cancellation.spec.not_before
    return not_before is not None and now < not_before


def after_answer(
    cancellation: Cancellation, send: Send, answer: Answer, policy: Policy, now: datetime
) -> Finish | Wait:
    """Decide how to go on after a changing call, answered or not.

    A refusal that counts ends the cancellation, once a look has shown that no earlier, unanswered try had an effect.
    Whatever an answer leaves open is settled by a look: at once if the call can have had no effect, after `poll.first`
    if it may have had one, and never before the backend's `Retry-After`.
    """
    sent = cancellation.progress.sent[sent_key(send.action, send.job_id)]
    asked_for = now + polling.asked_for(answer.retry_after, policy)
    if refuses(answer, sent.doubt, policy):
        if not sent.unanswered or send.action is Action.FORCE:
            return Finish(Outcome.REFUSED, Evidence.NONE, answer.detail)
        why = f"see whether an earlier {send.action} has had an effect, as this one was refused"
        return Wait(capped(cancellation, policy, now, asked_for), why)
    if answer.before is not None and answer.before.final and cancellation.spec.verb is Verb.CANCEL:
        return ended(_unsent(cancellation, send), answer.before, policy)
    if answer.kind in {AnswerKind.REJECTED, AnswerKind.NOT_FOUND}:
        return Wait(capped(cancellation, policy, now, asked_for), f"see why the {send.action} was not accepted")
    if answer.kind in {AnswerKind.BUSY, AnswerKind.REFUSED}:
        again = now + polling.pause(cancellation, policy, sent)
        if sent.doubt is not None:
            again = max(asked_for, ask_again(sent.doubt, policy, now, again - now))
        return Wait(capped(cancellation, policy, now, again), f"try the {send.action} again")
    if send.job_id != cancellation.job_id:
        return Wait(capped(cancellation, policy, now, asked_for), "look for other children that are stuck")
    until = max(asked_for, now + polling.first_look(cancellation, policy, now))
    return Wait(capped(cancellation, policy, now, until), f"see what the {send.action} has done")


def _unsent(cancellation: Cancellation, send: Send) -> Cancellation:
    """Leave out a call that was made only once, to a job that had already ended."""
    sent = cancellation.progress.sent
    key = sent_key(send.action, send.job_id)
    if sent[key].count > 1:
        return cancellation
    others = {name: one for name, one in sent.items() if name != key}
    return replace(cancellation, progress=replace(cancellation.progress, sent=others))


def to_probe(cancellation: Cancellation, seen: Observation, policy: Policy, now: datetime) -> tuple[str, ...]:
    """Return the jobs whose processes the second source is to be asked about after this look.

    While jobs are stuck: the first one whose force gate lacks only this proof. At the end: those that were forced, or
    the job itself on a backend without a force step, because nothing else confirms its end.
    """
    if not policy.probes or cancellation.spec.dry_run:
        return ()
    if seen.final or (seen.provisional and now >= cancellation.gives_up_at(now)):
        stopped = tuple(forced(cancellation)) or (() if policy.steps.force else (cancellation.job_id,))
        return stopped[:MOST_PROBED]
    if seen.unlisted is not None and seen.unlisted.retry_after and now < cancellation.gives_up_at(now):
        return ()  # the backend asked us to wait, and another look comes before any force
    gates = (gate(cancellation, member, policy, now) for member in candidates(cancellation, seen, policy))
    return tuple(one.job_id for one in gates if one.shut == ("remote_stopped",))[:1]


def _unseen(cancellation: Cancellation, answer: Answer, policy: Policy, now: datetime) -> Decision:
    """Decide after a look that showed nothing.

    If the backend refuses to show the job, the cancellation ends as refused, unless a call was accepted before.
    """
    doubt = cancellation.progress.doubt
    if refuses(answer, doubt, policy) and not any(sent.accepted for sent in cancellation.progress.sent.values()):
        return Finish(Outcome.REFUSED, Evidence.NONE, answer.detail)
    if now >= cancellation.gives_up_at(now):
        return _given_up(cancellation, None, policy)
    again = now + polling.back_off(cancellation, policy.poll, max(0, cancellation.progress.failed_looks - 1))
    if doubt is not None and answer.kind is AnswerKind.REFUSED:
        again = ask_again(doubt, policy, now, again - now)
    again = max(again, now + polling.asked_for(answer.retry_after, policy))
    return Wait(capped(cancellation, policy, now, again), "look again, the last look showed nothing")


def _after_the_end(cancellation: Cancellation, seen: Observation, policy: Policy, now: datetime) -> Decision:
    """Decide for a job that has ended: a delete still has to remove its record."""
    if cancellation.spec.verb is Verb.CANCEL or seen.state is JobState.GONE or not as_expected(cancellation, seen):
        return ended(cancellation, seen, policy)
    if now >= cancellation.gives_up_at(now):
        return _given_up(cancellation, seen, policy)
    if seen.undeletable:
        return Finish(Outcome.REFUSED, Evidence.NONE, seen.undeletable)
    return _send_or_wait(cancellation, Action.DELETE, policy, now)


def _alive(cancellation: Cancellation, seen: Observation, policy: Policy, now: datetime) -> Decision:
    """Decide for a job that may still run: stop it, wait, or force it."""
    deleting = cancellation.spec.verb is Verb.DELETE
    if deleting and seen.undeletable:
        return Finish(Outcome.REFUSED, Evidence.NONE, seen.undeletable)
    if policy.steps.cancel_removes and seen.state is not JobState.ACTIVE:
        poll = now + polling.next_look(cancellation, policy, now)
        why = "look again: a stop would remove the record, and nothing shows that the job runs"
        return Wait(capped(cancellation, policy, now, poll), why)
    cancel = cancellation.progress.sent.get(Action.CANCEL)
    accepted = cancel is not None and cancel.accepted
    if deleting and policy.steps.delete_stops and not (accepted and policy.steps.cancel_removes):
        return _send_or_wait(cancellation, Action.DELETE, policy, now)
    if accepted or (cancel is not None and (seen.state is JobState.CANCELLING or seen.ended)):
        return _force_or_wait(cancellation, seen, policy, now)
    return _send_or_wait(cancellation, Action.CANCEL, policy, now)


def _force_or_wait(cancellation: Cancellation, seen: Observation, policy: Policy, now: datetime) -> Decision:
    """Wait until the stop is confirmed; force what is stuck and may be forced."""
    poll = now + polling.next_look(cancellation, policy, now)
    gates = tuple(
        (member, gate(cancellation, member, policy, now)) for member in candidates(cancellation, seen, policy)
    )
    for member, one in gates:
        if not one.shut:
            return Send(Action.FORCE, member.job_id, member.force_allowed)
    held = [one for _, one in gates if one.wait <= 0]
    if held:
        unreported = [one for one in held if one.reason not in cancellation.progress.held]
        return Hold(capped(cancellation, policy, now, poll), (unreported or held)[0])
    if not gates:
        return Wait(capped(cancellation, policy, now, poll), "look again, the job is not confirmed stopped")
    due = now + timedelta(seconds=min(one.wait for _, one in gates))
    return Wait(capped(cancellation, policy, now, min(poll, due)), f"look again; {FORCE_DUE}{due:%H:%M:%S} UTC")


def _send_or_wait(cancellation: Cancellation, action: Action, policy: Policy, now: datetime) -> Decision:
    """Make a changing call unless an earlier try of it forbids that, for now or for good.

    An accepted call is never repeated. An unanswered one may be repeated if a look that began at least `poll.first`
    later still shows the job untouched; one that was turned down, after a pause that grows. A refusal that counts is
    final.
    """
    sent = cancellation.progress.sent.get(action)
    if sent is None and policy.steps.cancel_removes:
        # The backend has one call for both: a delete repeats a cancel that was not accepted.
        cancel = cancellation.progress.sent.get(Action.CANCEL)
        sent = cancel if cancel is not None and not cancel.accepted else None
    if sent is None:
        return Send(action, cancellation.job_id)
    if sent.accepted:
        poll = now + polling.next_look(cancellation, policy, now)
        return Wait(capped(cancellation, policy, now, poll), f"look again, the {action} is not confirmed")
    if sent.last is AnswerKind.REFUSED and (sent.doubt is None or lasting(sent.doubt, policy)):
        return Finish(Outcome.REFUSED, Evidence.NONE, sent.detail)
    again = sent.last_at + polling.pause(cancellation, policy, sent)
    if cancellation.known_until(sent, now) >= again:
        return Send(action, cancellation.job_id)
    return Wait(capped(cancellation, policy, now, again), f"try the {action} again if the job is still untouched")


def _given_up(cancellation: Cancellation, seen: Observation | None, policy: Policy) -> Finish:
    """End a cancellation whose deadline has passed before the job was confirmed stopped; report the last answers.

    If the job shows an end that the backend may take back, that end is the outcome.
    """
    if seen is not None and seen.provisional and cancellation.spec.verb is Verb.CANCEL:
        return ended(cancellation, seen, policy)
    progress = cancellation.progress
    last = f"last seen {progress.raw!r}" if progress.raw else "the job was never seen"
    calls = progress.sent.items()
    asked = [f"the {key.partition(':')[0]} was answered: {sent.detail}" for key, sent in calls if sent.detail]
    unasked = [] if progress.sent else ["nothing was sent"]
    parts = (last, *asked, *unasked, progress.note)
    return Finish(Outcome.TIMED_OUT, Evidence.NONE, "; ".join(part for part in parts if part))


def matters(cancellation: Cancellation, policy: Policy) -> datetime:
    """Return the next moment at which something must happen even if the backend can't be called.

    The end of a hold is not one of them: the Lua scripts handle it on their own.
    """
    return min(cancellation.gives_up_at(FAR), warn_at(cancellation, policy))


def warn_at(cancellation: Cancellation, policy: Policy) -> datetime:
    """Return when to report that the job is overdue, `FAR` if it has been reported."""
    if cancellation.progress.overdue:
        return FAR
    return cancellation.begins_at + timedelta(seconds=policy.warn_after)


def capped(cancellation: Cancellation, policy: Policy, now: datetime, until: datetime) -> datetime:
    """Extend a wait until the replies to the last look allow another one; cut it short at the next moment that matters.

    If the deadline passed during a call, one last look follows after `poll.first`.
    """
    give_up_at = cancellation.gives_up_at(now)
    deadline = give_up_at if give_up_at > now else now + timedelta(seconds=policy.poll.first)
    ahead = [moment for moment in (deadline, warn_at(cancellation, policy)) if moment > now]
    until = max(until, cancellation.progress.quiet_until or until)
    return max(now, min([until, _hold_ends(cancellation, now), *ahead]))


def next_pass(cancellation: Cancellation, policy: Policy, now: datetime, *, slow: bool) -> datetime:
    """Return when another pass takes up what this one leaves: at once, or as after a poll if its look was too slow."""
    again = now + polling.next_look(cancellation, policy, now) if slow else now
    return capped(cancellation, policy, now, again)


def _hold_ends(cancellation: Cancellation, now: datetime) -> datetime:
    """Return when the current hold ends by itself: now if that is past, `FAR` if it does not or there is none."""
    hold = cancellation.spec.hold
    return FAR if hold is None or hold.until is None else max(now, hold.until)
