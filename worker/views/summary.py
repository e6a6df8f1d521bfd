"""PURE: an event, or the end of a cancellation, in one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..client.async_client import Rejected, Result
from ..domain.cancellation import attributed
from ..domain.errors import UnknownCancellation
from ..domain.model import Outcome
from ..protocol.messages import Event

Data = Mapping[str, Any]


def gist(event: Event) -> str:
    """Describe an event in a few words; empty if its name is not known."""
    about_batch = event.type.startswith("canceller.batch.")
    describe = (BATCH_GISTS if about_batch else GISTS).get(event.name)
    return describe(event.data) if describe else ""


def _joined(parts: list[str]) -> str:
    return "; ".join(part for part in parts if part)


def _mapping(value: object) -> Data:
    return value if isinstance(value, Mapping) else {}


def by_whom(said: Data, name: str = "requested_by") -> str:
    """Name who asked: the verified producer, then what they call themselves; empty if neither is known."""
    who = attributed(str(said.get(name) or ""), str(said.get("signed_by") or ""))
    return f"by {who}" if who else ""


def _asked(data: Data, by: str = "requested_by") -> str:
    return _joined([str(data.get("verb", "")), by_whom(data, by), str(data.get("reason") or "")])


def _joined_in(data: Data) -> str:
    joined = _mapping(data.get("joined"))
    return _joined([f"command {joined.get('command_id', '?')}", by_whom(joined), f"the verb is {data.get('verb')}"])


def _sent(data: Data) -> str:
    answer = data.get("answer")
    if not isinstance(answer, Mapping):
        return _joined(["went unanswered", str(data.get("detail") or "")])
    code = " ".join(str(part) for part in (answer.get("status"), answer.get("code")) if part)
    meaning = str(answer.get("meaning", "answered"))
    refusal = "" if meaning == "accepted" else str(data.get("detail") or "")
    return _joined([f"{meaning} ({code})" if code else meaning, refusal])


def _held(data: Data) -> str:
    gate = _mapping(data.get("gate"))
    shut = [
        f"{name}: {condition.get('evidence', '')}"
        for name, condition in gate.items()
        if isinstance(condition, Mapping) and condition.get("met") is False
    ]
    return _joined(shut)


def _operated(data: Data) -> str:
    action = _mapping(data.get("action"))
    about = f"job {data['child']} alone" if data.get("child") else ""
    until = f"until {data['until']}" if data.get("until") else ""
    return _joined([by_whom(action, "by"), str(action.get("reason") or ""), about, until])


def _void(data: Data) -> str:
    about = f"job {data['child']} alone" if data.get("child") else ""
    whose = f"the word of {data['attested_by']} no longer counts" if data.get("attested_by") else ""
    return _joined([whose, about, str(data.get("detail") or "")])


def _overdue(data: Data) -> str:
    return _joined(
        [f"not confirmed stopped, last seen {data.get('raw_state') or 'never'}", str(data.get("detail") or "")]
    )


def _finished(data: Data) -> str:
    children = data.get("children")
    family = f"{len(children)} children" if children and isinstance(children, list) else ""
    return _joined([str(data.get("outcome")), str(data.get("evidence")), family, str(data.get("detail") or "")])


def _rejected(data: Data) -> str:
    signed = {"signed_by": data.get("signed_by")}
    action = data.get("action")
    if not isinstance(action, Mapping):
        return _joined([str(data.get("error", "")), by_whom(signed)])
    who = by_whom({**signed, "by": action.get("by")}, "by")
    return _joined([str(data.get("error", "")), f"{action.get('name')} of {data.get('id')} {who}".rstrip()])


GISTS: dict[str, Callable[[Data], str]] = {
    "accepted": _asked,
    "joined": _joined_in,
    "rejected": _rejected,
    "cancel_sent": _sent,
    "delete_sent": _sent,
    "force_sent": _sent,
    "force_held": _held,
    "attested": _operated,
    "attestation_void": _void,
    "held": _operated,
    "released": _operated,
    "overdue": _overdue,
    "finished": _finished,
    "paused": lambda data: f"no calls until {data.get('until')} after {data.get('failures')} failures in a row",
    "reappeared": lambda data: (
        f"the job lives again: {data.get('raw_state')}, after it had ended as {data.get('outcome')}"
    ),
    "resumed": lambda _: "it answers again",
}


def _far(data: Data) -> str:
    counts = _mapping(data.get("counts"))
    ended = ", ".join(f"{count} {outcome}" for outcome, count in _mapping(counts.get("finished")).items())
    rejected = f"{counts['rejected']} rejected" if counts.get("rejected") else ""
    waiting = f"{counts.get('waiting', 0)} of {counts.get('selected', 0)} wait, {counts.get('open', 0)} are open"
    return _joined([waiting, ended, rejected])


BATCH_GISTS: dict[str, Callable[[Data], str]] = {
    "started": _far,
    "progress": _far,
    "paused": lambda data: _joined([_asked(data, "by"), _far(data)]),
    "resumed": lambda data: _joined([_asked(data, "by"), _far(data)]),
    "finished": lambda data: _joined([_far(data), _asked(data, "by")]),
}
"""The same for the events of a batch."""


def end_line(end: Result | Rejected | UnknownCancellation) -> str:
    """Say how a cancellation ended, or why there is no end to wait for."""
    if isinstance(end, UnknownCancellation):
        return f"not known; {end}"
    if isinstance(end, Rejected):
        return f"rejected; {end}"
    if end.outcome == Outcome.PLANNED:
        return _joined([end.outcome, end.detail])
    rerun = "safe to run again" if end.safe_to_rerun else "not known to be safe to run again"
    evidence = "no evidence" if end.evidence == "none" else end.evidence
    return _joined([end.outcome, evidence, rerun, end.detail])
