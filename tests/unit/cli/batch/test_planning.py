"""What a plan says about each job, its totals, and what is sent for it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from worker.cli.batch.plan import summed
from worker.cli.batch.planning import Tally, age_of, commands_of_plan, moved, planned_line
from worker.protocol.batches import BatchResult

COMMAND = {"job_id": "7", "backend": "ess", "verb": "cancel", "reason": "budget", "labels": {"team": "billing"}}
CHILD = {"job_id": "8", "job_state": "active", "raw_state": "RUNNING"}
PLAN = {"would": "cancel", "because": "it runs", "job_state": "active", "raw_state": "RUNNING", "children": [CHILD]}


def result(outcome: str | None = "planned", **told: Any) -> BatchResult:
    return BatchResult(0, "c", "ess", "7", "cancel", outcome, **told)


def test_a_line_holds_what_was_seen_and_the_command() -> None:
    assert planned_line(COMMAND, result(plan=PLAN)) == {
        "job_id": "7",
        "backend": "ess",
        "verb": "cancel",
        "raw_state": "RUNNING",
        "would": "cancel",
        "because": "it runs",
        "children": [CHILD],
        "reason": "budget",
        "labels": {"team": "billing"},
    }


@pytest.mark.parametrize(
    ("found", "because"),
    [
        (result("timed_out", detail="no answer"), "timed_out: no answer"),
        (result("rejected", error="job_id: is no id"), "rejected: job_id: is no id"),
        (result(None), "it has not ended"),
        (result(plan={**PLAN, "raw_state": None}), "the backend shows no state to compare with later"),
    ],
    ids=["no-look", "rejected", "open", "no-state"],
)
def test_a_job_that_could_not_be_looked_at_is_unknown(found: BatchResult, because: str) -> None:
    line = planned_line(COMMAND, found)

    assert (line["would"], line["because"]) == ("unknown", because)


def tally(*would: str, verb: str = "cancel") -> Tally:
    counted = Tally()
    for one in would:
        counted.count({"would": one, "verb": verb, "backend": "ess"})
    return counted


def test_the_header_counts_jobs_and_expects_calls() -> None:
    header = tally("cancel", "cancel", "nothing", "unknown").header(
        60.0, 0.5, "2026-11-22T10:00:00.000Z", {"ess": "oracle-ess at https://a", "oml": "oracle-ml at https://b"}
    )

    assert header == {
        "verb": "cancel",
        "backends": ["ess"],
        "counts": {"selected": 4, "cancel": 2, "delete": 0, "nothing": 1, "unknown": 1},
        "calls": {"look": 4, "cancel": 2},
        "seconds": 4,
        "planned_at": "2026-11-22T10:00:00.000Z",
        "places": {"ess": "oracle-ess at https://a"},
    }


def test_without_a_rate_the_time_follows_from_that_of_the_looks() -> None:
    assert tally("cancel", "nothing").header(10.0, None, "", {})["seconds"] == 10


def test_nothing_that_would_be_sent_takes_no_time() -> None:
    header = tally("nothing").header(10.0, None, "", {})

    assert (header["seconds"], header["calls"]) == (0, {})


def test_several_verbs_are_mixed() -> None:
    both = tally("cancel")
    both.count({"would": "delete", "verb": "delete", "backend": "oml"})

    assert both.header(1.0, None, "", {})["verb"] == "mixed"
    assert both.header(1.0, None, "", {})["backends"] == ["ess", "oml"]


LINES = [
    planned_line(
        {**COMMAND, "job_id": str(number), "expect": {"raw_state": "OLD"}}, result(plan={**PLAN, "would": would})
    )
    for number, would in enumerate(["cancel", "nothing", "delete", "unknown"])
]


def test_only_what_would_be_sent_is_sent_and_each_to_the_state_that_was_seen() -> None:
    sent = [*commands_of_plan(iter(LINES))]

    assert [one["job_id"] for one in sent] == ["0", "2"]
    assert sent[0] == {**COMMAND, "job_id": "0", "expect": {"raw_state": "RUNNING"}}


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        ({"ess": "A"}, {"ess": "B"}, [("ess", "A", "B")]),
        ({"ess": "A", "oml": "C"}, {"ess": "A", "oml": "D"}, [("oml", "C", "D")]),
        ({"ess": "A"}, {"ess": "A", "oml": "C"}, []),
        ({"ess": "A"}, {}, []),
        ({}, {"ess": "B"}, []),
        (None, {"ess": "B"}, []),
        (7, {"ess": "B"}, []),
    ],
    ids=["moved", "one-of-two", "as-it-was", "not-known-now", "not-known-then", "an-older-plan", "a-number"],
)
def test_a_plan_knows_which_backends_have_moved(
    then: object, now: dict[str, str], expected: list[tuple[str, str, str]]
) -> None:
    assert moved({} if then is None else {"places": then}, now) == expected


NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "age"),
    [
        ({"planned_at": "2026-11-22T10:00:00.000Z"}, 26 * 3600),
        ({"planned_at": "2026-11-23T12:00:01.000Z"}, -1),
        ({"planned_at": "2026-11-22T10:00:00"}, None),
        ({"planned_at": ""}, None),
        ({"planned_at": 7}, None),
        ({}, None),
    ],
    ids=["of-yesterday", "ahead", "without-a-zone", "empty", "a-number", "not-said"],
)
def test_the_age_of_a_plan_is_that_of_its_looks(header: dict[str, Any], age: float | None) -> None:
    assert age_of(header, NOW) == age


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"cancel": 2, "delete": 1}, ["would cancel 2, delete 1"]),
        ({"cancel": 2, "nothing": 1}, ["would cancel 2", "1 needs nothing"]),
        ({"nothing": 4}, ["nothing to do"]),
        ({"nothing": 3, "unknown": 1}, ["3 need nothing", "1 could not be looked at, and is left alone"]),
    ],
    ids=["all", "some", "none", "none-or-unknown"],
)
def test_what_a_plan_would_do_is_summed_up(counts: dict[str, int], told: list[str]) -> None:
    assert [*summed(Counter(counts))] == told
