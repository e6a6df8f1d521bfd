"""The Oracle ML adapter's list: it shows which jobs run, and nothing about others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.backends.exchanges import give, play

from worker.backends.adapter import Reply
from worker.backends.oracle_ml import OracleMl
from worker.domain.model import Answer, AnswerKind, Job

JOBS = [Job(f"J{number}") for number in range(10)]
PATH = ("oml", "api", "r-scripts", "v2", "jobs")


def listing(*entries: object) -> Reply:
    return give({"result": list(entries)})


def survey(reply: Reply) -> Any:
    return play(OracleMl().look_many(JOBS), reply)


def test_the_list_is_one_call() -> None:
    requests, _ = survey(listing())

    assert [(one.method, one.path, one.query) for one in requests] == [("GET", PATH, {})]


def test_a_running_job_is_shown_as_a_look_at_it_would() -> None:
    alone = play(OracleMl().look(JOBS[1]), give({"status": "job is still running"}, 202))[1]
    _, seen = survey(listing({"job_id": "J1", "status": "RUNNING"}, {"job_id": "J99", "status": "RUNNING"}))

    assert seen == {"J1": alone}


@pytest.mark.parametrize("word", ["FINISH", "ERROR", "running", "", None], ids=str)
def test_a_job_of_any_other_word_is_left_out(word: str | None) -> None:
    _, seen = survey(listing({"job_id": "J1", "status": word}, {"job_id": "J2", "status": "RUNNING"}))

    assert set(seen) == {"J2"}


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(give({"result": None}), AnswerKind.UNANSWERED, id="null"),
        pytest.param(give([]), AnswerKind.UNANSWERED, id="bare-list"),
        pytest.param(listing("J1"), AnswerKind.UNANSWERED, id="entry-is-text"),
        pytest.param(listing({"status": "RUNNING"}), AnswerKind.UNANSWERED, id="entry-without-id"),
        pytest.param(listing({"job_id": "J1"}, {"job_id": "J1"}), AnswerKind.UNANSWERED, id="two-of-one-id"),
        pytest.param(Reply(200, {}, b"<html>"), AnswerKind.UNANSWERED, id="login-page"),
        pytest.param(give({}, 400), AnswerKind.UNANSWERED, id="bad-request"),
        pytest.param(give({}, 401), AnswerKind.REFUSED, id="unauthorised"),
        pytest.param(give({}, 500), AnswerKind.UNANSWERED, id="error"),
        pytest.param(give({}, 429), AnswerKind.BUSY, id="throttled"),
    ],
)
def test_a_list_that_cannot_be_used_says_why(reply: Reply, kind: AnswerKind) -> None:
    _, said = survey(reply)

    assert (type(said), said.kind) == (Answer, kind)


JSON = st.recursive(
    st.none() | st.booleans() | st.sampled_from(["J1", "RUNNING", "FINISH"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["job_id", "status"]), inner),
    max_leaves=20,
)


@given(entries=JSON)
def test_no_list_breaks_a_survey(entries: object) -> None:
    _, seen = survey(give({"result": entries}))

    assert isinstance(seen, Answer) or set(seen) <= {"J1"}
