"""PURE: a plan's lines and numbers, from what dry runs have found; and what is sent of a plan."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from ...domain.dry_run import NOTHING
from ...protocol.batches import BatchResult

UNKNOWN: Final = "unknown"
"""The plan for a job that could not be looked at: nothing is sent for it."""
SENT: Final = ("cancel", "delete")
"""What the lines of a plan may name as what would be sent."""
FOUND: Final = ("raw_state", "would", "because", "children")
"""The fields of a plan's lines besides those of a command."""
LOOKS: Final = 2
"""The fewest looks at a job that is stopped: one before the call and one after it."""
MIXED: Final = "mixed"

Line = Mapping[str, Any]


def planned_line(command: Line, result: BatchResult) -> dict[str, Any]:
    """Return the line of a job: what was seen, what would be done, and the command's other fields."""
    head = {"job_id": command["job_id"], "backend": command["backend"], "verb": command["verb"]}
    plan = result.plan
    if plan is None:
        why = ": ".join(filter(None, (result.outcome or "it has not ended", result.error or result.detail)))
        found: dict[str, Any] = {"raw_state": result.raw_state, "would": UNKNOWN, "because": why, "children": []}
    else:
        found = {name: plan.get(name) for name in FOUND}
        found["children"] = plan.get("children") or []
        if found["would"] in SENT and not found["raw_state"]:
            found |= {"would": UNKNOWN, "because": "the backend shows no state to compare with later"}
    return {**head, **found, **{name: value for name, value in command.items() if name not in head}}


class Tally:
    """The numbers of a plan, counted line by line."""

    def __init__(self) -> None:
        self._would: Counter[str] = Counter()
        self._verbs: set[str] = set()
        self._backends: set[str] = set()

    def count(self, line: Line) -> None:
        """Count a line."""
        self._would[str(line["would"])] += 1
        self._verbs.add(line["verb"])
        self._backends.add(line["backend"])

    def header(self, took: float, rate: float | None, planned_at: str, places: Mapping[str, str]) -> dict[str, Any]:
        """Return a plan's header; `places` are those of all backends, in words.

        `took` is how many seconds all looks took. The expected numbers of calls and seconds are minimums: a job that
        stops slowly is looked at more often.
        """
        names = (*SENT, NOTHING, UNKNOWN)
        selected, sent = self._would.total(), sum(self._would[verb] for verb in SENT)
        seconds = sent / rate if rate else LOOKS * took * sent / max(1, selected)
        calls = {"look": LOOKS * sent, **{verb: self._would[verb] for verb in SENT}}
        return {
            "verb": next(iter(self._verbs)) if len(self._verbs) == 1 else MIXED,
            "backends": sorted(self._backends),
            "counts": {"selected": selected, **{name: self._would[name] for name in names}},
            "calls": {name: count for name, count in calls.items() if count},
            "seconds": math.ceil(seconds),
            "planned_at": planned_at,
            "places": {name: places[name] for name in sorted(self._backends & places.keys())},
        }


def commands_of_plan(lines: Iterator[Line]) -> Iterator[dict[str, Any]]:
    """Yield the commands that a plan sends, each to a job in the state in which it was seen."""
    for line in lines:
        if line.get("would") not in SENT:
            continue
        command = {name: value for name, value in line.items() if name not in FOUND}
        yield {**command, "expect": {"raw_state": line.get("raw_state")}}


def moved(header: Line, now: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return the backends that are elsewhere now than when a plan was made, each with both places in words.

    One whose place is not known then or now is not among them.
    """
    then = header.get("places")
    places = then if isinstance(then, Mapping) else {}
    return [(name, str(place), now[name]) for name, place in places.items() if now.get(name, place) != place]


def age_of(header: Line, now: datetime) -> float | None:
    """Return the seconds since a plan was made, None if it does not say when."""
    try:
        return (now - datetime.fromisoformat(header["planned_at"])).total_seconds()
    except (KeyError, TypeError, ValueError):
        return None
