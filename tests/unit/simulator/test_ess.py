"""ESS without a socket: a call in, a reply out, at a given time."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

ESS = "/ess/rest/scheduler/v1/requests"


@pytest.mark.parametrize(
    ("before", "http", "after"),
    [
        ("WAIT", 200, "CANCELLED"),
        ("READY", 200, "CANCELLED"),
        ("BLOCKED", 200, "CANCELLED"),
        ("HOLD", 200, "CANCELLED"),
        ("RUNNING", 200, "CANCELLING"),
        ("COMPLETED", 200, "CANCELLING"),
        ("PAUSED", 200, "CANCELLING"),
        ("SUCCEEDED", 400, "SUCCEEDED"),
        ("CANCELLING", 400, "CANCELLING"),
    ],
)
def test_an_ess_cancel_depends_on_the_state(new_bench: Any, before: str, http: int, after: str) -> None:
    bench = new_bench()
    bench.job("ess", state=before)

    assert (bench.http(f"POST {ESS}/1/cancel"), bench.state("ess")) == (http, after)


def test_an_ess_force_works_after_thirty_minutes_and_not_before(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("ess", life="stuck")
    bench.http(f"POST {ESS}/1/cancel")
    bench.at += 1799
    early = bench.http(f"POST {ESS}/1/forceCancel")
    bench.at += 1

    assert (early, bench.http(f"POST {ESS}/1/forceCancel"), bench.state("ess")) == (400, 200, "CANCELLED")


def test_an_ess_check_in_resets_the_force_clock(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("ess", life="stuck")
    bench.http(f"POST {ESS}/1/cancel")
    bench.at += 1700
    asked = bench.json(f"POST {ESS}/1/checkInCancelling", {"requestExecutionContext": "x"})
    bench.at += 1799

    assert asked is True
    assert bench.json(f"GET {ESS}/1?fields=isForceCancelAllowed") == {"isForceCancelAllowed": False}


def test_an_ess_parent_cancels_its_children_and_ends_with_the_last(new_bench: Any) -> None:
    bench = new_bench()
    children = [{"id": "2", "state": "WAIT"}, {"id": "3", "cancels_after": 60}]
    bench.job("ess", children=children)
    bench.http(f"POST {ESS}/1/cancel")
    at_once = [bench.state("ess", job_id) for job_id in "123"]
    bench.at += 60

    assert at_once == ["CANCELLING", "CANCELLED", "CANCELLING"]
    assert [bench.state("ess", job_id) for job_id in "123"] == ["CANCELLED"] * 3


def test_an_ess_delete_hides_a_family_that_has_ended(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("ess", life="finished", children=[{"id": "2", "life": "finished"}])
    tries = [bench.http(f"DELETE {ESS}/{job_id}") for job_id in "211"]

    assert (tries, bench.http(f"GET {ESS}/2")) == ([400, 204, 404], 404)


def test_an_ess_request_shows_its_times_with_a_zone(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("ess")

    assert bench.json(f"GET {ESS}/1?fields=requestId,state,stateChangeTime") == {
        "requestId": 1,
        "state": "RUNNING",
        "stateChangeTime": "2025-11-23T12:00:00.000Z",
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param('absParentRequestId eq 1 and state eq "RUNNING"', [1, 3, 5], id="family and state"),
        pytest.param('state eq "WAIT"', [2], id="state"),
        pytest.param("requestId gt 2", [3, 4, 5], id="greater"),
        pytest.param('state ne "RUNNING"', [2], id="not equal"),
        pytest.param("requestId eq 1 or requestId eq 4 or requestId eq 9", [1, 4], id="either"),
        pytest.param('state eq "WAIT" or requestId eq 4', [2, 4], id="one by its id, one by another field"),
        pytest.param("parentRequestId eq 2 or requestId eq 2", [2, 5], id="parent or itself"),
        pytest.param("absParentRequestId eq 2", [], id="a family by another than its top"),
        pytest.param("requestId eq 4 and absParentRequestId eq 1", [], id="two keys that no request has"),
        pytest.param('requestId eq 4 or requestId eq 2 and state eq "RUNNING"', [4], id="and before or"),
    ],
)
def test_an_ess_list_is_filtered(new_bench: Any, query: str, found: list[int]) -> None:
    bench = new_bench()
    bench.job("ess", children=[{"id": "2", "state": "WAIT", "children": ["5"]}, "3"])
    bench.job("ess", "4")

    assert [item["requestId"] for item in bench.json(f"GET {ESS}?q={quote(query)}")["items"]] == found


@pytest.mark.parametrize("query", ["state", "nope eq 1", 'state eq "X" or 1', 'state eq "X" and'])
def test_an_ess_filter_that_cannot_be_read_is_refused(new_bench: Any, query: str) -> None:
    bench = new_bench()
    bench.job("ess", state="WAIT")

    assert bench.http(f"GET {ESS}?q={quote(query)}") == 400


def test_an_ess_that_knows_no_or_refuses_it(new_bench: Any) -> None:
    bench = new_bench(ess={"or_in_q": False})
    queries = ["requestId eq 1 or requestId eq 2", "requestId eq 1 and requestId eq 1"]

    assert [bench.http(f"GET {ESS}?q={quote(query)}") for query in queries] == [400, 200]


def test_an_ess_list_has_pages(new_bench: Any) -> None:
    bench = new_bench(ess={"page_size": 2})
    bench.job("ess", "{n}", count=3)

    pages = [bench.json(f"GET {ESS}/search/{page}")["items"] for page in range(3)]

    assert [[item["requestId"] for item in page] for page in pages] == [[1, 2], [3], []]


def pages_of(bench: Any, *paths: str) -> list[list[int]]:
    """Return the ids on each page of the list."""
    pages = [bench.json(f"GET {ESS}{path}") for path in paths]
    return [[item["requestId"] for item in page["items"]] for page in pages]


def test_an_ess_may_count_its_pages_from_one(new_bench: Any) -> None:
    bench = new_bench(ess={"page_size": 2, "search_from": 1})
    bench.job("ess", "{n}", count=3)

    assert pages_of(bench, "", "/search/0", "/search/1", "/search/2", "/search/3") == [[1, 2], [1, 2], [1, 2], [3], []]


@pytest.mark.parametrize(("is_total", "count"), [(False, 2), (True, 3)])
def test_the_count_of_an_ess_list_is_the_pages_or_the_lists(new_bench: Any, *, is_total: bool, count: int) -> None:
    bench = new_bench(ess={"page_size": 2, "count_is_total": is_total})
    bench.job("ess", "{n}", count=3)

    assert bench.json(f"GET {ESS}")["count"] == count


def test_an_ess_may_ignore_its_filter(new_bench: Any) -> None:
    bench = new_bench(ess={"heeds_q": False})
    bench.job("ess", "{n}", count=3)

    assert pages_of(bench, f"?q={quote('requestId eq 2')}") == [[1, 2, 3]]


def test_an_ess_that_knows_no_ne_refuses_it(new_bench: Any) -> None:
    bench = new_bench(ess={"ne_in_q": False})
    queries = ['requestId eq 1 and state ne "CANCELLED"', "requestId eq 1"]

    assert [bench.http(f"GET {ESS}?q={quote(query)}") for query in queries] == [400, 200]


@pytest.mark.parametrize(
    ("children", "types"),
    [
        pytest.param([], ["SINGLETON"], id="alone"),
        pytest.param(["2"], ["RECUR_PARENT", "RECUR_CHILD"], id="a-recurrence"),
        pytest.param(
            [{"id": "2", "children": ["3"]}],
            ["JOBSET_RECUR_PARENT", "JOBSET_RECUR_CHILD", "JOBSET_STEP"],
            id="of-a-job-set",
        ),
        pytest.param(
            [{"id": "2", "children": [{"id": "3", "children": ["4"]}]}],
            ["JOBSET_RECUR_PARENT", "JOBSET_RECUR_CHILD", "JOBSET_STEP", "JOBSET_STEP"],
            id="within-a-job-set",
        ),
    ],
)
def test_an_ess_request_is_of_the_type_that_its_family_makes_it(
    new_bench: Any, children: list[Any], types: list[str]
) -> None:
    bench = new_bench()
    bench.job("ess", children=children)

    assert [item["requestType"] for item in bench.json(f"GET {ESS}")["items"]] == types


def test_all_descendants_of_an_ess_request_name_the_top_and_their_parent(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("ess", children=[{"id": "2", "children": ["3"]}])
    items = bench.json(f"GET {ESS}?q={quote('absParentRequestId eq 1')}")["items"]

    assert [(item["requestId"], item["parentRequestId"]) for item in items] == [(1, None), (2, 1), (3, 2)]


def test_an_ess_batch_has_no_items(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("ess", "{n}", count=3)
    reply = bench.json(f"GET {ESS}?id=1,3,99&fields=requestId")

    assert (reply["batch"], "items" in reply) == ([{"requestId": 1}, {"requestId": 3}], False)


def test_a_held_ess_request_waits_after_its_release(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("ess", state="READY")

    assert [bench.http(f"POST {ESS}/1/{step}") for step in ("hold", "hold", "release")] == [200, 400, 200]
    assert bench.state("ess") == "WAIT"


def test_an_ess_job_reports_its_own_end(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("ess", life="stuck")
    bench.http(f"POST {ESS}/1/cancel")
    wrong = bench.http(f"POST {ESS}/1/executionStatus", {"requestHandle": "guess", "status": "CANCEL"})
    right = bench.http(f"POST {ESS}/1/executionStatus", {"requestHandle": "handle-1", "status": "CANCEL"})

    assert (wrong, right, bench.state("ess")) == (400, 200, "CANCELLED")
