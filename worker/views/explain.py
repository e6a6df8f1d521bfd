"""PURE: a cancellation in words: what was asked, done and seen, what comes next, and what is in the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from ..client.async_client import Result
from ..domain.cancellation import Cancellation, Sent, attributed, sent_key
from ..domain.decision import read_reason
from ..domain.escalation import FORCE_DUE
from ..domain.evidence.proof import attestation_for
from ..domain.model import Action, AnswerKind, Force
from ..store.codec import Snapshot
from .counted import counted
from .summary import by_whom

Pairs = list[tuple[str, str]]

ANSWERS: Mapping[AnswerKind, str] = {
    AnswerKind.ACCEPTED: "the backend took it",
    AnswerKind.UNANSWERED: "it went unanswered and may have had an effect",
    AnswerKind.REJECTED: "turned down, the job's state forbids it",
    AnswerKind.BUSY: "turned away for now",
    AnswerKind.NOT_FOUND: "the backend knows no such job",
    AnswerKind.REFUSED: "refused",
}

SHUT: Mapping[str, str] = {
    "in_cancelling": "the job is not in the state that allows it",
    "time_over": "the waiting time is not over on the backend's clock",
    "asynchronous": "the backend says that the job is not asynchronous; such a job is never forced",
    "backend_allows": "the backend says that it is not allowed",
    "policy_allows": 'force = "never" forbids it',
    "remote_stopped": "nobody has given their word that the remote process is gone",
}
"""What it means that a condition of the force gate is not met."""

OUTCOMES: Mapping[str, str] = {
    "cancelled": "seen stopped after our cancel",
    "force_cancelled": "seen cancelled after our force call",
    "deleted": "its record is seen gone after our delete",
    "already_finished": "it had ended before we asked for anything",
    "completed_anyway": "it ended by itself after our cancel",
    "not_found": "no such job before we asked for anything",
    "refused": "the backend will not",
    "timed_out": "the time ran out before it was confirmed stopped",
    "aborted": "an operator withdrew the cancellation",
    "planned": "a dry run: nothing was sent",
    "changed": "the job was not in the expected state: nothing was sent",
}

EVIDENCE: Mapping[str, str] = {
    "reported": "the backend itself reports the job's end",
    "probed": "a second source agrees that it is gone",
    "attested": "somebody gave their word that it is gone",
    "unverified": "only the record was closed: the remote process may still run",
    "none": "nothing was seen to end",
}


def words(seen: Snapshot, now: datetime, result: Result | None = None, obstacles: Sequence[str] = ()) -> Pairs:
    """Describe a cancellation as labelled sentences.

    `result` is that of a finished one; `obstacles` say why its backend is not called now.
    """
    cancellation = seen.record.cancellation
    pairs: Pairs = [("cancellation", cancellation.id)]
    pairs += [("asked", text) for text in _asked(seen, now)]
    pairs += [("done", text) for text in _done(cancellation, now)]
    pairs.append(("seen", _seen(cancellation, now)))
    if seen.record.outcome is None:
        pairs.append(("next", _next(seen, now)))
        pairs += [("in the way", text) for text in _in_the_way(cancellation, obstacles, now)]
    else:
        pairs += _end(seen, now, result)
    return pairs


def clock(at: datetime, now: datetime) -> str:
    """Write a moment as its time of day, with the date if that is not today."""
    return f"{at:%H:%M:%S} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: float) -> str:
    """Write a duration in its two largest units."""
    left = max(0, round(seconds))
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts = []
    for name, size in units:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def _asked(seen: Snapshot, now: datetime) -> Iterator[str]:
    cancellation, command = seen.record.cancellation, seen.command
    who = by_whom(command)
    why = f": {' '.join(str(command['reason']).split())}" if command.get("reason") else ""
    at = clock(cancellation.accepted_at, now)
    yield f"{cancellation.spec.verb} {cancellation.backend} {cancellation.job_id}, at {at}{who and f' {who}'}{why}"
    ids = seen.command_ids
    yield f"by {counted(len(ids), 'command')}: {', '.join(ids[:3])}{', ...' if len(ids) > 3 else ''}"  # noqa: PLR2004 - as many as a line takes
    if cancellation.begins_at > now:
        yield f"no call before {clock(cancellation.begins_at, now)}"
    for job_id, word in cancellation.spec.attestations.items():
        of = f" of job {job_id}" if job_id else ""
        void = cancellation.progress.void.get(job_id)
        lost = f"; void since {clock(void, now)}" if void is not None and word.at <= void else ""
        yield f"the remote process{of} is gone: the word of {attributed(word.by, word.signed_by)}{lost}"
    if cancellation.spec.dry_run:
        yield "a dry run: look, and send nothing"
    if cancellation.spec.expect:
        yield f"nothing is sent unless the job is in {' or '.join(map(repr, cancellation.spec.expect))}"
    if cancellation.spec.aborted:
        yield f"withdrawn by {cancellation.spec.aborted}"


def _done(cancellation: Cancellation, now: datetime) -> Iterator[str]:
    progress = cancellation.progress
    for key, sent in progress.sent.items():
        yield _call(key, cancellation, sent, now)
    if progress.intent is not None:
        intent = progress.intent
        begun = f"{intent.action} was begun at {clock(intent.at, now)}"
        yield f"{begun}, and has no answer yet; a look comes before any repeat"
    if not progress.sent and progress.intent is None:
        yield "nothing was sent to the backend" + ("" if cancellation.progress.end else " yet")


def _call(key: str, cancellation: Cancellation, sent: Sent, now: datetime) -> str:
    action, _, job_id = key.partition(":")
    whose = f" for job {job_id}" if job_id and job_id != cancellation.job_id else ""
    times = f", {sent.count} times, first at {clock(sent.first_at, now)}" if sent.count > 1 else ""
    detail = f" ({sent.detail})" if sent.detail else ""
    return f"{action} sent{whose} at {clock(sent.last_at, now)}{times}: {ANSWERS[sent.last]}{detail}"


def _seen(cancellation: Cancellation, now: datetime) -> str:
    progress = cancellation.progress
    if progress.looked_at is None:
        failed = f"; {progress.failed_looks} looks showed nothing" if progress.failed_looks else ""
        return f"the job has not been looked at yet{failed}"
    ago = span((now - progress.looked_at).total_seconds())
    return f"{progress.state} ({progress.raw}), {ago} ago, at {clock(progress.looked_at, now)}; looks: {progress.looks}"


def _next(seen: Snapshot, now: datetime) -> str:
    if seen.claimed:
        return "a worker is working on it now"
    what = seen.record.cancellation.progress.next or "the first pass"
    if seen.due_at is None:
        return f"{what}; it is not scheduled, which should last only a moment"
    late = now - seen.due_at
    if late > timedelta(seconds=5):
        return f"{what}; late: due since {clock(seen.due_at, now)} ({span(late.total_seconds())}), is a worker running?"
    return f"in {span(-late.total_seconds())} ({clock(seen.due_at, now)}): {what}"


def _in_the_way(cancellation: Cancellation, obstacles: Sequence[str], now: datetime) -> Iterator[str]:
    progress, spec = cancellation.progress, cancellation.spec
    yield from filter(None, obstacles)
    if progress.failed_looks and progress.note:
        yield f"{progress.note} ({progress.failed_looks} in a row)"
    elif progress.note:
        yield progress.note
    for job_id, names in held(cancellation):
        child = job_id if job_id != cancellation.job_id else ""
        whose = f" of job {child}" if child else ""
        yield f"the force step{whose} is held: {'; '.join(SHUT[name] for name in names)}"
        if "remote_stopped" in names:
            yield f"once it is gone: {_attest(cancellation, child)}"
    yield from _needed_to_force(cancellation)
    yield from _on_hold(cancellation, now)
    if progress.overdue:
        yield "it is overdue: warn_after has passed and the job is not confirmed stopped"
    if spec.hold is None:
        yield f"if it has not ended by {spec.give_up_at:%Y-%m-%d %H:%M:%S} UTC, it is given up as timed_out"


def _on_hold(cancellation: Cancellation, now: datetime) -> Iterator[str]:
    hold = cancellation.spec.hold
    if hold is None:
        return
    until = f" until {clock(hold.until, now)}" if hold.until else ""
    pending = "" if hold.announced else "; a call may still be in flight"
    yield f"held by {attributed(hold.by, hold.signed_by)} since {clock(hold.since, now)}{until}: {hold.reason}{pending}"
    left = span((cancellation.gives_up_at(now) - now).total_seconds())
    yield f"it has {left} left once it goes on: canceller release {cancellation.id} --by NAME --reason TEXT"


def _needed_to_force(cancellation: Cancellation) -> Iterator[str]:
    """Say what a force step that is still ahead will need: once it is due it is late to start looking for proof."""
    due = cancellation.progress.next.partition(FORCE_DUE)[2]
    force, proven = cancellation.spec.force, attestation_for(cancellation, cancellation.job_id)
    if due and force is Force.NEVER:
        yield f'the force step comes due at {due}, and force = "never" forbids it'
    elif due and force is Force.ATTESTED and not proven:
        yield f'the force step comes due at {due} and needs proof that the remote process is gone (force = "attested")'
        yield f"once it is gone: {_attest(cancellation)}"


def _attest(cancellation: Cancellation, child: str = "") -> str:
    about = f" --child {child}" if child else ""
    return f"canceller attest {cancellation.id}{about} --by NAME --reason TEXT"


def held(cancellation: Cancellation) -> Iterator[tuple[str, list[str]]]:
    """Return the jobs whose force step is held, with the names of the conditions that are still not met."""
    progress = cancellation.progress
    for reason in progress.held:
        job_id, names = read_reason(reason)
        if sent_key(Action.FORCE, job_id) in progress.sent:
            continue
        left = [name for name in names if name != "remote_stopped" or not attestation_for(cancellation, job_id)]
        if left:
            yield job_id, left


def _end(seen: Snapshot, now: datetime, result: Result | None) -> Pairs:
    outcome = str(seen.record.outcome)
    at = f", at {clock(seen.record.ended_at, now)}" if seen.record.ended_at else ""
    pairs = [("outcome", f"{outcome}: {OUTCOMES[outcome]}{at}")]
    if result is None or not result.data:
        return [*pairs, ("evidence", "its finished event is no longer kept")]
    pairs.append(("evidence", f"{result.evidence}: {EVIDENCE.get(result.evidence, '')}"))
    safe = "yes" if result.safe_to_rerun else "no: it is not known whether the job has stopped"
    pairs.append(("safe to rerun", safe))
    pairs += _plan(result)
    children = result.data.get("children") or ()
    pairs += [("child", f"{child['job_id']} {child['outcome']} ({child['raw_state']})") for child in children]
    if result.detail:
        pairs.append(("detail", result.detail))
    return pairs


def _plan(result: Result) -> Pairs:
    plan = result.data.get("plan")
    if not plan:
        return []
    shown = f"{plan['job_state']} ({plan['raw_state']})"
    children = (f"{child['job_id']} {child['job_state']} ({child['raw_state']})" for child in plan["children"])
    seen = [("child", text) for text in children]
    return [("would send", f"{plan['would']}: {plan['because']}"), ("it shows", shown), *seen]
