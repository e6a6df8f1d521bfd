"""Rows of open cancellations: their state, when a force is due, and the totals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from worker.board.live import paged
from worker.domain.cancellation import WHOLE, Attestation, Cancellation, OperatorHold, Progress, Sent, Sighting, Spec
from worker.domain.escalation import FORCE_DUE
from worker.domain.model import AnswerKind, Force, Verb
from worker.store.codec import Record
from worker.views.open_rows import NEXT_FORCES, Row, force_at, row_of, selected, state_of, summed_up

T = datetime(2026, 11, 22, 23, 50, tzinfo=UTC)
SPEC = Spec(Verb.CANCEL, Force.ATTESTED, 1800.0, T + timedelta(days=1))


def sent(seconds: float) -> Sent:
    at = T + timedelta(seconds=seconds)
    return Sent(at, at, AnswerKind.ACCEPTED, accepted=True)


def cancellation(progress: Progress, spec: Spec = SPEC) -> Cancellation:
    return Cancellation("c1", "ess", "300100", T, spec, progress)


HELD = Progress(sent={"cancel": sent(1)}, held=("300100+remote_stopped",))


@pytest.mark.parametrize(
    ("progress", "state"),
    [
        (Progress(), "accepted"),
        (Progress(sent={"cancel": sent(1)}), "cancel_sent"),
        (HELD, "force_held"),
        (replace(HELD, sent={"cancel": sent(1), "force:300100": sent(9)}), "force_sent"),
        (Progress(sent={"cancel": sent(1), "delete": sent(5)}), "delete_sent"),
        (Progress(sent={"delete": sent(5), "cancel": sent(9)}), "cancel_sent"),
    ],
    ids=["nothing", "cancel", "shut gate", "forced", "delete", "the latest call"],
)
def test_a_state_is_a_shut_gate_or_the_latest_call(progress: Progress, state: str) -> None:
    assert state_of(cancellation(progress)) == state


def test_an_attestation_opens_a_gate_that_waits_for_it() -> None:
    attested = replace(SPEC, attestations={WHOLE: Attestation("ann", T)})

    assert state_of(cancellation(HELD, attested)) == "cancel_sent"


@pytest.mark.parametrize(
    ("hours", "text", "due"),
    [
        (0.5, "00:20:00", T + timedelta(minutes=30)),
        (0.5, "23:59:00", T + timedelta(minutes=9)),
        (48, "23:51:00", T + timedelta(days=2, minutes=1)),
    ],
    ids=["past midnight", "today", "in two days"],
)
def test_the_day_of_a_force_is_the_nearest_to_what_the_policy_says(hours: float, text: str, due: datetime) -> None:
    progress = Progress(cancelling={"300100": Sighting(T)}, next=f"look again; {FORCE_DUE}{text} UTC")

    assert force_at(cancellation(progress, replace(SPEC, force_after=hours * 3600))) == due


@pytest.mark.parametrize(
    ("progress", "force"),
    [(Progress(next="look again"), Force.AUTO), (Progress(next=f"{FORCE_DUE}10:00:00 UTC"), Force.NEVER)],
    ids=["none is ahead", "the policy forbids it"],
)
def test_without_a_force_ahead_there_is_no_time_of_one(progress: Progress, force: Force) -> None:
    assert force_at(cancellation(progress, replace(SPEC, force=force))) is None


def test_a_row_says_who_holds_it_and_which_gates_are_shut() -> None:
    hold = OperatorHold("ann", "audit", T, signed_by="ops")
    row = row_of(Record(cancellation(HELD, replace(SPEC, hold=hold))))

    assert row.hold == "ops (signed) as ann: audit"
    assert row.gates == (("300100", ("remote_stopped",)),)


def row(number: int, **changes: object) -> Row:
    at = T + timedelta(seconds=number)
    one = Row(f"c{number}", "ess", str(number), "cancel", "accepted", "", accepted_at=at, gives_up_at=T)
    return replace(one, **changes)


def test_counts_have_the_oldest_of_each_state() -> None:
    summary = summed_up([row(3), row(4, state="cancel_sent"), row(5), row(9, backend="oml")])
    accepted = summary.counts["ess"]["accepted"]

    assert (accepted.number, accepted.oldest) == (2, T + timedelta(seconds=3))
    assert summary.counts["oml"]["accepted"].number == 1
    assert len(summary.rows) == 4


def test_the_next_forces_come_first_and_are_few() -> None:
    rows = [row(number, force_at=T + timedelta(seconds=100 - number)) for number in range(50)]

    assert [one.id for one in summed_up(rows).forces] == [f"c{49 - index}" for index in range(NEXT_FORCES)]


def test_a_shut_gate_is_no_next_force() -> None:
    summary = summed_up([row(1, gates=(("1", ("remote_stopped",)),), force_at=T)])

    assert (len(summary.held), summary.forces) == (1, ())


def test_rows_are_selected_by_backend_and_state_oldest_first() -> None:
    rows = summed_up([row(2), row(1), row(3, backend="oml"), row(4, state="force_held")]).rows

    assert [one.id for one in selected(rows, "ess", "accepted")] == ["c1", "c2"]
    assert [one.id for one in selected(rows, "", "")] == ["c1", "c2", "c3", "c4"]


@pytest.mark.parametrize(
    ("number", "ids"),
    [("", ["c0", "c1"]), ("2", ["c2", "c3"]), ("9", ["c4"]), ("-1", ["c0", "c1"]), ("9" * 50, ["c0", "c1"])],
    ids=["none", "one in the middle", "beyond the end", "no number", "a flood of digits"],
)
def test_a_page_number_from_outside_leads_to_a_page(number: str, ids: list[str]) -> None:
    some, _ = paged([row(index) for index in range(5)], number, 2)

    assert [one.id for one in some] == ids
