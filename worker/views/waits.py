"""PURE: what the time between two events of a cancellation was spent on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from ..domain.model import AnswerKind
from ..protocol.messages import Event
from .explain import SHUT, span

LONG = timedelta(seconds=5)
"""Shorter waits need no cause: a look and a call take that long."""

AFTER_ANSWER: Mapping[str, str] = {
    AnswerKind.ACCEPTED: "checked whether the job had stopped; it had not",
    AnswerKind.UNANSWERED: "a look had to show what the unanswered {action} had done before anything was repeated",
    AnswerKind.REJECTED: "the job's state forbade the {action}; looked, and tried again later",
    AnswerKind.BUSY: "the backend had turned the {action} away for now",
    AnswerKind.NOT_FOUND: "looked again, since the backend knew no such job",
    AnswerKind.REFUSED: "a refusal that may not be the backend's own had to last before it counted",
}
"""What follows the answer to a changing call."""
TO_THE_END = "looked until the job was seen to have ended"
NOTHING_YET = "looks showed nothing yet, or no worker was there to look"
AGAIN = "the job was looked at after the end, as watch_after says"


def cause_of_wait(before: Sequence[Event], event: Event, breaks: Sequence[Event]) -> str:
    """Say for how long nothing happened before an event, and why; empty after a short while."""
    last = before[-1]
    began, ended = (datetime.fromisoformat(one.time) for one in (last, event))
    if ended - began < LONG:
        return ""
    cause, paused = _cause(before, event), _paused(breaks, began, ended)
    if paused:
        cause = paused if cause == NOTHING_YET else f"{cause}; {paused}"
    return f"{span((ended - began).total_seconds())}: {cause}"


def _paused(breaks: Sequence[Event], began: datetime, ended: datetime) -> str:
    for one in breaks:
        if one.name == "paused" and began <= datetime.fromisoformat(one.time) <= ended:
            return f"the backend was not called for a while, after {one.data.get('failures')} failures in a row"
    return ""


def _cause(before: Sequence[Event], event: Event) -> str:
    last = before[-1]
    if event.name == "reappeared":
        return AGAIN
    hold = next((one for one in reversed(before) if one.name in {"held", "released"}), None)
    if hold is not None and hold.name == "held":
        return f"held by {hold.data.get('action', {}).get('by', '?')}: nothing was sent that changes the job"
    if not any(one.name.endswith("_sent") for one in before):
        return _before_the_first_call(before)
    if event.name in {"force_sent", "force_held"} and not any(one.name == "force_held" for one in before):
        return _until_force(before)
    if event.name == "force_sent" or last.name in {"force_held", "attested", "attestation_void"}:
        return _while_held(before, event)
    return _after_call(before, event)


def _before_the_first_call(before: Sequence[Event]) -> str:
    later = next((one.data["not_before"] for one in reversed(before) if one.data.get("not_before")), "")
    if later:
        return f"no call before {later}, as the command asked"
    return NOTHING_YET


def _until_force(before: Sequence[Event]) -> str:
    effective = before[0].data.get("effective") or {}
    needed = effective.get("force_after")
    how_long = f" {span(needed)}" if isinstance(needed, int | float) else " its time"
    return f"not confirmed stopped; the force step must wait{how_long} (force_after), and again after each check-in"


def _while_held(before: Sequence[Event], event: Event) -> str:
    held = next((one for one in reversed(before) if one.name == "force_held"), None)
    gate = held.data.get("gate", {}) if held is not None else {}
    shut = [SHUT[name] for name, one in gate.items() if name in SHUT and one.get("met") is False]
    if not shut:
        return _after_call(before, event)
    return f"the force step was held: {'; '.join(shut)}"


def _after_call(before: Sequence[Event], event: Event) -> str:
    if event.name == "finished" and event.outcome == "timed_out":
        return "looked until give_up_after was over; the job was not confirmed stopped"
    sent = next(one for one in reversed(before) if one.name.endswith("_sent"))
    answer = sent.data.get("answer")
    meaning = str(answer.get("meaning")) if isinstance(answer, Mapping) else AnswerKind.UNANSWERED
    if event.name == "finished" and meaning == AnswerKind.ACCEPTED:
        return TO_THE_END
    return AFTER_ANSWER.get(meaning, TO_THE_END).format(action=sent.name.removesuffix("_sent"))
