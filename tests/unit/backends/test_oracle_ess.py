"""The ESS adapter: 20 states, children, and answers that are judged by what they say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.backends.base import Reply, Request
from worker.backends.oracle_ess import FIELDS, MAX_PAGES, STATES, OracleEss
from worker.model import Answer, AnswerKind, Job, JobState, Observation

ESS = OracleEss()
JOB = Job("4711")
REQUESTS = ("ess", "rest", "scheduler", "v1", "requests")
DATE = "Sun, 22 Nov 2026 10:45:00 GMT"
LOGIN = b"<html>Please log in</html>"
CALLS = {"cancel": ESS.cancel, "force": ESS.force, "delete": ESS.delete}


def play(exchange: Any, *replies: Reply) -> tuple[list[Request], Any]:
    """Drive an exchange with these replies, the last one repeated; return its requests and its result."""
    requests = []
    try:
        requests.append(next(exchange))
        while True:
            requests.append(exchange.send(replies[min(len(requests), len(replies)) - 1]))
    except StopIteration as end:
        return requests, end.value


def give(data: object, status: int = 200) -> Reply:
    return Reply(status, {"date": DATE, "content-type": "application/json"}, json.dumps(data).encode())


def page(*items: object, **more: object) -> Reply:
    return give({"items": list(items), **more})


def look(data: dict[str, Any], *pages: Reply) -> tuple[list[Request], Any]:
    return play(ESS.look(JOB), give({"requestId": 4711, **data}), *pages)


def seen(**data: object) -> Any:
    return look(data)[1]


EMPTY = page()


# what a command may name


@pytest.mark.parametrize("job_id", ["1", "4711", str(2**53 + 1), str(2**63 - 1)])
def test_a_positive_int64_is_a_request_id(job_id: str) -> None:
    assert ESS.problem(Job(job_id)) == ""


@pytest.mark.parametrize(
    "job_id", ["0", "-1", "+1", "01", "1.0", "1e3", " 1", "1\n", "abc", "\u0661", str(2**63), "9" * 400, "1 or 1 eq 1"]
)
def test_anything_else_is_no_request_id(job_id: str) -> None:
    assert "job_id" in ESS.problem(Job(job_id))


# the request itself


def test_a_look_asks_for_the_fields_that_it_uses() -> None:
    requests, _ = look({"state": "RUNNING"})

    assert [(one.method, one.path, one.query) for one in requests] == [("GET", (*REQUESTS, "4711"), {"fields": FIELDS})]


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        ("UNKNOWN", JobState.UNKNOWN),
        ("WAIT", JobState.ACTIVE),
        ("READY", JobState.ACTIVE),
        ("RUNNING", JobState.ACTIVE),
        ("COMPLETED", JobState.ACTIVE),
        ("BLOCKED", JobState.ACTIVE),
        ("HOLD", JobState.ACTIVE),
        ("CANCELLING", JobState.CANCELLING),
        ("EXPIRED", JobState.FAILED),
        ("CANCELLED", JobState.CANCELLED),
        ("ERROR", JobState.FAILED),
        ("WARNING", JobState.SUCCEEDED),
        ("SUCCEEDED", JobState.SUCCEEDED),
        ("PENDING_VALIDATION", JobState.ACTIVE),
        ("VALIDATION_FAILED", JobState.FAILED),
        ("SCHEDULE_ENDED", JobState.ACTIVE),
        ("FINISHED", JobState.SUCCEEDED),
        ("ERROR_AUTO_RETRY", JobState.ACTIVE),
        ("ERROR_MANUAL_RECOVERY", JobState.ACTIVE),
        ("VAPORIZED", JobState.UNKNOWN),
        ("cancelled", JobState.UNKNOWN),
        (None, JobState.UNKNOWN),
        ({"a": 1}, JobState.UNKNOWN),
    ],
)
def test_each_word_has_one_meaning(raw: Any, state: Any) -> None:
    one = seen(state=raw)

    assert (one.state, one.raw) == (state, raw if isinstance(raw, str) else "")


def test_paused_is_alive() -> None:
    assert look({"state": "PAUSED"}, EMPTY)[1].state is JobState.ACTIVE


def test_the_table_holds_all_twenty_states() -> None:
    assert len(STATES) == 20


@pytest.mark.parametrize(
    ("written", "since"),
    [
        pytest.param("2026-11-22T10:00:00.250Z", datetime(2026, 11, 22, 10, 0, 0, 250000, UTC), id="fraction"),
        pytest.param("2026-11-22T10:00:00,000+00:00", datetime(2026, 11, 22, 10, tzinfo=UTC), id="comma"),
        pytest.param("2026-11-22T10:00:00Z", datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC), id="second-cut-off"),
        pytest.param("2026-11-22T12:00:00+02:00", datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC), id="offset"),
        pytest.param("2026-11-22T10:00:00", None, id="no-zone"),
        pytest.param("9999-12-31T23:59:59Z", None, id="end-of-time"),
        pytest.param("just now", None, id="no-time"),
    ],
)
def test_since_is_never_earlier_than_the_true_moment(written: str, since: datetime | None) -> None:
    one = seen(state="CANCELLING", stateChangeTime=written)

    assert (one.since, one.since_text) == (since, written)


def test_the_clock_is_the_date_header() -> None:
    assert seen(state="RUNNING").clock == datetime(2026, 11, 22, 10, 45, tzinfo=UTC)


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
    ],
)
def test_the_end_is_told_by_the_backends_own_times(times: dict[str, str | None], ended_at: datetime | None) -> None:
    assert seen(state="CANCELLED", **times).ended_at == ended_at


@pytest.mark.parametrize(("told", "known"), [(True, True), (False, False), (None, None), ("true", None), (1, None)])
def test_what_a_force_needs_is_known_only_if_told(told: object, *, known: bool | None) -> None:
    one = seen(state="CANCELLING", isAsynchronous=told, isForceCancelAllowed=told)

    assert (one.asynchronous, one.force_allowed) == (known, known)


def test_facts_are_what_support_asks_for() -> None:
    one = seen(state="ERROR", cause="SYSTEM_ERROR", errorType=None, processPhase="Complete", errorCode="ESS-1")

    assert one.facts == {"cause": "SYSTEM_ERROR", "errorCode": "ESS-1", "processPhase": "Complete"}


@pytest.mark.parametrize(
    ("data", "parent"),
    [
        pytest.param({"absParentRequestId": 42}, "its parent 42", id="top-is-another"),
        pytest.param({"parentRequestId": "43"}, "its parent 43", id="parent-is-another"),
        pytest.param({"requestType": "JOBSET_STEP"}, "its parent instead", id="by-type"),
        pytest.param({"requestType": "SUB_REQUEST", "absParentRequestId": 42}, "its parent 42", id="sub-request"),
    ],
)
def test_a_child_cant_be_deleted(data: dict[str, Any], parent: str) -> None:
    assert parent in seen(state="CANCELLED", **data).undeletable


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({}, id="silent"),
        pytest.param({"absParentRequestId": 4711, "parentRequestId": 0}, id="its-own-top"),
        pytest.param({"absParentRequestId": None, "parentRequestId": -1}, id="no-parent"),
        pytest.param({"requestType": "SINGLETON"}, id="singleton"),
    ],
)
def test_a_submitted_request_can_be_deleted(data: dict[str, Any]) -> None:
    assert seen(state="CANCELLED", **data).undeletable == ""


@pytest.mark.parametrize("kind", ["RECUR_CHILD", "JOBSET_RECUR_CHILD"])
def test_a_recurrences_child_says_that_the_recurrence_goes_on(kind: str) -> None:
    one = look({"state": "RUNNING", "requestType": kind, "absParentRequestId": 42}, EMPTY)[1]

    assert "does not stop the recurrence" in one.detail
    assert "its parent 42" in one.detail


def test_other_requests_need_no_such_word() -> None:
    assert seen(state="RUNNING", requestType="SUB_REQUEST", absParentRequestId=42).detail == ""


# looks that show no job


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(Reply(200, {}, LOGIN), AnswerKind.UNANSWERED, id="login-page"),
        pytest.param(Reply(200), AnswerKind.UNANSWERED, id="empty"),
        pytest.param(give([1]), AnswerKind.UNANSWERED, id="list"),
        pytest.param(Reply(302, {"location": "http://evil/"}), AnswerKind.UNANSWERED, id="redirect"),
        pytest.param(give({}, 400), AnswerKind.UNANSWERED, id="bad-request"),
        pytest.param(give({}, 401), AnswerKind.REFUSED, id="unauthorised"),
        pytest.param(give({}, 403), AnswerKind.REFUSED, id="forbidden"),
        pytest.param(Reply(404, {}, LOGIN), AnswerKind.UNANSWERED, id="proxys-404"),
        pytest.param(give({}, 409), AnswerKind.BUSY, id="conflict"),
        pytest.param(give({}, 429), AnswerKind.BUSY, id="throttled"),
        pytest.param(give({}, 500), AnswerKind.UNANSWERED, id="error"),
        pytest.param(Reply(502, {}, LOGIN), AnswerKind.UNANSWERED, id="gateway"),
    ],
)
def test_a_look_that_shows_no_request_says_why(reply: Reply, kind: AnswerKind) -> None:
    requests, result = play(ESS.look(JOB), reply)

    assert len(requests) == 1
    assert (type(result), result.kind) == (Answer, kind)


def test_a_404_is_gone() -> None:
    _, one = play(ESS.look(JOB), give({"title": "Not Found", "detail": "no request 4711"}, 404))

    assert (one.state, one.raw, one.job_id, one.detail) == (JobState.GONE, "404", "4711", "no request 4711")


# children


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"requestType": "RECUR_PARENT"}, id="recurrence"),
        pytest.param({"requestType": "JOBSET_SINGLETON"}, id="jobset"),
        pytest.param({"requestType": "JOBSET_RECUR_PARENT"}, id="recurring-jobset"),
        pytest.param({"requestType": "JOBSET_RECUR_CHILD"}, id="one-of-a-recurring-jobset"),
        pytest.param({"requestType": "SINGLETON", "state": "PAUSED"}, id="paused"),
        pytest.param({"requestType": "SINGLETON", "previousState": "PAUSED"}, id="was-paused"),
        pytest.param({"requestType": "BRAND_NEW", "previousState": "PAUSED"}, id="unknown-type-was-paused"),
    ],
)
def test_children_are_looked_for_where_they_can_exist(data: dict[str, Any]) -> None:
    requests, one = look({"state": "CANCELLING", **data}, EMPTY)

    assert [one.path for one in requests] == [(*REQUESTS, "4711"), REQUESTS]
    assert requests[1].query == {"q": "absParentRequestId eq 4711", "fields": FIELDS}
    assert one.children == ()


@pytest.mark.parametrize("kind", ["SINGLETON", "RECUR_CHILD", "JOBSET_STEP", "SUB_REQUEST", "BRAND_NEW", None])
def test_and_nowhere_else(kind: str | None) -> None:
    assert len(look({"state": "CANCELLING", "requestType": kind, "previousState": "RUNNING"})[0]) == 1


def parent(*pages: Reply) -> tuple[list[Request], Any]:
    return look({"state": "CANCELLED", "requestType": "RECUR_PARENT"}, *pages)


def test_pages_are_read_until_one_shows_nothing_new() -> None:
    requests, one = parent(
        page({"requestId": 4711, "state": "CANCELLED"}, {"requestId": 1, "state": "CANCELLED"}),
        page({"requestId": 1, "state": "RUNNING"}, {"requestId": "2", "state": "CANCELLING"}),
        page({"requestId": 2, "state": "RUNNING"}),
    )

    assert [one.path[len(REQUESTS) :] for one in requests] == [("4711",), (), ("search", "1"), ("search", "2")]
    assert [(child.job_id, child.raw) for child in one.children] == [("1", "CANCELLED"), ("2", "CANCELLING")]
    assert one.state.final
    assert not one.final


def test_a_page_that_does_not_exist_is_the_end() -> None:
    _, one = parent(page({"requestId": 1, "state": "CANCELLED"}, count=1), give({"title": "Not Found"}, 404))

    assert one.final
    assert len(one.children) == 1


def test_unless_the_list_says_that_there_are_more() -> None:
    _, answer = parent(page({"requestId": 1, "state": "CANCELLED"}, count=2), give({}, 404))

    assert answer.kind is AnswerKind.UNANSWERED


def test_requests_of_another_parent_are_no_children() -> None:
    """A list that ignores the filter must never put a stranger before the force gate."""
    _, one = parent(
        page({"requestId": 1, "absParentRequestId": 9}, {"requestId": 2, "absParentRequestId": 4711}, {"requestId": 3}),
        EMPTY,
    )

    assert [child.job_id for child in one.children] == ["2", "3"]


@pytest.mark.parametrize(
    "listing",
    [
        pytest.param(give({}), id="no-items"),
        pytest.param(give({"items": None, "batch": []}), id="null"),
        pytest.param(page("1"), id="text-for-an-item"),
        pytest.param(page({"requestId": 1, "state": "CANCELLED"}, {"state": "RUNNING"}), id="item-without-id"),
        pytest.param(page({"requestId": "a/b"}), id="id-that-is-none"),
        pytest.param(Reply(200, {}, LOGIN), id="login-page"),
        pytest.param(Reply(200), id="empty"),
        pytest.param(give({"items": []}, 400), id="bad-request"),
        pytest.param(give({"items": []}, 404), id="not-found"),
        pytest.param(give({"items": []}, 500), id="error"),
    ],
)
def test_a_malformed_list_never_means_no_children(listing: Reply) -> None:
    _, answer = parent(listing)

    assert answer.kind is AnswerKind.UNANSWERED
    assert "children" in answer.detail


@pytest.mark.parametrize("status", [400, 500, 503])
def test_nor_does_a_later_page_that_fails(status: int) -> None:
    _, answer = parent(page({"requestId": 1, "state": "CANCELLED"}), give({}, status))

    assert answer.kind is AnswerKind.UNANSWERED


def test_a_busy_list_says_when_to_come_back() -> None:
    _, answer = parent(Reply(429, {"retry-after": "9"}))

    assert (answer.kind, answer.retry_after) == (AnswerKind.BUSY, 9.0)


def test_a_list_without_end_is_no_list() -> None:
    pages = [page({"requestId": number, "state": "CANCELLED"}) for number in range(1, MAX_PAGES + 2)]

    requests, answer = parent(*pages)

    assert len(requests) == 1 + MAX_PAGES
    assert answer.kind is AnswerKind.UNANSWERED


def test_a_child_stuck_in_cancelling_brings_what_its_own_force_needs() -> None:
    stuck = {
        "requestId": 1,
        "state": "CANCELLING",
        "stateChangeTime": "2026-11-22T10:00:00.0Z",
        "isAsynchronous": True,
        "isForceCancelAllowed": True,
    }

    child = parent(page(stuck), EMPTY)[1].children[0]

    assert (child.since, child.asynchronous, child.force_allowed) == (
        datetime(2026, 11, 22, 10, tzinfo=UTC),
        True,
        True,
    )
    assert child.clock == datetime(2026, 11, 22, 10, 45, tzinfo=UTC)


# changing calls


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [
        ("cancel", "POST", ("4711", "cancel")),
        ("force", "POST", ("4711", "forceCancel")),
        ("delete", "DELETE", ("4711",)),
    ],
)
def test_a_changing_call_is_one_request_without_a_body(name: str, method: str, path: tuple[str, ...]) -> None:
    requests, _ = play(CALLS[name](JOB), give({}))

    assert [(one.method, one.path, one.json) for one in requests] == [(method, (*REQUESTS, *path), None)]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(give({"href": "http://evil/", "rel": "self"}), AnswerKind.ACCEPTED, id="link"),
        pytest.param(give({}), AnswerKind.ACCEPTED, id="empty-link"),
        pytest.param(Reply(200), AnswerKind.ACCEPTED, id="no-link"),
        pytest.param(Reply(204), AnswerKind.ACCEPTED, id="no-content"),
        pytest.param(Reply(200, {}, LOGIN), AnswerKind.UNANSWERED, id="login-page"),
        pytest.param(Reply(307, {"location": "http://evil/"}), AnswerKind.UNANSWERED, id="redirect"),
        pytest.param(give({}, 400), AnswerKind.REJECTED, id="unsupported-state"),
        pytest.param(give({}, 401), AnswerKind.REFUSED, id="unauthorised"),
        pytest.param(give({}, 403), AnswerKind.REFUSED, id="forbidden"),
        pytest.param(give({}, 404), AnswerKind.NOT_FOUND, id="not-found"),
        pytest.param(give({}, 405), AnswerKind.REFUSED, id="not-supported"),
        pytest.param(give({}, 429), AnswerKind.BUSY, id="throttled"),
        pytest.param(give({}, 500), AnswerKind.UNANSWERED, id="error"),
        pytest.param(give({}, 503), AnswerKind.UNANSWERED, id="unavailable"),
    ],
)
def test_an_answer_is_judged_alike_for_every_call(name: str, reply: Reply, kind: AnswerKind) -> None:
    assert play(CALLS[name](JOB), reply)[1].kind is kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [("cancel", AnswerKind.BUSY), ("force", AnswerKind.REJECTED), ("delete", AnswerKind.BUSY)],
)
def test_a_conflict_is_a_lock_but_for_a_force_it_may_mean_too_early(name: str, kind: AnswerKind) -> None:
    assert play(CALLS[name](JOB), give({}, 409))[1].kind is kind


@pytest.mark.parametrize("code", ["ESS-00500", "ESS-01050", "1026", "", None])
def test_the_error_code_is_told_and_decides_nothing(code: Any) -> None:
    _, answer = play(ESS.cancel(JOB), give({"errorCode": code, "title": "Bad Request", "detail": "too late"}, 400))

    assert answer == Answer(AnswerKind.REJECTED, 400, code or "", "too late")


def test_without_a_detail_the_title_is_told() -> None:
    assert play(ESS.cancel(JOB), give({"title": "Bad Request"}, 400))[1].detail == "Bad Request"


# anything may come back

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["PAUSED", "1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*FIELDS.split(","), "items", "count", "errorCode", "detail"]), inner)
    ),
    max_leaves=20,
)
BODIES = st.binary() | JSON.map(lambda value: json.dumps(value).encode())
REPLIES = st.builds(Reply, st.sampled_from([200, 202, 204, 302, 400, 404, 500]), st.just({}), BODIES)


@given(replies=st.lists(REPLIES, min_size=1, max_size=3))
def test_no_reply_breaks_an_exchange(replies: list[Reply]) -> None:
    assert isinstance(play(ESS.look(JOB), *replies)[1], Observation | Answer)
    for exchange in CALLS.values():
        assert isinstance(play(exchange(JOB), *replies)[1], Answer)


@given(data=st.dictionaries(st.sampled_from(FIELDS.split(",")), JSON), item=JSON)
def test_no_field_breaks_a_look(data: dict[str, Any], item: object) -> None:
    paused = give({**data, "state": "PAUSED"})

    assert isinstance(play(ESS.look(JOB), paused, page(item), EMPTY)[1], Observation | Answer)
    assert isinstance(play(ESS.look(JOB), paused, page({**data, "requestId": 1}), EMPTY)[1], Observation)
