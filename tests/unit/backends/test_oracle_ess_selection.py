"""Lists of ESS requests: the filters, page by page, and which replies are not believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from unit.backends.ess_exchanges import EMPTY, REQUESTS, page
from unit.backends.exchanges import ANYBODYS, give, play

from worker.backends.adapter import Reply
from worker.backends.oracle_ess_selection import list_page, objections
from worker.backends.selecting import Listed
from worker.domain.model import Answer, AnswerKind

ALL = {"state": "running", "older-than": "2h", "submitter": "ann"}
OLD = "2017-05-25T05:00:00.000+00:00"
"""More than two hours before the date of the replies."""
LIMIT = "2017-05-25T05:28:13.000Z"


def item(number: object, **data: object) -> dict[str, object]:
    return {"requestId": number, "state": "RUNNING", "submitter": "ann", "submissionTime": OLD, **data}


def listed(where: Mapping[str, str], *replies: Reply, after: tuple[str, ...] = ()) -> tuple[list[Any], Any]:
    return play(list_page(where, after), *replies)


def test_a_page_asks_for_all_that_must_hold_in_the_order_of_the_ids() -> None:
    (_, request), _ = listed(ALL, page(item(5)), page(item(5)))

    assert (request.method, request.path) == ("GET", REQUESTS)
    assert request.query == {
        "q": f'requestId gt 0 and state eq "RUNNING" and submitter eq "ann" and submissionTime lt "{LIMIT}"',
        "fields": "requestId,state,submitter,submissionTime",
        "orderBy": "requestId:asc",
    }


def test_without_an_age_nobody_is_asked_for_the_time() -> None:
    requests, _ = listed({"state": "RUNNING"}, page(item(5)))

    assert [one.query["q"] for one in requests] == ['requestId gt 0 and state eq "RUNNING"']


def test_the_next_page_is_behind_the_last_request_with_the_same_limit_of_age() -> None:
    _, first = listed(ALL, page(item(5), item("7")), page(item(5), item("7")))
    requests, second = listed(ALL, page(item(9)), after=first.after)

    assert (first.ids, second.ids) == (("5", "7"), ("9",))
    assert [one.query["q"].partition(" and ")[0] for one in requests] == ["requestId gt 7"]
    assert f'submissionTime lt "{LIMIT}"' in requests[0].query["q"]


def test_an_empty_page_is_the_end() -> None:
    assert listed({"submitter": "ann"}, EMPTY)[1] == Listed((), None)


@pytest.mark.parametrize(
    "written",
    ["2017-05-25T05:00:00", "2017-05-25T05:00:00Z", "2017-05-25T07:00:00+02:00"],
    ids=["without-a-zone", "utc", "another-zone"],
)
def test_an_age_is_read_in_its_zone(written: str) -> None:
    reply = page(item(5, submissionTime=written))

    assert listed({"older-than": "2h"}, reply, reply)[1].ids == ("5",)


@pytest.mark.parametrize(
    ("where", "data", "field"),
    [
        ({"state": "RUNNING"}, {"state": "WAIT"}, "state"),
        ({"state": "RUNNING"}, {"state": None}, "state"),
        ({"submitter": "ann"}, {"submitter": "bob"}, "submitter"),
        ({"submitter": "ann"}, {"submitter": None}, "submitter"),
        ({"older-than": "2h"}, {"submissionTime": "2017-05-25T06:00:00Z"}, "submissionTime"),
        ({"older-than": "2h"}, {"submissionTime": "long ago"}, "submissionTime"),
        ({"older-than": "2h"}, {"submissionTime": None}, "submissionTime"),
    ],
    ids=["another-state", "no-state", "another-submitter", "no-submitter", "too-young", "no-time", "none"],
)
def test_a_list_that_shows_something_else_is_not_used(
    where: Mapping[str, str], data: dict[str, object], field: str
) -> None:
    reply = page(item(5), item(6, **data))
    _, said = listed(where, reply, reply)

    assert said.detail == f"the list can't be used: it shows request 6, whose {field} is not what was asked for"


@pytest.mark.parametrize("ids", [(5, 3), (3, 2), (2,)], ids=["falling", "behind", "again"])
def test_a_list_in_another_order_is_not_used(ids: tuple[int, ...]) -> None:
    _, said = listed({"state": "RUNNING"}, page(*map(item, ids)), after=("2", ""))

    assert said.detail == "the list can't be used: it is not sorted by request id"


@pytest.mark.parametrize(("reply", "kind", "source"), ANYBODYS)
@pytest.mark.parametrize("where", [{"state": "RUNNING"}, {"older-than": "2h"}], ids=["state", "age"])
def test_a_reply_that_is_no_list_says_why(
    where: Mapping[str, str], reply: Reply, kind: AnswerKind, source: object
) -> None:
    requests, said = listed(where, reply)

    assert len(requests) == 1
    assert isinstance(said, Answer)
    assert (said.kind, said.source) == (kind, source)
    assert said.detail.startswith("the list of requests can't be read")


def test_an_age_needs_the_backends_clock() -> None:
    _, said = listed({"older-than": "2h"}, give({"items": [item(5)]}, date=""))

    assert said.detail == "the list can't be used: without a Date in the reply, the age of requests is unknown"


@pytest.mark.parametrize(
    "where",
    [ALL, {"state": "canceling"}, {"older-than": "90"}, {"older-than": "36500d"}],
    ids=["all", "spelling", "seconds", "a-century"],
)
def test_what_can_be_asked_for_is_not_objected_to(where: Mapping[str, str]) -> None:
    assert objections(where) == []


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ({"state": "RUNING"}, "state: 'RUNING' is no ESS state (UNKNOWN, WAIT, READY, "),
        ({"older-than": "old"}, "older-than: 'old' is not a duration"),
        ({"older-than": "800000d"}, "older-than: '800000d' is more than the age of any request"),
        ({"submitter": ""}, "submitter: must be a name without quotes and backslashes"),
        ({"submitter": 'a" or state ne "x'}, "submitter: must be a name without quotes and backslashes"),
    ],
    ids=["state", "age", "an-age-before-all", "no-name", "a-filter"],
)
def test_a_value_that_can_not_be_is_told(where: Mapping[str, str], text: str) -> None:
    (objection,) = objections(where)

    assert objection.startswith(text)
