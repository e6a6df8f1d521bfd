"""A life as lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.liars.judge import Called, Event, Member, at_of, name_of
from tests.liars.plans import Plan
from tests.liars.shapes import Told


@dataclass(frozen=True, slots=True)
class Traced:
    """One line of a replay: the call, the true reply, and the reply that was given instead."""

    called: Called
    request: str
    true: str
    told: str


KEPT = (
    "requestId",
    "state",
    "stateChangeTime",
    "isForceCancelAllowed",
    "isAsynchronous",
    "parentRequestId",
    "completedTime",
)


def _brief(told: Told) -> str:
    """Shorten ESS's descriptions of requests; leave everything else as it is."""
    data = told.data
    if isinstance(data, dict) and isinstance(data.get("items"), list):
        items = (
            f"{one.get('requestId')} {one.get('state')} under {one.get('absParentRequestId')}" for one in data["items"]
        )
        return f"items: {', '.join(items) or 'none'}"
    if isinstance(data, dict) and "requestId" in data:
        return json.dumps({name: data[name] for name in KEPT if name in data})
    return told.body[:400].decode("utf-8", "replace")


def shown(told: Told | None) -> str:
    """Return a reply as one line."""
    if told is None:
        return "no answer"
    if not told.status:
        return "it never got there"
    more = [f"{name}: {value}" for name, value in told.headers.items() if name in ("retry-after", "content-location")]
    later = [f"{told.delay:.2f} s late"] if told.delay else []
    return " ".join([str(told.status), *more, *later, _brief(told)])


def trace_of_life(
    made: Plan,
    start: float,
    traced: Iterable[Traced],
    events: Mapping[str, Sequence[Event]],
    members: Mapping[str, Sequence[Member]],
) -> list[str]:
    """Return a life as lines to read: calls, each with the true and the given reply, and events, by time."""
    lies = [f"{one.lie.name} ({', '.join(sorted(one.on))}; {one.window})" for one in made.tellings]
    head = [
        f"life {made.number} on {made.place.name}: {made.story.name}; {made.verb} {made.job_id}; lies: {lies or 'none'}"
    ]
    head += [f"  job {dict(made.story.spec)}", f"  commands {[dict(one) for one in made.commands]}"]
    lines: list[tuple[float, str]] = []
    for one in traced:
        spoiled = f"\n{'':11}told: {one.told}   <- {one.called.lie or 'header'}" if one.told != one.true else ""
        effect = " (takes effect)" if one.called.effect else ""
        lines.append((one.called.at, f"{one.called.verb:7} {one.request}{effect}\n{'':11}true: {one.true}{spoiled}"))
    for event in (one for each in events.values() for one in each):
        data = event["data"]
        keys = (
            "outcome",
            "evidence",
            "safe_to_rerun",
            "raw_state",
            "answer",
            "target_job_id",
            "gate",
            "detail",
            "calls",
        )
        says = ", ".join(f"{key}={data[key]}" for key in keys if data.get(key) is not None)
        lines.append((at_of(event), f"EVENT   {name_of(event)}: {says}"))
    for family in members.values():
        lines.append(
            (lines[-1][0] + 1e-6, f"TRUTH   at the end: {[f'{one.job_id} alive={one.alive}' for one in family]}")
        )
    return head + [f"  {at - start:8.3f} {line}" for at, line in sorted(lines)]
