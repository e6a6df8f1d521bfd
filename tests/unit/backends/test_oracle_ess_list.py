"""The ESS adapter's lists: many requests in one call, and nothing that a look at a single one would not show."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.backends.ess_exchanges import ESS, REQUESTS, page
from unit.backends.exchanges import LOGIN, give, play

from worker.backends.adapter import Reply
from worker.backends.oracle_ess_words import FIELDS, IDS
from worker.domain.model import Answer, AnswerKind, Job, JobState

CANCELLING = {"requestType": "SINGLETON", "state": "CANCELLING", "stateChangeTime": "2026-11-22T10:00:00Z"}


def jobs(count: int, first: int = 1) -> list[Job]:
    return [Job(str(number)) for number in range(first, first + count)]


def item(number: object, **data: object) -> dict[str, object]:
    return {"requestId": number, **CANCELLING, **data}


def survey(wanted: list[Job], *replies: Reply) -> Any:
    return play(ESS.look_many(wanted), *replies)


@pytest.mark.parametrize("few", [[], jobs(9), [*jobs(9), Job("10", parent=True)]], ids=["none", "nine", "a-parent"])
def test_few_are_looked_at_alone(few: list[Job]) -> None:
    assert survey(few) == ([], {})


def test_requests_are_asked_for_by_their_ids_with_the_fields_of_a_look() -> None:
    requests, _ = survey(jobs(10), page(*(item(number) for number in range(1, 11))))

    (one,) = requests
    assert (one.method, one.path) == ("GET", REQUESTS)
    assert one.query["q"].split(" or ") == [f"requestId eq {number}" for number in range(1, 11)]
    assert one.query["fields"] == FIELDS


def test_a_request_is_shown_as_a_look_at_it_would() -> None:
    alone = play(ESS.look(Job("7")), give(item(7, isAsynchronous=True)))[1]
    _, seen = survey(jobs(10), page(item("7", isAsynchronous=True)))

    assert seen == {"7": alone}


def test_ids_come_as_numbers_or_as_text() -> None:
    _, seen = survey(jobs(10), page(item(1), item("2"), item(2.0), item(None)), Reply(500))

    assert seen.kind is AnswerKind.UNANSWERED

    _, seen = survey(jobs(10), page(item(1), item("2")), page())
    assert set(seen) == {"1", "2"}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"requestType": "RECUR_PARENT"}, id="a-parent"),
        pytest.param({"state": "PAUSED"}, id="paused"),
        pytest.param({"previousState": "PAUSED"}, id="was-paused"),
        pytest.param({"requestType": None}, id="untold-whether-a-parent"),
        pytest.param({"requestType": "JOBSET_STEP"}, id="a-step"),
        pytest.param({"state": None}, id="no-state"),
        pytest.param({"state": 7}, id="no-word"),
        pytest.param({"state": "Canceling", "stateChangeTime": None}, id="no-time-and-another-spelling"),
        pytest.param({"stateChangeTime": None}, id="no-time"),
    ],
)
def test_a_request_that_the_list_tells_too_little_of_is_left_out(data: dict[str, Any]) -> None:
    _, seen = survey(jobs(10), page(item(1, **data), item(2)), page())

    assert set(seen) == {"2"}


def test_only_cancelling_needs_its_time() -> None:
    _, seen = survey(jobs(10), page(item(1, state="SUCCEEDED", stateChangeTime=None)), page())

    assert seen["1"].state is JobState.SUCCEEDED


def test_strangers_are_not_shown() -> None:
    """Even if a list ignores the filter, only the states of the jobs asked for are shown."""
    requests, seen = survey(jobs(10), page(*(item(number) for number in range(100, 200))))

    assert (len(requests), seen) == (1, {})


def test_short_pages_are_read_until_all_are_found() -> None:
    pages = [page(*(item(number) for number in range(start, start + 10))) for start in (1, 11, 21)]
    requests, seen = survey(jobs(30), *pages)

    assert [one.path[len(REQUESTS) :] for one in requests] == [(), ("search", "1"), ("search", "2")]
    assert len(seen) == 30


def test_no_more_pages_are_read_than_looks_are_spared_for() -> None:
    requests, seen = survey(jobs(30), *(page(item(number)) for number in range(1, 31)))

    assert (len(requests), set(seen)) == (3, {"1", "2", "3"})


def test_the_last_page_of_one_filter_counts_for_the_next() -> None:
    """A filter names a limited number of ids; pages that were read in vain count like all others."""
    requests, _ = survey(jobs(3 * IDS), page())

    assert [len(one.query["q"].split(" or ")) for one in requests] == [IDS] * 3

    requests, _ = survey(jobs(IDS + 10), *(page(item(number)) for number in range(1, IDS + 1)))
    assert len(requests) == (IDS + 10) // 10


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(give({"title": "Bad Request", "detail": "no or"}, 400), AnswerKind.UNANSWERED, id="refuses-or"),
        pytest.param(give({}, 401), AnswerKind.REFUSED, id="unauthorised"),
        pytest.param(give({}, 403), AnswerKind.REFUSED, id="forbidden"),
        pytest.param(give({}, 404), AnswerKind.UNANSWERED, id="not-found"),
        pytest.param(give({}, 500), AnswerKind.UNANSWERED, id="error"),
        pytest.param(Reply(429, {"retry-after": "9"}), AnswerKind.BUSY, id="throttled"),
        pytest.param(Reply(200, {}, LOGIN), AnswerKind.UNANSWERED, id="login-page"),
        pytest.param(give({"batch": []}), AnswerKind.UNANSWERED, id="no-items"),
        pytest.param(page({"state": "RUNNING"}), AnswerKind.UNANSWERED, id="item-without-id"),
    ],
)
def test_a_list_that_cannot_be_used_says_why(reply: Reply, kind: AnswerKind) -> None:
    requests, said = survey(jobs(10), reply)

    assert (len(requests), type(said), said.kind) == (1, Answer, kind)
    assert "the list of requests can't be read" in said.detail


def test_what_was_found_before_a_page_failed_stays() -> None:
    _, seen = survey(jobs(20), page(item(1)), give({}, 500))

    assert set(seen) == {"1"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 30) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["items", "requestId", "state", "requestType"]), inner)
    ),
    max_leaves=20,
)


@given(entries=JSON)
def test_no_list_breaks_a_survey(entries: object) -> None:
    _, seen = survey(jobs(20), give({"items": entries}))

    assert isinstance(seen, Answer) or set(seen) <= {str(number) for number in range(1, 21)}
