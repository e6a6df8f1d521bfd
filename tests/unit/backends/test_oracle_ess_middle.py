"""The ESS adapter's families below a request that itself has a parent."""

from __future__ import annotations

from typing import Any

import pytest
from unit.backends.ess_exchanges import EMPTY, ESS, kid, page, words
from unit.backends.exchanges import give, play

from worker.backends.adapter import Reply
from worker.backends.oracle_ess_family import BROKEN, FOREIGN, ORPHAN
from worker.domain.model import Job, Source


def middle(*pages: Reply, **known: Any) -> Any:
    """Look at one run of a recurring job set: request 20 below 10."""
    data = {"requestId": 20, "state": "CANCELLED", "absParentRequestId": 10, "parentRequestId": 10}
    return play(ESS.look(Job("20", **known)), give(data | {"requestType": "JOBSET_RECUR_CHILD"}), *pages)


def step(number: int, above: object, state: str = "CANCELLED") -> dict[str, object]:
    return kid(number, state, 10, parentRequestId=above, requestType="JOBSET_STEP")


OTHERS = [kid(10, top=10, parentRequestId=None), step(20, 10), step(21, 10), step(31, 21, "RUNNING")]


def test_the_descendants_of_a_parent_in_the_middle_name_the_top() -> None:
    requests, one = middle(page(*OTHERS, step(30, 20, "CANCELLING"), step(40, 30), step(41, 31)), EMPTY)

    assert requests[1].query["q"] == "absParentRequestId eq 10"
    assert (words(one), one.unlisted) == ({"30": "CANCELLING", "40": "CANCELLED"}, None)


def test_the_top_need_not_be_in_its_list() -> None:
    assert words(middle(page(step(20, 10), step(30, 20)), EMPTY)[1]) == {"30": "CANCELLED"}
    assert words(middle(page(step(30, 20), step(31, 10)), EMPTY)[1]) == {"30": "CANCELLED"}


@pytest.mark.parametrize(
    "lost",
    [
        pytest.param([step(40, 39)], id="its-parent-is-left-out"),
        pytest.param([step(40, None)], id="its-parent-is-not-told"),
        pytest.param([step(40, 41), step(41, 40)], id="in-a-circle"),
        pytest.param([step(40, 40)], id="its-own-parent"),
    ],
)
def test_who_cannot_be_placed_may_be_a_child_and_counts_as_none(lost: list[dict[str, object]]) -> None:
    _, one = middle(page(*OTHERS, step(30, 20), *lost), EMPTY)

    assert (words(one), one.unlisted.detail) == ({"30": "CANCELLED"}, BROKEN)


def test_without_a_known_top_the_family_is_asked_for_level_by_level() -> None:
    data = {"requestId": 20, "state": "CANCELLED", "parentRequestId": 10, "requestType": "JOBSET_STEP"}
    pages = [page(step(30, 20), step(31, 20)), EMPTY, page(step(40, 31, "RUNNING"), kid(41, top=30)), EMPTY, EMPTY]
    requests, one = play(ESS.look(Job("20")), give(data), *pages)

    assert [request.query["q"] for request in requests[1:]] == [
        *["parentRequestId eq 20"] * 2,
        *["parentRequestId eq 30 or parentRequestId eq 31"] * 2,
        "parentRequestId eq 40",
    ]
    assert words(one) == {"30": "CANCELLED", "31": "CANCELLED", "40": "RUNNING", "41": "CANCELLED"}


def test_a_server_without_or_is_asked_for_one_parent_at_a_time() -> None:
    pages = [page(step(30, 20), step(31, 20)), EMPTY, give({"detail": "no or"}, 400), EMPTY, page(step(40, 31)), EMPTY]
    requests, one = middle(*pages, EMPTY, long=True)

    assert [request.query["q"] for request in requests[4:]] == [
        "parentRequestId eq 30",
        *["parentRequestId eq 31"] * 2,
        "parentRequestId eq 40",
    ]
    assert (words(one), one.unlisted) == (dict.fromkeys(("30", "31", "40"), "CANCELLED"), None)


def test_a_request_of_an_untold_type_may_have_children() -> None:
    untold = step(30, 20) | {"requestType": None}
    requests, _ = middle(page(untold, kid(31, top=20)), EMPTY, EMPTY, long=True)

    assert requests[-1].query["q"] == "parentRequestId eq 30"


@pytest.mark.parametrize(
    ("listing", "told"),
    [
        pytest.param(page(step(30, 10)), FOREIGN, id="of-another-parent"),
        pytest.param(page(step(30, None)), FOREIGN, id="of-no-parent"),
        pytest.param(give({}, 500), "the list of children can't be read: {}", id="error"),
    ],
)
def test_a_level_that_cannot_be_used_is_no_level(listing: Reply, told: str) -> None:
    _, one = middle(listing, long=True)

    assert (one.children, one.unlisted.detail) == ((), told)


def test_a_circle_of_parents_has_an_end() -> None:
    _, one = middle(page(step(30, 20)), EMPTY, page(step(20, 30), step(30, 30)), EMPTY, long=True)

    assert (words(one), one.unlisted) == ({"30": "CANCELLED"}, None)


# a child by its type that names no parent

UNNAMED = [
    pytest.param({}, id="left-out"),
    pytest.param({"absParentRequestId": None, "parentRequestId": None}, id="null"),
    pytest.param({"absParentRequestId": 0, "parentRequestId": -1}, id="no-ids"),
    pytest.param({"parentRequestId": 20}, id="itself"),
]


def unnamed(names: dict[str, Any], *pages: Reply, kind: str = "JOBSET_RECUR_CHILD", **known: Any) -> Any:
    """Look at request 20, which is of this type and names its parents so."""
    data = {"requestId": 20, "state": "CANCELLED", "requestType": kind, **names}
    return play(ESS.look(Job("20", **known)), give(data), *pages)


@pytest.mark.parametrize("names", UNNAMED)
@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("JOBSET_RECUR_CHILD", {}),
        ("jobset_step", {}),
        ("RECUR_CHILD", {"parent": True}),
        ("SUB_REQUEST", {"parent": 1}),
    ],
)
def test_that_a_child_which_names_no_parent_has_no_children_is_never_proven(
    kind: str, known: Any, names: dict[str, Any]
) -> None:
    requests, one = unnamed(names, EMPTY, kind=kind, **known)

    assert [request.query["q"] for request in requests[1:]] == ["parentRequestId eq 20"]
    assert (one.children, one.final, one.source) == ((), True, Source.UNSURE)

    _, one = unnamed({**names, "state": "RUNNING"}, EMPTY, kind=kind, **known)
    assert (one.children, one.source, one.unlisted.detail) == ((), Source.OWN, ORPHAN)


@pytest.mark.parametrize("names", UNNAMED)
def test_the_children_that_a_list_does_show_of_it_are_seen(names: dict[str, Any]) -> None:
    _, one = unnamed(names, page(step(30, 20, "CANCELLING")), EMPTY)

    assert (words(one), one.unlisted) == ({"30": "CANCELLING"}, None)


def test_a_child_that_names_no_parent_keeps_what_its_list_said_and_what_was_known() -> None:
    _, one = unnamed({}, give({}, 500))
    assert one.unlisted.detail == "the list of children can't be read: {}"

    _, one = unnamed({}, EMPTY, give(step(30, 20, "RUNNING")), living=("30",))
    assert (words(one), one.unlisted.detail) == ({"30": "RUNNING"}, ORPHAN)


@pytest.mark.parametrize("kind", ["JOBSET_RECUR_PARENT", "JOBSET_SINGLETON", None], ids=str)
def test_a_request_that_is_no_child_by_its_type_is_its_own_top(kind: Any) -> None:
    requests, one = unnamed({}, EMPTY, kind=kind)

    assert requests[1].query["q"] == "absParentRequestId eq 20"
    assert (one.children, one.unlisted) == ((), None)
