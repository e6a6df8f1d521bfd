"""PURE: each event of a job's story in full sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from ..domain.model import AnswerKind
from ..protocol.messages import Event
from .explain import ANSWERS, EVIDENCE, OUTCOMES, SHUT, clock, span
from .summary import by_whom, gist

Data = Mapping[str, Any]

OPEN_CONDITIONS: Mapping[str, str] = {
    "in_cancelling": "the job is in the state that allows it",
    "time_over": "its waiting time is over",
    "asynchronous": "the job is asynchronous",
    "backend_allows": "the backend allows it",
    "policy_allows": "the policy allows it",
    "remote_stopped": "the remote process is gone",
}
"""What the conditions of the force gate ask for; `SHUT` says what it means that one is not met."""
VERDICTS: Mapping[object, str] = {True: "met", False: "not met", "unknown": "unknown"}


def told(event: Event, now: datetime) -> Iterator[str]:
    """Describe an event in sentences, or by its name if its type is not known here."""
    tell = TELL.get(event.name)
    if tell is None:
        yield f"{event.name.replace('_', ' ')}: {gist(event)}".removesuffix(": ")
        return
    yield from (" ".join(text.split()) for text in tell(event, now))


def _asked(what: str, said: Data, about: str, by: str = "requested_by") -> str:
    """Say what was asked for, by whom and why; `about` stands between these two."""
    who = by_whom(said, by)
    why = f": {said['reason']}" if said.get("reason") else ""
    return f"{what}{who and f' {who}'}{about}{why}"


def _moment(text: object, now: datetime) -> str:
    try:
        return clock(datetime.fromisoformat(str(text)), now)
    except ValueError:
        return str(text)


def _accepted(event: Event, now: datetime) -> Iterator[str]:
    data = event.data
    ids = ", ".join(event.command_ids)
    yield _asked(f"{data.get('verb')} asked for", data, f" (command {ids})")
    effective = data.get("effective") or {}
    if effective:
        times = [span(effective[name]) if name in effective else "?" for name in ("force_after", "give_up_after")]
        yield f"given up after {times[1]}"
        yield f'a force step, where the backend has one: "{effective.get("force")}", after {times[0]} at the earliest'
    if effective.get("attest"):
        yield "only somebody who has not asked for it may attest"
    if data.get("not_before"):
        yield f"no call before {_moment(data['not_before'], now)}, as the command asks"
    if data.get("dry_run"):
        yield "a dry run: look, and send nothing"
    if data.get("expect"):
        yield f"nothing is sent unless the job is in {data['expect'].get('raw_state')!r}"


def _joined(event: Event, _: datetime) -> Iterator[str]:
    joined = event.data.get("joined") or {}
    yield _asked("joined", joined, f" (command {joined.get('command_id', '?')})")
    yield f"the verb is {event.data.get('verb')}; one cancellation serves all its commands"


def _sent(event: Event, _: datetime) -> Iterator[str]:
    data, action = event.data, event.name.removesuffix("_sent")
    answer = data.get("answer")
    target = data.get("target_job_id")
    about = f" for job {target}" if target and target != event.subject else ""
    detail = f" ({data['detail']})" if data.get("detail") else ""
    if not isinstance(answer, Mapping):
        yield f"{action} sent{about}: {ANSWERS[AnswerKind.UNANSWERED]}{detail}"
        return
    status = " ".join(str(answer[name]) for name in ("status", "code") if answer.get(name))
    meaning = str(answer.get("meaning"))
    known = ANSWERS[AnswerKind(meaning)] if meaning in set(AnswerKind) else meaning
    yield f"{action} sent{about}: {known}{f' ({status})' if status else ''}{detail}"


def _force_held(event: Event, _: datetime) -> Iterator[str]:
    gate, target = event.data.get("gate") or {}, event.data.get("target_job_id")
    conditions = {name: one for name, one in gate.items() if isinstance(one, Mapping)}
    shut = [SHUT.get(name, name) for name, one in conditions.items() if one.get("met") is False]
    about = f" of job {target}" if target and target != event.subject else ""
    yield f"the force step{about} is due and held: {'; '.join(shut)}"
    for name, one in conditions.items():
        verdict = VERDICTS.get(one.get("met"), str(one.get("met")))
        yield f"condition {OPEN_CONDITIONS.get(name, name)}: {verdict}; {one.get('evidence')}"


def _operated(sentence: str) -> Callable[[Event, datetime], Iterator[str]]:
    def tell(event: Event, now: datetime) -> Iterator[str]:
        action = event.data.get("action") or {}
        child = f" (job {event.data['child']} alone)" if event.data.get("child") else ""
        until = f"; until {_moment(event.data['until'], now)}" if event.data.get("until") else ""
        yield f"{_asked(sentence, action, child, 'by')}{until}"

    return tell


def _void(event: Event, _: datetime) -> Iterator[str]:
    data = event.data
    child = f" about job {data['child']}" if data.get("child") else ""
    yield f"the word of {data.get('attested_by') or 'an attester'}{child} no longer counts: {data.get('detail')}"


def _overdue(event: Event, _: datetime) -> Iterator[str]:
    data = event.data
    after = data.get("warn_after")
    late = f" {span(after)} after it began" if isinstance(after, int | float) else ""
    note = f"; {data['detail']}" if data.get("detail") else ""
    yield f"overdue: not confirmed stopped{late}, last seen {data.get('raw_state') or 'never'}{note}"


def _finished(event: Event, _: datetime) -> Iterator[str]:
    data, outcome = event.data, str(event.outcome)
    detail = f"; {data['detail']}" if data.get("detail") else ""
    yield f"{outcome}: {OUTCOMES.get(outcome, 'the end')}{detail}"
    if data.get("plan"):
        yield f"would send {data['plan'].get('would')}: {data['plan'].get('because')}"
    calls = ", ".join(f"{count} {name}" for name, count in (data.get("calls") or {}).items())
    yield f"last seen {data.get('raw_state') or data.get('job_state')}; calls: {calls or 'none'}"
    yield f"proof: {data.get('evidence')}, {EVIDENCE.get(str(data.get('evidence')), 'not known here')}"
    if data.get("attested_by"):
        yield f"the remote process is gone: attested by {data['attested_by']}"
    for child in data.get("children") or ():
        yield f"child {child.get('job_id')}: {child.get('outcome')} ({child.get('raw_state')})"
    facts = data.get("backend_facts") or {}
    if facts:
        yield f"the backend's own words: {', '.join(f'{name} {value}' for name, value in facts.items())}"
    safe = "yes" if data.get("safe_to_rerun") else "no, it is not known whether the job has stopped"
    yield f"safe to run again: {safe}"


def _rejected(event: Event, _: datetime) -> Iterator[str]:
    who = by_whom(event.data)
    yield f"rejected{who and f' {who}'}: {event.data.get('error')}"


def _reappeared(event: Event, _: datetime) -> Iterator[str]:
    yield f"the job lives again: the backend shows it {event.data.get('job_state')} ({event.data.get('raw_state')})"


TELL: Mapping[str, Callable[[Event, datetime], Iterator[str]]] = {
    "accepted": _accepted,
    "joined": _joined,
    "rejected": _rejected,
    "cancel_sent": _sent,
    "delete_sent": _sent,
    "force_sent": _sent,
    "force_held": _force_held,
    "held": _operated("held"),
    "released": _operated("released"),
    "attested": _operated("the remote process is gone, attested"),
    "attestation_void": _void,
    "overdue": _overdue,
    "finished": _finished,
    "reappeared": _reappeared,
}
