"""The ESS adapter's long families: only living children are asked for, or each look reads a few pages of the list."""

from __future__ import annotations

from typing import Any

import pytest
from unit.backends.ess_exchanges import EMPTY, ESS, NO_PAGE, kid, page, parent, tails, words
from unit.backends.exchanges import LOGIN, give, play

from worker.backends.adapter import Reply, Request
from worker.backends.oracle_ess_family import DISORDERED, FOREIGN, SHRUNK
from worker.domain.model import AnswerKind, Job

ALIVE = (
    'absParentRequestId eq 4711 and state ne "EXPIRED" and state ne "CANCELLED" and state ne "ERROR"'
    ' and state ne "WARNING" and state ne "SUCCEEDED" and state ne "VALIDATION_FAILED" and state ne "FINISHED"'
)
NO_NE = give({"title": "Bad Request", "detail": "cannot read the filter"}, 400)
ENDED = page(kid(1))


def scanned(*pages: Reply, known: int = 1, **more: Any) -> tuple[list[Request], Any]:
    """Look at a family whose list is read a few pages per look, as it was in earlier looks."""
    return parent(*pages, long=True, pages=known, **more)


def ended(number: int) -> Reply:
    """Page `number` of a long list: two children that ended long ago."""
    return page(kid(10 * number + 1), kid(10 * number + 2))


# from short to long


def test_a_list_that_does_not_end_soon_is_long() -> None:
    requests, one = parent(*(ended(number) for number in range(4)), page(kid(99, "RUNNING")), EMPTY)

    assert tails(requests) == [("4711",), (), *(("search", str(number)) for number in (1, 2, 3)), (), ("search", "1")]
    assert [request.query["q"] for request in requests[4:]] == ["absParentRequestId eq 4711", ALIVE, ALIVE]
    assert (one.long, one.pages, one.unlisted, len(one.children)) == (True, 0, None, 9)


def test_a_count_that_says_so_spares_the_pages() -> None:
    requests, one = parent(page(kid(1), kid(2), count=2500), page(kid(99, "RUNNING")), EMPTY)

    assert [request.query["q"] for request in requests[2:]] == [ALIVE, ALIVE]
    assert words(one) == {"1": "CANCELLED", "2": "CANCELLED", "99": "RUNNING"}


def test_a_count_of_a_few_pages_does_not() -> None:
    requests, one = parent(page(kid(1), kid(2), count=6), ended(1), ended(2), EMPTY)

    assert (len(requests), one.long, one.unlisted) == (5, False, None)


def test_a_list_that_was_long_before_is_not_tried_again() -> None:
    requests, one = parent(page(kid(99, "RUNNING")), EMPTY, long=True)

    assert [request.query.get("q") for request in requests] == [None, ALIVE, ALIVE]
    assert (one.long, one.pages, one.unlisted, one.final) == (True, 0, None, False)


def test_a_parent_in_the_middle_of_a_long_family_is_asked_for_its_own_children() -> None:
    data = {"requestId": 20, "state": "RUNNING", "absParentRequestId": 10, "requestType": "JOBSET_RECUR_CHILD"}
    pages = [page(kid(number, top=10), count=2500) for number in (30,)]
    requests, one = play(ESS.look(Job("20")), give(data), *pages, page(kid(50, top=20)), EMPTY)

    assert [request.query["q"] for request in requests[2:]] == ["parentRequestId eq 20"] * 2
    assert (words(one), one.long, one.unlisted) == ({"50": "CANCELLED"}, True, None)


# the living alone


def test_a_living_child_that_is_not_among_them_is_looked_at_alone() -> None:
    requests, one = parent(page(kid(99, "RUNNING")), EMPTY, give(kid(98)), long=True, living=("98", "99"))

    assert tails(requests)[3:] == [("98",)]
    assert words(one) == {"99": "RUNNING", "98": "CANCELLED"}


def test_the_parent_may_be_one_of_them() -> None:
    requests, one = parent(page(kid(4711, "RUNNING")), EMPTY, long=True)

    assert (len(requests), one.children, one.unlisted) == (3, (), None)


def test_that_nobody_lives_is_believed_where_the_same_form_of_question_shows_who_does_not() -> None:
    requests, one = parent(EMPTY, ENDED, long=True)

    assert 'state ne "RUNNING"' in requests[2].query["q"]
    assert (one.children, one.unlisted, one.pages, one.final) == ((), None, 0, True)


@pytest.mark.parametrize(
    "replies",
    [
        pytest.param([NO_NE], id="refused"),
        pytest.param([give({"title": "Not Implemented"}, 501)], id="not-implemented"),
        pytest.param([give({}, 422)], id="unprocessable"),
        pytest.param([page(kid(1), kid(99, "RUNNING"))], id="not-heeded"),
        pytest.param([page(kid(1, "Canceled"))], id="another-spelling"),
        pytest.param([EMPTY, EMPTY], id="shows-nobody-ever"),
        pytest.param([EMPTY, page(kid(99, "RUNNING"))], id="shows-the-wrong-ones"),
        pytest.param([EMPTY, NO_NE], id="refused-the-second-time"),
    ],
)
def test_a_filter_that_does_not_work_is_no_filter(replies: list[Reply]) -> None:
    requests, one = parent(*replies, ended(0), ended(1), EMPTY, long=True)

    assert requests[-1].query["orderBy"] == "requestId:asc"
    assert requests[-1].query["q"] == "absParentRequestId eq 4711"
    assert (len(one.children), one.pages, one.long, one.unlisted) == (4, 1, True, None)


@pytest.mark.parametrize(
    ("replies", "asked"),
    [
        pytest.param([give({}, 500)], 2, id="error"),
        pytest.param([Reply(400, {}, LOGIN)], 2, id="a-proxys-400"),
        pytest.param([page(kid(99, "RUNNING", top=9))], 2, id="strangers"),
        pytest.param([page(kid(99, "RUNNING")), give({}, 500)], 3, id="a-later-page"),
        pytest.param([EMPTY, give({}, 500)], 3, id="the-question-of-proof"),
    ],
)
def test_a_failed_list_of_the_living_leaves_the_way_of_asking_as_it_is(replies: list[Reply], asked: int) -> None:
    requests, one = parent(*replies, long=True)

    assert (len(requests), one.long, one.pages, one.unlisted is None) == (asked, True, 0, False)


def test_more_living_children_than_a_look_can_read_are_not_the_whole_family() -> None:
    pages = [page(kid(number, "RUNNING")) for number in range(1, 20)]
    requests, one = parent(*pages, long=True)

    assert (len(requests), len(one.children)) == (12, 11)
    assert one.unlisted.detail == "there are more living children than a look can read"


def test_calls_are_kept_for_children_that_no_list_shows() -> None:
    pages = [page(kid(number, "RUNNING")) for number in range(1, 9)]
    living = tuple(str(number) for number in range(50, 60))
    requests, one = parent(*pages, page(*(kid(number) for number in living)), long=True, living=living)

    assert (len(requests), len(one.children)) == (10, 18)


# a few pages a look


def test_each_look_reads_on_where_the_one_before_has_ended() -> None:
    requests, one = scanned(*(ended(number) for number in range(7, 20)), known=7)

    assert tails(requests) == [("4711",), *(("search", str(number)) for number in range(7, 12))]
    assert (one.pages, one.final) == (11, False)
    assert one.unlisted.kind is AnswerKind.UNANSWERED
    assert one.unlisted.detail == "the list of children is long: 11 pages have been read, the next look goes on"


@pytest.mark.parametrize(
    ("pages", "known"),
    [
        pytest.param([ended(7), ended(8), EMPTY], 8, id="an-empty-page"),
        pytest.param([ended(7), ended(8), ended(8), EMPTY], 8, id="a-page-again"),
        pytest.param([ended(7), EMPTY], 7, id="one-page"),
        pytest.param([ended(7), NO_PAGE], 7, id="no-such-page"),
        pytest.param([page(kid(71), count=2500), EMPTY], 7, id="whatever-is-counted"),
    ],
)
def test_once_the_list_has_ended_the_family_is_seen_whole(pages: list[Reply], known: int) -> None:
    _, one = scanned(*pages, known=7)

    assert (one.unlisted, one.pages, one.final) == (None, known, True)


@pytest.mark.parametrize(
    ("child", "living", "known"),
    [
        pytest.param(kid(2, "RUNNING"), (), 2, id="alive"),
        pytest.param(kid(2, "CANCELLING"), (), 2, id="cancelling"),
        pytest.param(kid(2, "VAPORIZED"), (), 1, id="of-an-unknown-state"),
        pytest.param(kid(2, "VAPORIZED"), ("2",), 2, id="known-to-be-alive"),
    ],
)
def test_a_page_is_read_for_good_if_its_children_have_ended_or_are_known(
    child: dict[str, object], living: tuple[str, ...], known: int
) -> None:
    _, one = scanned(page(kid(1), child), page(kid(3)), EMPTY, living=living)

    assert (one.pages, one.unlisted, one.final) == (known, None, False)


def test_pages_are_counted_by_their_numbers_which_may_begin_at_one() -> None:
    requests, one = parent(NO_NE, ended(0), ended(0), ended(1), ended(2), ended(3), long=True)

    assert tails(requests)[2:] == [(), *(("search", str(number)) for number in (1, 2, 3, 4))]
    assert (one.pages, one.unlisted is None) == (4, False)


def test_a_page_that_fails_keeps_those_before_it() -> None:
    _, one = scanned(ended(1), ended(2), give({}, 500))

    assert (one.pages, len(one.children)) == (2, 4)
    assert "can't be read" in one.unlisted.detail


def test_an_order_that_the_server_does_not_keep_is_none() -> None:
    _, one = scanned(ended(5), ended(4), EMPTY)

    assert (one.pages, one.children, one.unlisted.detail) == (0, (), DISORDERED)


def test_a_list_that_ends_before_where_it_was_read_to_is_read_anew() -> None:
    _, one = scanned(EMPTY, known=9)

    assert (one.pages, one.unlisted.detail) == (0, SHRUNK)


def test_strangers_spoil_a_long_list_too() -> None:
    _, one = scanned(page(kid(11), kid(12, top=None)))

    assert (one.pages, one.unlisted.detail) == (1, FOREIGN)


@pytest.mark.parametrize(
    ("living", "lists", "alone"),
    [((), 5, 0), (("91",), 4, 1), (("91", "92"), 3, 2), (("91", "92", "93"), 4, 1)],
    ids=["none", "one", "two", "three"],
)
def test_a_look_costs_six_calls_whoever_lives(living: tuple[str, ...], lists: int, alone: int) -> None:
    pages = [ended(number) for number in range(1, 1 + lists)]
    kin = [give(kid(number)) for number in living] if alone < 3 else []
    together = [page(*(kid(number) for number in living))] if len(living) > 2 else kin
    requests, one = scanned(*pages, *together, living=living)

    assert (len(requests), len(one.children)) == (6, 2 * lists + len(living))
