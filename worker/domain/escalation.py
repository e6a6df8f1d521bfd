"""PURE: what to do next about one cancellation. Every rule of when to call is in this file and in `gate.py`.

`decide` gets all it needs as arguments: the record, what a look has shown, what the backend's
configuration allows, and the time. It answers with a value and touches nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from . import polling
from .cancellation import FAR, Cancellation, Sent, sent_key
from .decision import Decision, Finish, Hold, Send, Wait
from .dry_run import planned
from .evidence.doubt import ask_again, refuses
from .evidence.effect import forced
from .evidence.ending import Unproven, unproven
from .expectation import as_expected, changed
from .force_gate import candidates, gate
from .model import Action, Answer, AnswerKind, Evidence, JobState, Observation, Outcome, Policy, Verb
from .outcome import ended

LONGEST_BLIND = 300.0
"""Seconds, or `poll.max` where that is more, for which a backend's `Retry-After` keeps us from the next look."""
MOST_PROBED = 20
"""Jobs of one family about which the second source is asked after a look."""
FORCE_DUE = "the force step is due at "
"""Stands before the time of a force step that is still ahead, in the `why` of a wait."""


def needs_look(cancellation: Cancellation, policy: Policy, suspect: datetime | None = None) -> bool:
    """Say whether a pass must look before it may decide.

    Only a first cancel may go out unseen, and only where the backend's answer or the next look tells what was (Oracle
    ESS, Sahara), and where nobody asks for a look or holds it. `suspect` is when Redis may have forgotten what we did
    last: what was accepted before it looks first.
    """
    spec = cancellation.spec
    if spec.verb is Verb.DELETE or policy.steps.look_before_cancel:
        return True
    if spec.dry_run or spec.expect or spec.hold is not None:
        return True
    if suspect is not None and cancellation.accepted_at <= suspect:
        return True
    return bool(cancellation.progress.sent) or cancellation.progress.looked_at is not None


def decide(cancellation: Cancellation, seen: Observation | Answer | None, policy: Policy, now: datetime) -> Decision:
    """Decide the next step.

    `seen` is what a look in this pass has shown, why it showed nothing, or None where none was needed.
    While it is held all goes on but changing calls.
    """
    decision = _decided(cancellation, seen, policy, now)
    hold = cancellation.spec.hold
    if hold is None or not isinstance(decision, Send):
        return decision
    again = now + polling.next_look(cancellation, policy, now)
    return _wait(cancellation, policy, now, again, f"look again; held by {hold.whose}: no {decision.action} is sent")


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
    """End a dry run with what would be decided now, once that is proven."""
    if _lacks(cancellation, seen, policy, now) is not None:
        return _seen(cancellation, seen, policy, now)
    patient = replace(cancellation, spec=replace(cancellation.spec, give_up_at=FAR))
    now_or_never = replace(seen, unlisted=replace(seen.unlisted, retry_after=None)) if seen.unlisted else seen
    return planned(cancellation, seen, _seen(patient, now_or_never, policy, now))


def _lacks(cancellation: Cancellation, seen: Observation, policy: Policy, now: datetime) -> Unproven | None:
    """Say what a sight lacks to end a cancellation; one that was not touched may end whatever the children do."""
    untouched = cancellation.spec.dry_run or not as_expected(cancellation, seen)
    ends = seen.final or (untouched and seen.state is JobState.GONE)
    return unproven(cancellation, seen, policy, now) if ends else None


def _seen(cancellation: Cancellation, seen: Observation, policy: Policy, now: datetime) -> Decision:
    """Decide by a sight of the job: an end counts once it is proven, and a family that was seen whole."""
    lacks = _lacks(cancellation, seen, policy, now)
    if seen.final and lacks is None:
        return _after_the_end(cancellation, seen, policy, now)
    if lacks is None and not as_expected(cancellation, seen):
        return changed(cancellation, seen)
    if now >= cancellation.gives_up_at(now):
        return _given_up(cancellation, seen, policy)
    decision: Decision
    if lacks is not None:
        decision = _wait(cancellation, policy, now, lacks.until, lacks.why)
    else:
        decision = _alive(cancellation, seen, policy, now)
    return decision if seen.unlisted is None else _not_before(cancellation, seen.unlisted, decision, policy, now)


def _not_before(
    cancellation: Cancellation, unlisted: Answer, decision: Decision, policy: Policy, now: datetime
) -> Decision:
    """Put off what was decided until a list that asked for time may be read again."""
    asked_for = now + _asked_for(unlisted, policy)
    if asked_for == now or isinstance(decision, Finish):
        return decision
    if isinstance(decision, Send):
        return _wait(
            cancellation, policy, now, asked_for, f"look again before the {decision.action}, as a list asked for time"
        )
    return replace(decision, until=_capped(cancellation, policy, now, max(decision.until, asked_for)))


def too_early(cancellation: Cancellation, now: datetime) -> bool:
    """Say whether no call may be made yet, not even a look. Nothing but an abort ends a cancellation then."""
    not_before = cancellation.spec.not_before
    return not_before is not None and now < not_before


def after_answer(
    cancellation: Cancellation, send: Send, answer: Answer, policy: Policy, now: datetime
) -> Finish | Wait:
    """Decide how to go on once a changing call was answered, or was not.

    A refusal that counts ends the cancellation. What an answer leaves open a look must tell: at once where nothing
    can have happened, after `poll.first` where something may have, and never before a backend's `Retry-After`.
    """
    sent = cancellation.progress.sent[sent_key(send.action, send.job_id)]
    if refuses(answer, sent.doubt, policy):
        return refused(answer.detail)
    if answer.before is not None and answer.before.final and cancellation.spec.verb is Verb.CANCEL:
        return ended(_unsent(cancellation, send), answer.before, policy)
    asked_for = now + _asked_for(answer, policy)
    if answer.kind in {AnswerKind.REJECTED, AnswerKind.NOT_FOUND}:
        return _wait(cancellation, policy, now, asked_for, f"look why the {send.action} was not taken")
    if answer.kind in {AnswerKind.BUSY, AnswerKind.REFUSED}:
        again = now + polling.pause(cancellation, policy, sent)
        if sent.doubt is not None:
            again = max(asked_for, ask_again(sent.doubt, policy, now, again - now))
        return _wait(cancellation, policy, now, again, f"try the {send.action} again")
    if send.job_id != cancellation.job_id:
        return _wait(cancellation, policy, now, asked_for, "look for other children that are stuck")
    until = max(asked_for, now + polling.first_look(cancellation, policy, now))
    return _wait(cancellation, policy, now, until, f"look what the {send.action} has done")


def _asked_for(answer: Answer, policy: Policy) -> timedelta:
    """Return for how long a backend's `Retry-After` keeps us from the next look."""
    if not answer.retry_after:
        return timedelta()
    return timedelta(seconds=min(answer.retry_after, max(policy.poll.max, LONGEST_BLIND)))


def _unsent(cancellation: Cancellation, send: Send) -> Cancellation:
    """Leave out a call that was made once, and to a job that had ended before it."""
    sent = cancellation.progress.sent
    key = sent_key(send.action, send.job_id)
    if sent[key].count > 1:
        return cancellation
    others = {name: one for name, one in sent.items() if name != key}
    return replace(cancellation, progress=replace(cancellation.progress, sent=others))


def refused(why: str) -> Finish:
    """End a cancellation that the backend will not carry out."""
    return Finish(Outcome.REFUSED, Evidence.NONE, why)


def overdue(cancellation: Cancellation, policy: Policy, now: datetime) -> bool:
    """Say whether the job should have stopped by now and nobody was told yet."""
    return not cancellation.progress.overdue and now >= _warn_at(cancellation, policy)


def to_probe(cancellation: Cancellation, seen: Observation, policy: Policy, now: datetime) -> tuple[str, ...]:
    """Name the jobs about whose processes the second source is to be asked after this look.

    While a job is stuck: the first one whose force gate only that keeps shut. At the end: those that were forced, and
    a job of a kind without a force step, whose end nothing else confirms.
    """
    if not policy.probes or cancellation.spec.dry_run:
        return ()
    if seen.final or (seen.provisional and now >= cancellation.gives_up_at(now)):
        stopped = tuple(forced(cancellation)) or (() if policy.steps.force else (cancellation.job_id,))
        return stopped[:MOST_PROBED]
    gates = (gate(cancellation, member, policy, now) for member in candidates(cancellation, seen, policy))
    return tuple(one.job_id for one in gates if one.shut == ("remote_stopped",))[:1]


def _unseen(cancellation: Cancellation, answer: Answer, policy: Policy, now: datetime) -> Decision:
    """Nothing was seen: a backend that will not show the job refuses, unless it has taken a call of ours before."""
    doubt = cancellation.progress.doubt
    if refuses(answer, doubt, policy) and not any(sent.accepted for sent in cancellation.progress.sent.values()):
        return refused(answer.detail)
    if now >= cancellation.gives_up_at(now):
        return _given_up(cancellation, None, policy)
    again = now + polling.back_off(cancellation, policy, max(0, cancellation.progress.failed_looks - 1))
    if doubt is not None and answer.kind is AnswerKind.REFUSED:
        again = ask_again(doubt, policy, now, again - now)
    again = max(again, now + _asked_for(answer, policy))
    return _wait(cancellation, policy, now, again, "look again, the last look showed nothing")


def _after_the_end(cancellation: Cancellation, seen: Observation, policy: Policy, now: datetime) -> Decision:
    """The job can run no more; a delete still has to remove its record."""
    if cancellation.spec.verb is Verb.CANCEL or seen.state is JobState.GONE or not as_expected(cancellation, seen):
        return ended(cancellation, seen, policy)
    if now >= cancellation.gives_up_at(now):
        return _given_up(cancellation, seen, policy)
    if seen.undeletable:
        return refused(seen.undeletable)
    return _send_or_wait(cancellation, Action.DELETE, policy, now)


def _alive(cancellation: Cancellation, seen: Observation, policy: Policy, now: datetime) -> Decision:
    """The job may still run: stop it, or wait, or force."""
    deleting = cancellation.spec.verb is Verb.DELETE
    if deleting and seen.undeletable:
        return refused(seen.undeletable)
    if policy.steps.cancel_removes and seen.state is not JobState.ACTIVE:
        why = "look again: a stop would remove the record, and nothing shows that the job runs"
        return _wait(cancellation, policy, now, now + polling.next_look(cancellation, policy, now), why)
    taken = _taken(cancellation)
    if deleting and policy.steps.delete_stops and not (taken and policy.steps.cancel_removes):
        return _send_or_wait(cancellation, Action.DELETE, policy, now)
    asked = Action.CANCEL in cancellation.progress.sent
    if taken or (asked and (seen.state is JobState.CANCELLING or seen.ended)):
        return _force_or_wait(cancellation, seen, policy, now)
    return _send_or_wait(cancellation, Action.CANCEL, policy, now)


def _taken(cancellation: Cancellation) -> bool:
    sent = cancellation.progress.sent.get(Action.CANCEL)
    return sent is not None and sent.accepted


def _force_or_wait(cancellation: Cancellation, seen: Observation, policy: Policy, now: datetime) -> Decision:
    """Wait for the stop to be confirmed; force what is stuck and may be forced."""
    poll = now + polling.next_look(cancellation, policy, now)
    gates = tuple(
        (member, gate(cancellation, member, policy, now)) for member in candidates(cancellation, seen, policy)
    )
    for member, one in gates:
        if not one.shut:
            return Send(Action.FORCE, member.job_id, member.force_allowed)
    held = [one for _, one in gates if one.wait <= 0]
    if held:
        untold = [one for one in held if one.reason not in cancellation.progress.held]
        return Hold(_capped(cancellation, policy, now, poll), (untold or held)[0])
    waits = tuple(one.wait for _, one in gates)
    if not waits:
        return _wait(cancellation, policy, now, poll, "look again, the job is not confirmed stopped")
    due = now + timedelta(seconds=min(waits))
    return _wait(cancellation, policy, now, min(poll, due), f"look again; {FORCE_DUE}{due:%H:%M:%S} UTC")


def _send_or_wait(cancellation: Cancellation, action: Action, policy: Policy, now: datetime) -> Decision:
    """Make a changing call unless an earlier try of it forbids that, for now or for good.

    An accepted call is never repeated. One that went unanswered may be, once a look that began
    `poll.first` later at the earliest still shows the job untouched. One that was turned down with
    nothing done may be after a pause that grows.
    """
    sent = cancellation.progress.sent.get(action) or _same_call(cancellation, policy)
    if sent is None:
        return Send(action, cancellation.job_id)
    if sent.accepted:
        poll = now + polling.next_look(cancellation, policy, now)
        return _wait(cancellation, policy, now, poll, f"look again, the {action} is not confirmed")
    again = sent.last_at + polling.pause(cancellation, policy, sent)
    if (cancellation.seen_at(now) if sent.last is AnswerKind.UNANSWERED else now) >= again:
        return Send(action, cancellation.job_id)
    return _wait(cancellation, policy, now, again, f"try the {action} again if the job is still untouched")


def _same_call(cancellation: Cancellation, policy: Policy) -> Sent | None:
    """Return an untaken cancel where the backend's only stop removes the record: a delete repeats that very call."""
    sent = cancellation.progress.sent.get(Action.CANCEL)
    return sent if policy.steps.cancel_removes and sent is not None and not sent.accepted else None


def _given_up(cancellation: Cancellation, seen: Observation | None, policy: Policy) -> Finish:
    """The time is over and the job is not confirmed stopped; the last answers are told as they were.

    An end that the backend may take back is all that is left to tell of a job that shows one.
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

    Of the end of a hold the scripts know by themselves.
    """
    give_up_at = cancellation.gives_up_at(FAR)
    return give_up_at if cancellation.progress.overdue else min(give_up_at, _warn_at(cancellation, policy))


def _wait(cancellation: Cancellation, policy: Policy, now: datetime, until: datetime, why: str) -> Wait:
    return Wait(_capped(cancellation, policy, now, until), why)


def _capped(cancellation: Cancellation, policy: Policy, now: datetime, until: datetime) -> datetime:
    """Never wait past the next thing that matters; a last look follows at once when the time ran out in a call."""
    give_up_at = cancellation.gives_up_at(now)
    matters = [give_up_at if give_up_at > now else now + polling.first(policy)]
    if not cancellation.progress.overdue:
        matters.append(_warn_at(cancellation, policy))
    return max(now, min([until, _hold_ends(cancellation, now), *(moment for moment in matters if moment > now)]))


def _hold_ends(cancellation: Cancellation, now: datetime) -> datetime:
    """Return when the hold in force ends by itself, at once if it should have; far away if there is none."""
    hold = cancellation.spec.hold
    return FAR if hold is None or hold.until is None else max(now, hold.until)


def _warn_at(cancellation: Cancellation, policy: Policy) -> datetime:
    return cancellation.begins_at + timedelta(seconds=policy.warn_after)
