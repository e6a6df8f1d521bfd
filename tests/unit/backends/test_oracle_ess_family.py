"""The ESS adapter: children, changing calls, and replies of any kind."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.backends.ess_exchanges import CALLS, EMPTY, ESS, JOB, LOGIN, REQUESTS, give, look, page, play

from worker.backends.base import Reply, Request
from worker.backends.oracle_ess import FIELDS, MAX_PAGES
from worker.model import Answer, AnswerKind, Job, Observation

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
    ours = give({**data, "requestId": int(JOB.id), "state": "PAUSED"})
    assert isinstance(play(ESS.look(JOB), ours, page({**data, "requestId": 1}), EMPTY)[1], Observation)


def test_a_job_that_could_have_children_before_is_still_asked_for_them() -> None:
    after_pause = Reply(200, body=json.dumps({"requestId": 4711, "state": "CANCELLED"}).encode())
    requests, seen = play(ESS.look(Job("4711", parent=True)), after_pause, EMPTY)

    assert len(requests) == 2
    assert seen.parent


@pytest.mark.parametrize("last", [EMPTY, page({"requestId": 1, "state": "CANCELLED"}, count=2)], ids=["empty", "same"])
def test_children_that_were_counted_and_not_shown_are_not_known(last: Reply) -> None:
    _, answer = parent(page({"requestId": 1, "state": "CANCELLED"}, count=2), last)

    assert isinstance(answer, Answer)
    assert answer.kind is AnswerKind.UNANSWERED


def test_a_page_that_shows_a_child_twice_is_not_read() -> None:
    _, answer = parent(page({"requestId": 1, "state": "RUNNING"}, {"requestId": 1, "state": "CANCELLED"}))

    assert isinstance(answer, Answer)
