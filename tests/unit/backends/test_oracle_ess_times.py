"""The ESS adapter's times: of the backend's clock, of a state, and of an end."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from unit.backends.ess_exchanges import seen
from unit.backends.exchanges import CLOCK


@pytest.mark.parametrize(
    ("written", "since"),
    [
        pytest.param("2026-11-22T10:00:00.250Z", datetime(2026, 11, 22, 10, 0, 0, 250000, UTC), id="fraction"),
        pytest.param("2026-11-22T10:00:00,000+00:00", datetime(2026, 11, 22, 10, tzinfo=UTC), id="comma"),
        pytest.param("2026-11-22T10:00:00Z", datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC), id="second-cut-off"),
        pytest.param("2026-11-22T12:00:00+02:00", datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC), id="offset"),
        pytest.param("2026-11-22T10:00:00", None, id="no-zone"),
        pytest.param("just now", None, id="no-time"),
    ],
)
def test_since_is_never_earlier_than_the_true_moment(written: str, since: datetime | None) -> None:
    one = seen(state="CANCELLING", stateChangeTime=written)

    assert (one.since, one.since_text) == (since, written)


def test_the_clock_is_the_date_header() -> None:
    assert seen(state="RUNNING").clock == CLOCK


@pytest.mark.parametrize(
    ("times", "ended_at"),
    [
        pytest.param(
            {"completedTime": "2026-11-22T10:00:00.5Z", "processEndTime": "2026-11-22T09:00:00.5Z"},
            datetime(2026, 11, 22, 10, 0, 0, 500000, UTC),
            id="completed-first",
        ),
        pytest.param(
            {"completedTime": None, "processEndTime": "2026-11-22T09:00:00.5Z"},
            datetime(2026, 11, 22, 9, 0, 0, 500000, UTC),
            id="else-process-end",
        ),
        pytest.param({"completedTime": "2026-11-22T10:00:00"}, None, id="no-zone"),
        pytest.param({"completedTime": "1970-01-01T00:00:00.000Z"}, None, id="the-zero-of-a-clock"),
        pytest.param({"completedTime": "1970-01-01T12:00:00-12:00"}, None, id="that-zero-in-another-zone"),
        pytest.param(
            {"completedTime": "1970-01-01T00:00:00.0Z", "processEndTime": "2026-11-22T09:00:00.5Z"},
            datetime(2026, 11, 22, 9, 0, 0, 500000, UTC),
            id="a-zero-beside-a-time",
        ),
        pytest.param(
            {"processEndTime": "2026-11-22T09:00:00.5Z", "stateChangeTime": "2026-11-22T10:00:00.5Z"},
            datetime(2026, 11, 22, 10, 0, 0, 500000, UTC),
            id="the-process-of-an-earlier-try",
        ),
        pytest.param(
            {"completedTime": "2026-11-22T09:00:00.5Z", "stateChangeTime": "2026-11-22T10:00:00.5Z"},
            datetime(2026, 11, 22, 10, 0, 0, 500000, UTC),
            id="an-earlier-try",
        ),
        pytest.param(
            {"processEndTime": "2026-11-22T09:00:00.5Z", "stateChangeTime": "2026-11-22T08:00:00.5Z"},
            datetime(2026, 11, 22, 9, 0, 0, 500000, UTC),
            id="a-state-from-before-the-end",
        ),
        pytest.param({"stateChangeTime": "2026-11-22T10:00:00.5Z"}, None, id="the-time-of-the-state-alone"),
        pytest.param({"completedTime": "9999-12-31T23:59:59.5Z"}, None, id="for-ever"),
        pytest.param({"completedTime": "0001-01-01T00:00:00.5+14:00"}, None, id="before-the-first-day"),
    ],
)
def test_the_end_is_told_by_the_backends_own_times(times: dict[str, str | None], ended_at: datetime | None) -> None:
    assert seen(state="CANCELLED", **times).ended_at == ended_at


def test_a_state_that_is_not_final_says_nothing_about_an_end() -> None:
    times = {"processEndTime": "2026-11-22T09:00:00.5Z", "stateChangeTime": "2026-11-22T10:00:00.5Z"}

    assert seen(state="RUNNING", **times).ended_at == datetime(2026, 11, 22, 9, 0, 0, 500000, UTC)


@pytest.mark.parametrize(
    "written",
    ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "", None],
)
def test_a_time_of_cancelling_that_stands_for_none_is_none(written: str | None) -> None:
    one = seen(state="CANCELLING", stateChangeTime=written)

    assert (one.since, one.since_text) == (None, "")
