"""A batch at a glance: the meter, and which orders a state offers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.protocol.batches import BatchCounts, BatchOptions, BatchState, BatchStatus
from worker.views.batch_meter import WIDTH, progress

T = datetime(2026, 11, 22, 10, tzinfo=UTC)


def status(state: BatchState, **counts: object) -> BatchStatus:
    numbers = BatchCounts(**counts)  # type: ignore[arg-type]
    return BatchStatus("b1", state, BatchOptions(), numbers, parts=1, received=1, created_at=T)


def test_a_meter_says_what_became_of_the_members() -> None:
    finished = {"cancelled": 3, "already_finished": 1, "refused": 2, "aborted": 1}
    one = progress(status(BatchState.RUNNING, selected=20, waiting=9, open=3, rejected=1, finished=finished))

    assert {part.kind: part.number for part in one.meter} == {
        "stopped": 4,
        "other": 1,
        "failed": 3,
        "open": 3,
        "waiting": 9,
    }
    assert one.ended == 8


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_meter_is_full(waiting: int, open_: int, cancelled: int) -> None:
    parts = progress(status(BatchState.RUNNING, waiting=waiting, open=open_, finished={"cancelled": cancelled})).meter

    assert sum(part.width for part in parts) == pytest.approx(WIDTH if parts else 0)


@pytest.mark.parametrize(
    ("state", "offers"),
    [
        (BatchState.RECEIVING, ("abort",)),
        (BatchState.RUNNING, ("pause", "abort")),
        (BatchState.PAUSED, ("resume", "abort")),
        (BatchState.ABORTING, ()),
        (BatchState.FINISHED, ()),
        (BatchState.INCOMPLETE, ()),
    ],
)
def test_only_orders_that_a_state_allows_are_offered(state: BatchState, offers: tuple[str, ...]) -> None:
    assert progress(status(state)).offers == offers
