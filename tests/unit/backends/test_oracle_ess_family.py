"""The ESS adapter's families: short lists of children, and families whose children can't all be seen."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from unit.backends.ess_exchanges import EMPTY, ESS, NO_PAGE, REQUESTS, kid, look, page, parent, tails, words
from unit.backends.exchanges import CLOCK, LOGIN, give, play

from worker.backends.adapter import NoReply, Reply
from worker.backends.oracle_ess_counts import UNCOUNTED
from worker.backends.oracle_ess_family import CUT_OFF, FOREIGN
from worker.backends.oracle_ess_words import FIELDS
from worker.domain.model import FINAL, AnswerKind, Job, JobState, Source

SELF = kid(4711, requestType="RECUR_PARENT", parentRequestId=None)

# who may have children


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"requestType": "RECUR_PARENT"}, id="recurrence"),
        pytest.param({"requestType": "JOBSET_SINGLETON"}, id="jobset"),
        pytest.param({"requestType": "JOBSET_RECUR_PARENT"}, id="recurring-jobset"),
        pytest.param({"requestType": "recur_parent"}, id="small-letters"),
        pytest.param({"requestType": "SINGLETON", "state": "PAUSED"}, id="paused"),
        pytest.param({"requestType": "SINGLETON", "previousState": "PAUSED"}, id="was-paused"),
        pytest.param({"requestType": "BRAND_NEW"}, id="unknown-type"),
        pytest.param({"requestType": None}, id="type-left-out"),
    ],
)
def test_children_are_looked_for_where_they_can_exist(data: dict[str, Any]) -> None:
    requests, one = look({"state": "CANCELLING", **data}, EMPTY)

    assert [one.path for one in requests] == [(*REQUESTS, "4711"), REQUESTS]
    assert requests[1].query == {"q": "absParentRequestId eq 4711", "fields": FIELDS}
    assert (one.children, one.parent, one.unlisted) == ((), True, None)


@pytest.mark.parametrize("kind", ["SINGLETON", "RECUR_CHILD", "SUB_REQUEST"])
def test_and_nowhere_else(kind: str) -> None:
    assert len(look({"state": "CANCELLING", "requestType": kind, "previousState": "RUNNING"})[0]) == 1


@pytest.mark.parametrize("known", [{"parent": True}, {"living": ("1",)}], ids=["a-parent", "with-a-child"])
def test_a_job_that_could_have_children_before_is_still_asked_for_them(known: dict[str, Any]) -> None:
    after_pause = Reply(200, body=json.dumps({"requestId": 4711, "state": "CANCELLED"}).encode())
    requests, seen = play(ESS.look(Job("4711", **known)), after_pause, EMPTY)

    assert len(requests) >= 2
    assert seen.parent


@pytest.mark.parametrize(
    ("kind", "grouping"),
    [
        ("RECUR_PARENT", True),
        ("JOBSET_SINGLETON", True),
        ("JOBSET_RECUR_PARENT", True),
        ("jobset_recur_child", True),
        ("JOBSET_STEP", False),
        ("SINGLETON", False),
        ("BRAND_NEW", False),
        (None, False),
    ],
)
def test_only_recurrences_and_job_sets_have_no_process_of_their_own(kind: str | None, *, grouping: bool) -> None:
    assert look({"state": "RUNNING", "requestType": kind}, EMPTY)[1].grouping is grouping


def test_a_paused_request_waits_for_its_sub_requests_and_runs_nothing_itself() -> None:
    assert look({"state": "PAUSED", "requestType": "SINGLETON"}, EMPTY)[1].grouping


# a short list


@pytest.mark.parametrize(
    ("pages", "asked"),
    [
        pytest.param([page(kid(1), kid(2)), page(kid(3)), EMPTY], 3, id="an-empty-page-is-the-end"),
        pytest.param([page(kid(1), kid(2)), page(kid(2), kid(3)), page(kid(3))], 3, id="or-one-without-a-new-child"),
        pytest.param(
            [page(kid(1), kid(2)), page(kid(1), kid(2)), page(kid(3)), EMPTY], 4, id="the-first-page-has-two-numbers"
        ),
        pytest.param([page(kid(1), kid(2), kid(3)), *[page(kid(1), kid(2), kid(3))] * 2], 3, id="all-pages-are-one"),
        pytest.param([page(kid(1), kid(2), kid(3), count=3), NO_PAGE], 2, id="no-such-page"),
        pytest.param([page(SELF, kid(1), kid(2)), page(kid(3), count=4), EMPTY], 3, id="with-the-parent-itself"),
        pytest.param([page(SELF | {"absParentRequestId": None}, kid(1), kid(2), kid(3)), EMPTY], 2, id="its-own-top"),
        pytest.param([page(kid("1"), kid(2, top="4711"), kid(3)), EMPTY], 2, id="ids-as-texts"),
        pytest.param([page(kid(1), kid(2, parentRequestId=1), kid(3, parentRequestId=2)), EMPTY], 2, id="of-any-depth"),
    ],
)
def test_a_short_list_is_read_to_its_end(pages: list[Reply], asked: int) -> None:
    requests, one = parent(*pages)

    assert words(one) == dict.fromkeys("123", "CANCELLED")
    assert tails(requests) == [("4711",), (), *(("search", str(number)) for number in range(1, asked))]
    assert (one.unlisted, one.long, one.pages, one.final) == (None, False, 0, True)


def test_a_child_says_which_request_is_directly_above_it() -> None:
    _, one = parent(page(kid(1), kid(2, parentRequestId=1), kid(3, parentRequestId=None)), EMPTY)

    assert {child.job_id: child.above for child in one.children} == {"1": "4711", "2": "1", "3": ""}


def test_a_living_child_keeps_a_family_from_its_end() -> None:
    _, one = parent(page(kid(1), kid(2, "CANCELLING")), EMPTY)

    assert (one.state in FINAL, one.final) == (True, False)


def test_a_child_is_shown_as_the_page_that_it_came_with_had_it() -> None:
    stuck = kid(1, "CANCELLING", stateChangeTime="2026-11-22T10:00:00.0Z", isAsynchronous=True, isForceCancelAllowed=1)

    child = parent(page(stuck), EMPTY)[1].children[0]

    assert (child.since, child.asynchronous, child.force_allowed) == (
        datetime(2026, 11, 22, 10, tzinfo=UTC),
        True,
        None,
    )
    assert (child.clock, child.unreadable) == (CLOCK, {"force_allowed"})


# a list that can't be used

UNUSABLE = {
    "no-items": give({}),
    "null": give({"items": None, "batch": []}),
    "nothing-and-a-count": give({"items": None, "count": 1}),
    "nothing-and-no-count": give({"count": None}),
    "a-count-beside-an-error": give({"count": 0, "errorCode": "ESS-00500"}),
    "a-list-beside-an-error": give({"items": [], "errorCode": "ESS-00500"}),
    "no-content": Reply(204),
    "text-for-an-item": page("1"),
    "item-without-id": page(kid(1), {"state": "RUNNING", "absParentRequestId": 4711}),
    "id-that-is-none": page(kid("a/b")),
    "item-without-state": page(kid(1), kid(2, None)),  # type: ignore[arg-type]
    "a-child-twice": page(kid(1, "RUNNING"), kid(1)),
    "names-nobody": page(kid(1), kid(2, top=None)),
    "names-another": page(kid(1), kid(2, top=9)),
    "login-page": Reply(200, {}, LOGIN),
    "empty": Reply(200),
    "bad-request": give({"items": []}, 400),
    "not-found": give({"items": [], "title": "Not Found"}, 404),
    "forbidden": give({}, 403),
    "error": give({"items": []}, 500),
}


@pytest.mark.parametrize("listing", UNUSABLE.values(), ids=UNUSABLE)
def test_a_list_that_cannot_be_used_never_means_no_children(listing: Reply) -> None:
    _, one = parent(listing)

    assert (one.state, one.raw, one.children) == (JobState.CANCELLED, "CANCELLED", ())
    assert (one.unlisted.kind is AnswerKind.ACCEPTED, "list of children" in one.unlisted.detail) == (False, True)
    assert not one.final


@pytest.mark.parametrize("listing", UNUSABLE.values(), ids=UNUSABLE)
def test_nor_does_a_later_page(listing: Reply) -> None:
    _, one = parent(page(kid(7)), listing)

    assert words(one) == {"7": "CANCELLED"}
    assert not one.final or one.source is Source.UNSURE


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"title": "Not Found"}, id="a-title"),
        pytest.param({"type": "about:blank", "title": "Not Found", "status": 404}, id="the-form-of-ess's-errors"),
        pytest.param({"title": "Not Found", "detail": "No page 1 for request 4711."}, id="a-detail"),
        pytest.param({"title": "Not Found", "errorCode": "GW-404"}, id="another's-code"),
        pytest.param({"title": "Not Found", "errorCode": None}, id="no-code"),
        pytest.param({"message": "no Route matched with those values"}, id="kong"),
    ],
)
def test_a_list_that_a_404_of_anybody_ends_proves_the_end_of_a_family_in_nobodys_words(body: dict[str, Any]) -> None:
    _, one = parent(page(kid(7), count=1), give(body, 404))
    assert (words(one), one.final, one.source, one.detail) == ({"7": "CANCELLED"}, True, Source.UNSURE, CUT_OFF)

    _, one = parent(page(kid(7, "CANCELLING"), count=1), give(body, 404))
    assert (words(one), one.final, one.source) == ({"7": "CANCELLING"}, False, Source.OWN)
    assert one.unlisted.detail == CUT_OFF


@pytest.mark.parametrize("top", [None, 9, 0, "", "x"], ids=repr)
def test_who_does_not_name_the_family_is_a_stranger(top: object) -> None:
    _, one = parent(page(kid(1, "CANCELLING"), kid(999, "CANCELLING", top)), EMPTY)

    assert (one.children, one.unlisted.detail) == ((), FOREIGN)


@pytest.mark.parametrize(
    "last",
    [EMPTY, page(kid(1), count=2), NO_PAGE],
    ids=["empty", "nothing-new", "no-such-page"],
)
def test_children_that_were_counted_and_not_shown_are_not_known(last: Reply) -> None:
    _, one = parent(page(kid(1), count=2), last, last)

    assert one.unlisted.detail == "the list of children is incomplete: it counts 2 and shows 1"


@pytest.mark.parametrize("count", ["2", " 2 ", 2.0, "2.0"], ids=repr)
def test_a_count_is_read_however_a_whole_number_is_written(count: object) -> None:
    _, one = parent(page(kid(1), count=count), EMPTY)
    assert one.unlisted.detail == "the list of children is incomplete: it counts 2 and shows 1"

    _, one = parent(page(kid(1), kid(2), count=count), EMPTY)
    assert (one.unlisted, one.final) == (None, True)


@pytest.mark.parametrize("count", ["many", "2.5", 0.5, "-", "-x", True, [], [2], {}, "9" * 30, 1e300], ids=repr)
@pytest.mark.parametrize("at", [0, 1], ids=["on-the-first-page", "on-the-last-page"])
def test_a_list_whose_count_cannot_be_read_may_not_be_whole(at: int, count: object) -> None:
    counts = [{}, {}]
    counts[at] = {"count": count}
    _, one = parent(page(kid(1, "RUNNING"), **counts[0]), page(**counts[1]))

    assert (words(one), one.unlisted.detail, one.final) == ({"1": "RUNNING"}, UNCOUNTED, False)


@pytest.mark.parametrize("count", [None, "", " ", -1, -2.5, -1e300, "-1", "-1.0"], ids=repr)
def test_a_list_that_counts_nothing_is_read_to_its_end(count: object) -> None:
    _, one = parent(page(kid(1), count=count), page(count=count))
    assert (words(one), one.unlisted, one.final) == ({"1": "CANCELLED"}, None, True)

    _, one = parent(page(kid(1), count=2), page(count=count))
    assert one.unlisted.detail == "the list of children is incomplete: it counts 2 and shows 1"


@pytest.mark.parametrize(
    "empty",
    [
        pytest.param({"items": [], "count": 0}, id="an-empty-list"),
        pytest.param({"items": None, "count": 0}, id="null"),
        pytest.param({"count": 0, "links": []}, id="left-out"),
        pytest.param({"items": None, "count": "0"}, id="counted-by-a-text"),
        pytest.param({"items": None, "count": 0.0, "errorCode": None}, id="no-error"),
    ],
)
def test_a_page_that_lists_nothing_and_counts_none_is_empty(empty: dict[str, Any]) -> None:
    assert parent(give(empty))[1].unlisted is None

    _, one = parent(page(kid(1), count=1), give(empty))
    assert (words(one), one.unlisted, one.final) == ({"1": "CANCELLED"}, None, True)


def test_a_busy_list_says_when_to_come_back() -> None:
    _, one = parent(Reply(429, {"retry-after": "9"}), living=("1",))

    assert (one.unlisted.kind, one.unlisted.retry_after) == (AnswerKind.BUSY, 9.0)


@pytest.mark.parametrize("answered", [1, 2], ids=["the-first-page", "a-later-page"])
def test_a_list_without_an_answer_loses_nothing_that_was_seen(answered: int) -> None:
    exchange = ESS.look(Job("4711", living=("2",)))
    next(exchange)
    replies = [give({"requestId": 4711, "state": "CANCELLED"}), page(kid(1, "RUNNING"))]
    for reply in replies[:answered]:
        exchange.send(reply)
    with pytest.raises(StopIteration) as stop:
        exchange.throw(NoReply("no answer within 10 s"))

    one = stop.value.value
    assert (one.raw, "no answer within 10 s" in one.unlisted.detail) == ("CANCELLED", True)
    assert words(one) == {"2": ""}
