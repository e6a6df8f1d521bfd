"""The ESS adapter's remembered children: they were alive before, and no list shows them."""

from __future__ import annotations

import pytest
from unit.backends.ess_exchanges import EMPTY, ESS, kid, page, parent, tails, words
from unit.backends.exchanges import LOGIN, give, play

from worker.backends.adapter import NoReply, Reply
from worker.backends.oracle_ess_family import FOREIGN
from worker.domain.model import Job, JobState


def test_a_living_child_that_the_list_leaves_out_is_looked_at_alone() -> None:
    requests, one = parent(page(kid(22)), EMPTY, give(kid(21, "RUNNING")), living=("21", "22"))

    assert tails(requests)[3:] == [("21",)]
    assert (words(one), one.unlisted, one.final) == ({"22": "CANCELLED", "21": "RUNNING"}, None, False)


def test_also_where_the_list_cannot_be_used() -> None:
    _, one = parent(page(kid(999, top=None)), give(kid(21)), living=("21",))

    assert (words(one), one.unlisted.detail) == ({"21": "CANCELLED"}, FOREIGN)


def test_a_child_that_ess_does_not_know_is_gone() -> None:
    _, one = parent(EMPTY, give({"errorCode": "ESS-00500"}, 404), living=("21",))

    assert ([child.state for child in one.children], one.final) == ([JobState.GONE], True)


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(give({"title": "Not Found"}, 404), id="a-gateways-404"),
        pytest.param(give({"requestId": 22, "state": "CANCELLED"}), id="about-another"),
        pytest.param(give({"requestId": 21}), id="without-a-state"),
        pytest.param(give({}, 403), id="forbidden"),
        pytest.param(give({}, 500), id="error"),
        pytest.param(Reply(200, {}, LOGIN), id="login-page"),
    ],
)
def test_a_child_that_is_not_clearly_seen_is_told_as_unseen(reply: Reply) -> None:
    _, one = parent(EMPTY, reply, living=("21",))

    (child,) = one.children
    assert (child.job_id, child.state, child.raw, child.detail) == ("21", JobState.UNKNOWN, "", "not seen in this look")
    assert (one.unlisted, one.final) == (None, False)


@pytest.mark.parametrize(
    ("top", "state", "shown"),
    [
        pytest.param(4711, "CANCELLING", "CANCELLING", id="still-ours"),
        pytest.param(None, "CANCELLING", "CANCELLING", id="silent"),
        pytest.param(999, "CANCELLING", "", id="of-another-family-now"),
        pytest.param(999, "CANCELLED", "CANCELLED", id="ended-in-another-family"),
    ],
)
@pytest.mark.parametrize("missing", [["21"], ["21", "22", "23"]], ids=["alone", "together"])
def test_a_child_that_has_left_the_family_counts_as_alive_and_is_never_forced(
    missing: list[str], top: object, state: str, shown: str
) -> None:
    kids = [kid(int(number), state, top) for number in missing]
    found = page(*kids) if len(kids) > 2 else give(kids[0])
    _, one = parent(EMPTY, found, give({}, 403), living=tuple(missing))

    assert words(one) == dict.fromkeys(missing, shown)


@pytest.mark.parametrize(
    ("first", "asked"),
    [(give({}, 403), 2), (give({}, 401), 1), (give({}, 429), 1), (give({}, 503), 1)],
    ids=["forbidden", "unauthorised", "throttled", "unavailable"],
)
def test_a_server_in_trouble_is_asked_for_no_more_children(first: Reply, asked: int) -> None:
    requests, _ = parent(EMPTY, first, living=("21", "22"))

    assert tails(requests)[2:] == [("21",), ("22",)][:asked]


def test_nor_where_it_did_not_give_a_list() -> None:
    requests, one = parent(give({}, 503), living=("21",))

    assert (len(requests), words(one)) == (2, {"21": ""})


def test_two_are_asked_for_one_by_one() -> None:
    requests, one = parent(EMPTY, give(kid(21)), give(kid(22)), living=("21", "22"))

    assert tails(requests)[2:] == [("21",), ("22",)]
    assert one.final


def test_more_are_asked_for_together() -> None:
    requests, one = parent(EMPTY, page(kid(21), kid(22), kid(23)), living=("21", "22", "23"))

    assert [request.query["q"] for request in requests[2:]] == ["requestId eq 21 or requestId eq 22 or requestId eq 23"]
    assert one.final


@pytest.mark.parametrize(
    "together",
    [
        pytest.param(give({"detail": "no or"}, 400), id="refused"),
        pytest.param(page(kid(999)), id="not-heeded"),
        pytest.param(EMPTY, id="empty"),
        pytest.param(page(kid(21, None)), id="without-a-state"),  # type: ignore[arg-type]
    ],
)
def test_who_is_not_shown_together_is_looked_at_alone(together: Reply) -> None:
    replies = [give(kid(number)) for number in (21, 22, 23)]
    requests, one = parent(
        EMPTY, together, *([EMPTY] if b"21" in together.body else []), *replies, living=("21", "22", "23")
    )

    assert tails(requests)[-3:] == [("21",), ("22",), ("23",)]
    assert (one.final, len(one.children)) == (True, 3)


def test_a_server_that_is_busy_with_a_list_of_ids_is_left_alone() -> None:
    requests, one = parent(EMPTY, page(kid(21)), give({}, 429), living=("21", "22", "23"))

    assert (len(requests), words(one)) == (4, {"21": "CANCELLED", "22": "", "23": ""})


def test_no_look_makes_more_than_twelve_calls() -> None:
    living = tuple(str(number) for number in range(100, 140))
    requests, one = parent(EMPTY, give({}, 400), give(kid(100)), living=living)

    assert (len(requests), tails(requests)[3]) == (12, ("100",))
    assert len(one.children) == 40


def test_an_answer_that_does_not_come_leaves_a_child_unseen() -> None:
    exchange = ESS.look(Job("4711", living=("21", "22")))
    next(exchange)
    for reply in (give({"requestId": 4711, "state": "CANCELLED"}), EMPTY, give(kid(21))):
        exchange.send(reply)
    with pytest.raises(StopIteration) as stop:
        exchange.throw(NoReply("no answer"))

    one = stop.value.value
    assert (words(one), one.unlisted, one.final) == ({"21": "CANCELLED", "22": ""}, None, False)


def test_the_children_of_a_request_that_is_gone_are_looked_at() -> None:
    gone = give({"errorCode": "ESS-00500"}, 404)
    requests, one = play(ESS.look(Job("4711", living=("21",))), gone, give(kid(21, "RUNNING")))

    assert tails(requests) == [("4711",), ("21",)]
    assert (one.state, words(one), one.final) == (JobState.GONE, {"21": "RUNNING"}, False)
