"""PURE: shut force gates, with each condition and its evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from ..domain.cancellation import Cancellation
from ..domain.decision import CONDITIONS
from ..protocol.messages import Event
from .explain import SHUT, held
from .open_rows import Row
from .summary import by_whom


class Condition(Struct, frozen=True):
    """One condition: `met` is yes, no or unknown."""

    name: str
    met: str
    evidence: str


class ShutGate(Struct, frozen=True):
    """The force step of one job that is held. `child` is the job's id if it is not the cancellation's own job."""

    id: str
    backend: str
    job_id: str
    child: str
    verb: str
    conditions: tuple[Condition, ...]
    who: str = ""
    why: str = ""
    hold: str = ""


def gates_of(row: Row, command: Mapping[str, Any], told: Mapping[tuple[str, str], object]) -> Iterator[ShutGate]:
    """Return the shut gates of a row; `told` is what events say of the conditions, by cancellation and job."""
    for job_id, shut in row.gates:
        yield ShutGate(
            id=row.id,
            backend=row.backend,
            job_id=row.job_id,
            child=job_id if job_id != row.job_id else "",
            verb=row.verb,
            conditions=tuple(_conditions(told.get((row.id, job_id)), shut)),
            who=by_whom(command),
            why=str(command.get("reason") or ""),
            hold=row.hold,
        )


def told_gates(one: Cancellation, events: Sequence[Event]) -> Iterator[ShutGate]:
    """Return the shut gates of a cancellation, as its own events describe them."""
    told: dict[object, object] = {}
    for event in events:
        if event.name == "force_held":
            told[event.data.get("target_job_id")] = event.data.get("gate")
    for job_id, shut in held(one):
        child = job_id if job_id != one.job_id else ""
        conditions = tuple(_conditions(told.get(job_id), shut))
        yield ShutGate(one.id, one.backend, one.job_id, child, str(one.spec.verb), conditions)


def _conditions(told: object, shut: Sequence[str]) -> Iterator[Condition]:
    """Return all conditions that are known, those that are not met first.

    What is shut now comes from the record, the evidence from the event.
    """
    said_of = told if isinstance(told, Mapping) else {}
    for name in sorted(CONDITIONS, key=lambda one: one not in shut):
        found = said_of.get(name)
        said = found if isinstance(found, Mapping) else {}
        evidence = str(said.get("evidence") or "")
        if name in shut:
            yield Condition(name, "no", evidence if said.get("met") is False else SHUT[name])
        elif said:
            yield Condition(name, "unknown" if said.get("met") == "unknown" else "yes", evidence)
