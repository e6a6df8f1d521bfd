"""The Sahara adapter's list: v2 has one that shows the same as a look, v1.1 has none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.backends.exchanges import LOGIN, give, play

from worker.backends.adapter import Reply
from worker.backends.sahara import HEADERS, Sahara
from worker.domain.model import Answer, AnswerKind, Job

V2 = Sahara("37ca", "v2")


def jobs(count: int) -> list[Job]:
    return [Job(f"J{number}") for number in range(count)]


def entry(job_id: object, state: object = "RUNNING", **more: object) -> dict[str, object]:
    return {"id": job_id, "info": {"status": state}, **more}


def page(*entries: object, following: object = None) -> Reply:
    return give({"jobs": list(entries), "markers": {"prev": None, "next": following}})


def survey(wanted: list[Job], *replies: Reply) -> Any:
    return play(V2.look_many(wanted), *replies)


def test_v11_has_no_list_since_its_look_lets_sahara_ask_its_engine() -> None:
    assert play(Sahara("37ca").look_many(jobs(100))) == ([], {})


def test_the_list_names_its_version_and_a_limit() -> None:
    requests, _ = survey(jobs(10), page())

    (one,) = requests
    assert (one.method, one.path, one.query) == ("GET", ("v2", "jobs"), {"limit": "100"})
    assert one.headers == HEADERS["v2"]


def test_a_job_is_shown_as_a_look_at_it_would() -> None:
    details = entry("J1", "SUSPENDFAILED", return_code="1", cluster_id="C")
    alone = play(V2.look(Job("J1")), give({"job": details}))[1]
    _, seen = survey(jobs(10), page(details, entry("another")))

    assert seen == {"J1": alone}


@pytest.mark.parametrize("info", [None, {}, {"status": None}, "RUNNING"], ids=str)
def test_a_job_without_a_state_is_left_out(info: object) -> None:
    _, seen = survey(jobs(10), page({"id": "J1", "info": info}, entry("J2")))

    assert set(seen) == {"J2"}


def test_pages_are_read_by_the_marker_that_is_told() -> None:
    requests, seen = survey(
        jobs(30), page(entry("J0"), entry("J1"), following="J1"), page(entry("J1"), entry("J2"), following="J3"), page()
    )

    assert [one.query.get("marker") for one in requests] == [None, "J1", "J3"]
    assert set(seen) == {"J0", "J1", "J2"}


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(page(entry("J0")), id="no-next"),
        pytest.param(give({"jobs": [entry("J0")]}), id="no-markers"),
        pytest.param(give({"jobs": [entry("J0")], "markers": "J1"}), id="odd-markers"),
        pytest.param(page(*(entry(f"J{number}") for number in range(20)), following="S"), id="all-found"),
    ],
)
def test_the_last_page_is_the_last_call(last: Reply) -> None:
    requests, seen = survey(jobs(20), last)

    assert len(requests) == 1
    assert "J0" in seen


def test_a_page_that_shows_nothing_new_is_the_last() -> None:
    requests, _ = survey(jobs(40), page(entry("J0"), following="J0"), page(entry("J0"), following="J0"))

    assert len(requests) == 2


def test_no_more_pages_are_read_than_looks_are_spared_for() -> None:
    requests, _ = survey(jobs(30), *(page(entry(f"S{number}"), following="S") for number in range(9)))

    assert len(requests) == 3


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(give({"error_name": "FORBIDDEN"}, 403), AnswerKind.REFUSED, id="forbidden"),
        pytest.param(give({}, 401), AnswerKind.REFUSED, id="unauthorised"),
        pytest.param(give({"error_name": "NOT_FOUND"}, 404), AnswerKind.UNANSWERED, id="not-found"),
        pytest.param(give({}, 429), AnswerKind.BUSY, id="throttled"),
        pytest.param(give({}, 500), AnswerKind.UNANSWERED, id="error"),
        pytest.param(Reply(200, {}, LOGIN), AnswerKind.UNANSWERED, id="login-page"),
        pytest.param(give({"jobs": [{"info": {}}]}), AnswerKind.UNANSWERED, id="entry-without-id"),
    ],
)
def test_a_list_that_cannot_be_used_says_why(reply: Reply, kind: AnswerKind) -> None:
    _, said = survey(jobs(10), reply)

    assert (type(said), said.kind) == (Answer, kind)


def test_what_was_found_before_a_page_failed_stays() -> None:
    """For example, if the job that marks the next page was deleted meanwhile."""
    _, seen = survey(jobs(20), page(entry("J0"), following="J0"), give({"error_name": "NOT_FOUND"}, 404))

    assert set(seen) == {"J0"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["J1", "J2", "RUNNING"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "info", "status"]), inner),
    max_leaves=20,
)


@given(entries=JSON, markers=JSON)
def test_no_list_breaks_a_survey(entries: object, markers: object) -> None:
    _, seen = survey(jobs(10), give({"jobs": entries, "markers": markers}))

    assert isinstance(seen, Answer) or set(seen) <= {"J1", "J2"}
