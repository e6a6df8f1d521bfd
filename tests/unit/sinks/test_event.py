"""Which events a sink wants, and which of them must keep their order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker.sinks.event import Filter, Head, read

FINISHED = "canceller.cancellation.finished.v1"
PAUSED = "canceller.backend.paused.v1"


def event(**changes: Any) -> Head:
    whole = {"id": "c-1", "type": FINISHED, "source": "/canceller/ess", "backend": "ess", "cancellationid": "c"}
    head = read(json.dumps({"specversion": "1.0", **whole, **changes, "data": changes.get("data", {})}).encode())
    assert head is not None
    return head


@pytest.mark.parametrize(
    ("wishes", "changes", "wanted"),
    [
        pytest.param({}, {}, True, id="without-a-filter"),
        pytest.param({}, {"type": PAUSED, "backend": None}, True, id="of-any-source"),
        pytest.param({"types": {FINISHED}}, {}, True, id="of-the-type"),
        pytest.param({"types": {FINISHED}}, {"type": PAUSED}, False, id="of-another-type"),
        pytest.param({"backends": {"ess"}}, {}, True, id="of-the-backend"),
        pytest.param({"backends": {"ess"}}, {"backend": "mrs"}, False, id="of-another-backend"),
        pytest.param({"backends": {"ess"}}, {"backend": None}, False, id="of-no-backend"),
        pytest.param({"outcomes": {"refused"}}, {"outcome": "refused"}, True, id="with-the-outcome"),
        pytest.param({"outcomes": {"refused"}}, {"outcome": "cancelled"}, False, id="with-another-outcome"),
        pytest.param({"outcomes": {"refused"}}, {}, True, id="without-an-outcome"),
        pytest.param(
            {"types": {FINISHED}, "backends": {"ess"}}, {"type": PAUSED}, False, id="only-if-all-filters-take-it"
        ),
        pytest.param(
            {"types": {FINISHED}}, {"type": PAUSED, "data": {"reply_to": ["s"]}}, True, id="named-by-a-command"
        ),
        pytest.param(
            {"types": {FINISHED}}, {"type": PAUSED, "data": {"reply_to": ["t"]}}, False, id="others-are-named"
        ),
        pytest.param({"types": {FINISHED}}, {"type": PAUSED, "data": {"reply_to": "s"}}, False, id="a-text-names-none"),
        pytest.param({"types": {FINISHED}}, {"type": PAUSED, "data": [1]}, False, id="data-of-another-shape"),
    ],
)
def test_a_sink_gets_the_events_that_it_wants(*, wishes: dict[str, Any], changes: dict[str, Any], wanted: bool) -> None:
    sink = Filter("s", **{name: frozenset(values) for name, values in wishes.items()})

    assert sink.wants(event(**changes)) is wanted


def test_the_events_of_a_cancellation_keep_their_order() -> None:
    assert event(id="c-1").order == event(id="c-2").order != event(id="d-1", cancellationid="d").order


def test_what_happens_to_a_job_after_the_end_comes_after_the_end() -> None:
    reappeared = {"type": "canceller.job.reappeared.v1", "cancellationid": None, "data": {"cancellation_id": "c"}}

    assert event(id="c-reappeared", **reappeared).order == event().order


def test_a_rejection_waits_for_no_other() -> None:
    rejected = {"type": "canceller.cancellation.rejected.v1", "cancellationid": None}

    assert event(id="r-1", **rejected).order != event(id="r-2", **rejected).order


def test_the_events_of_another_source_keep_the_order_of_their_subject() -> None:
    batch = {"type": "canceller.batch.progress.v1", "source": "/canceller/batches", "cancellationid": None}

    assert event(id="1", subject="b", **batch).order == event(id="2", subject="b", **batch).order
    assert event(id="1", subject="b", **batch).order != event(id="1", subject="other", **batch).order


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"id": 1, "type": "x"}', b'{"id": "1"}', b"\xff"], ids=repr)
def test_what_is_no_event_is_none(body: bytes) -> None:
    assert read(body) is None
