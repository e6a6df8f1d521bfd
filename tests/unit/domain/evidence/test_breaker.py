"""What counts against a backend as a whole: an answer about one job, even a refusal, is no outage."""

from __future__ import annotations

from typing import Any

import pytest

from worker.domain.evidence.breaker import outage


@pytest.mark.parametrize(
    ("kind", "status", "source", "bad"),
    [
        pytest.param("accepted", 200, "own", False, id="taken"),
        pytest.param("rejected", 400, "own", False, id="R3-the-jobs-state-forbids-it"),
        pytest.param("unanswered", 400, "own", False, id="R3-a-400-about-one-job"),
        pytest.param("unanswered", 408, "own", False, id="R3-a-408-in-its-own-words"),
        pytest.param("unanswered", 499, "own", False, id="R3-the-last-4xx"),
        pytest.param("refused", 403, "own", False, id="refused-in-its-own-words"),
        pytest.param("refused", None, "own", False, id="refused-without-a-call"),
        pytest.param("not_found", 404, "own", False, id="no-such-job-in-its-own-words"),
        pytest.param("busy", 409, "own", False, id="a-lock-on-one-job"),
        pytest.param("busy", 500, "own", False, id="a-job-that-is-still-being-submitted"),
        pytest.param("unanswered", 500, "own", True, id="a-servers-error"),
        pytest.param("unanswered", 503, "own", True, id="unavailable"),
        pytest.param("unanswered", None, "own", True, id="no-status-and-no-word"),
        pytest.param("unanswered", None, "nobody", True, id="no-answer"),
        pytest.param("unanswered", 200, "nobody", True, id="a-success-that-is-not-the-apis"),
        pytest.param("busy", 429, "own", True, id="called-to-slow-down"),
        pytest.param("refused", 429, "own", True, id="called-to-slow-down-in-other-words"),
        pytest.param("not_found", 404, "unsure", True, id="a-404-of-anybody"),
        pytest.param("refused", 403, "unsure", True, id="a-403-of-anybody"),
        pytest.param("refused", 401, "credential", True, id="our-credential-is-refused"),
        pytest.param("busy", None, "nobody", True, id="no-credential-now"),
    ],
)
def test_an_answer_speaks_against_a_backend_unless_it_is_the_apis_own_about_a_job(
    build: Any, kind: str, status: int | None, source: str, *, bad: bool
) -> None:
    assert outage(build.answer(kind, status, source)) is bad


@pytest.mark.parametrize(
    ("source", "unlisted", "bad"),
    [
        pytest.param("own", None, False, id="a-sight"),
        pytest.param("unsure", None, True, id="A3-an-absence-by-anybodys-word"),
        pytest.param("own", ("unanswered", 503, "unsure"), True, id="a-list-of-children-that-fails"),
        pytest.param("own", ("unanswered", 400, "own"), False, id="a-list-that-is-refused-for-this-job"),
    ],
)
def test_a_sight_speaks_against_it_where_it_is_not_the_apis_own_or_the_list_of_children_fails(
    build: Any, source: str, unlisted: tuple[Any, ...] | None, *, bad: bool
) -> None:
    why = build.answer(*unlisted) if unlisted else None

    assert outage(build.seen("gone" if source == "unsure" else "active", source=source, unlisted=why)) is bad
