"""Shut gates: each condition, whether it is met now, and the evidence of the event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from worker.domain.cancellation import Cancellation, Progress, Spec
from worker.domain.model import Force, Verb
from worker.protocol.messages import Event
from worker.store.codec import Record
from worker.views.explain import SHUT
from worker.views.gates import ShutGate, gates_of, told_gates
from worker.views.open_rows import row_of

T = datetime(2026, 11, 22, 10, tzinfo=UTC)
SPEC = Spec(Verb.CANCEL, Force.ATTESTED, 1800.0, T + timedelta(days=1))
ONE = Cancellation("c1", "ess", "300100", T, SPEC, Progress(held=("300100+remote_stopped", "300101+time_over")))
TOLD = {
    "in_cancelling": {"met": True, "evidence": "seen in CANCELLING"},
    "asynchronous": {"met": "unknown", "evidence": "the backend does not say"},
    "policy_allows": {"met": False, "evidence": "it did not then"},
    "remote_stopped": {"met": False, "evidence": "nobody has given their word"},
    "earliest_at": "2026-11-22T10:30:00.000Z",
}


def held_event(data: dict[str, Any]) -> Event:
    kind = "canceller.cancellation.force_held.v1"
    return Event(id="e", source="/c", type=kind, time=T.isoformat(), data=data)


def conditions(gate: ShutGate) -> dict[str, tuple[str, str]]:
    return {one.name: (one.met, one.evidence) for one in gate.conditions}


def test_evidence_is_that_of_the_event_and_what_is_met_that_of_the_record() -> None:
    gate, _ = told_gates(ONE, [held_event({"target_job_id": "300100", "gate": TOLD})])

    assert conditions(gate) == {
        "in_cancelling": ("yes", "seen in CANCELLING"),
        "asynchronous": ("unknown", "the backend does not say"),
        "policy_allows": ("yes", "it did not then"),
        "remote_stopped": ("no", "nobody has given their word"),
    }


def test_without_its_event_a_gate_shows_what_the_record_knows() -> None:
    _, gate = told_gates(ONE, [held_event({}), held_event({"target_job_id": "300101", "gate": "text"})])

    assert (gate.child, conditions(gate)) == ("300101", {"time_over": ("no", SHUT["time_over"])})


def test_the_gate_of_a_row_says_who_asked_and_why() -> None:
    gate, _ = gates_of(row_of(Record(ONE)), {"requested_by": "billing", "reason": "budget"}, {("c1", "300100"): TOLD})

    assert (gate.who, gate.why, gate.child) == ("by billing", "budget", "")
