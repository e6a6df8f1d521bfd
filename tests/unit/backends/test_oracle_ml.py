"""The Oracle ML adapter: a status can be the observation, and one code has many meanings."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.backends.exchanges import play

from worker.backends.base import Reply, Request
from worker.backends.oracle_ml import OracleMl
from worker.model import Answer, AnswerKind, Job, JobState, Observation

OML = OracleMl()
JOB = Job("J1")
STOPPED = Job("J1", stop_sent=True)
JOBS = ("oml", "api", "r-scripts", "v2", "jobs")
DATE = "Tue, 18 Feb 2025 17:02:01 GMT GMT"
LOGIN = b"<html>Please log in</html>"
MISSING = {"errorMessage": "job not found with id 'J1'", "errorCode": 1026, "request_id": "OML-7a98"}
RUNNING = {"createdDate": " Feb 18,2025 17:01", "status": "job is still running", "elapsedTime": "00:00:47"}
RESULT = "https://internal/oml/api/r-scripts/v2/jobs/J1/result"


def give(data: object, status: int = 200) -> Reply:
    return Reply(status, {"date": DATE, "content-type": "application/json"}, json.dumps(data).encode())


def look(*replies: Reply, job: Job = JOB) -> tuple[list[Request], Any]:
    return play(OML.look(job), *replies)


def listed(*entries: object) -> Any:
    return look(give({}, 500), give({"result": list(entries)}), job=STOPPED)[1]


def test_its_only_stop_is_its_delete() -> None:
    assert OML.cancel(JOB).gi_code is OML.delete(JOB).gi_code
    assert (OML.steps.cancel_removes, OML.steps.delete_stops, OML.steps.look_before_cancel) == (True, True, True)


def test_any_id_is_taken() -> None:
    assert OML.problem(Job("OML-EBPY-1/../x")) == ""


# looks


def test_a_look_is_one_get() -> None:
    requests, _ = look(give(RUNNING, 202))

    assert [(one.method, one.path, one.json) for one in requests] == [("GET", (*JOBS, "J1"), None)]


def test_a_look_sends_the_service_level_as_the_seed_does() -> None:
    requests, _ = play(OracleMl("py-scripts", "LOW").look(JOB), give(RUNNING, 202))

    assert requests[0].path == ("oml", "api", "py-scripts", "v2", "jobs", "J1")
    assert requests[0].json == {"service": "LOW"}


def test_a_202_is_running() -> None:
    _, seen = look(give(RUNNING, 202))

    assert (seen.state, seen.raw, seen.job_id) == (JobState.ACTIVE, "job is still running", "J1")
    assert seen.clock == datetime(2025, 2, 18, 17, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("data", "status", "state", "raw"),
    [
        pytest.param({}, 202, JobState.ACTIVE, "202", id="202-without-a-word"),
        pytest.param({"status": "queued"}, 202, JobState.ACTIVE, "queued", id="202-another-word"),
        pytest.param({"status": "Job is RUNNING"}, 200, JobState.ACTIVE, "Job is RUNNING", id="200-running"),
        pytest.param({"status": "done"}, 200, JobState.UNKNOWN, "done", id="200-another-word"),
        pytest.param({"result": 1}, 200, JobState.UNKNOWN, "200", id="200-without-a-word"),
        pytest.param({"status": None}, 200, JobState.UNKNOWN, "200", id="200-null"),
    ],
)
def test_an_unexpected_success_is_alive(data: dict[str, Any], status: int, state: Any, raw: Any) -> None:
    _, seen = look(give(data, status))

    assert (seen.state, seen.raw) == (state, raw)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"content-location": RESULT}, id="content-location"),
        pytest.param({"content-location": "http://evil/", "location": "http://evil/"}, id="to-another-host"),
        pytest.param({"location": RESULT}, id="location"),
        pytest.param({}, id="neither"),
    ],
)
def test_a_302_is_finished_and_never_followed(headers: dict[str, str]) -> None:
    requests, seen = look(Reply(302, headers))

    assert len(requests) == 1
    assert (seen.state, seen.raw, seen.final) == (JobState.SUCCEEDED, "FINISH", True)
    assert "success" in seen.detail


def test_a_redirect_to_a_login_page_is_not_finished() -> None:
    assert look(Reply(302, {"location": "https://sso.example.com/login"}, LOGIN))[1].kind is AnswerKind.UNANSWERED


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(MISSING, id="seed"),
        pytest.param({**MISSING, "errorMessage": 'Job Not Found with id "J1"'}, id="other-case-and-quotes"),
        pytest.param({**MISSING, "errorCode": "1026"}, id="code-as-text"),
        pytest.param({"errorMessage": MISSING["errorMessage"]}, id="no-code"),
    ],
)
def test_a_400_that_says_so_is_gone(data: dict[str, Any]) -> None:
    _, seen = look(give(data, 400))

    assert (seen.state, seen.raw) == (JobState.GONE, "job not found")


def test_gone_keeps_what_support_asks_for() -> None:
    _, seen = look(give(MISSING, 400))

    assert seen.facts == {"request_id": "OML-7a98"}
    assert seen.detail == "job not found with id 'J1' (request_id OML-7a98)"


def test_a_404_is_gone() -> None:
    _, seen = look(give({}, 404))

    assert (seen.state, seen.raw, seen.vague) == (JobState.GONE, "404", True)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(Reply(202, {}, LOGIN), AnswerKind.UNANSWERED, id="202-html"),
        pytest.param(Reply(202), AnswerKind.UNANSWERED, id="202-empty"),
        pytest.param(Reply(204), AnswerKind.UNANSWERED, id="no-content"),
        pytest.param(Reply(301, {"location": RESULT}), AnswerKind.UNANSWERED, id="another-redirect"),
        pytest.param(give({**MISSING, "errorMessage": "bad JSON output"}, 400), AnswerKind.UNANSWERED, id="1026-else"),
        pytest.param(give({**MISSING, "errorCode": 7}, 400), AnswerKind.UNANSWERED, id="another-code"),
        pytest.param(Reply(400, {}, LOGIN), AnswerKind.UNANSWERED, id="400-html"),
        pytest.param(give({}, 401), AnswerKind.REFUSED, id="unauthorised"),
        pytest.param(give({}, 403), AnswerKind.REFUSED, id="forbidden"),
        pytest.param(Reply(404, {}, LOGIN), AnswerKind.UNANSWERED, id="proxys-404"),
        pytest.param(give({}, 429), AnswerKind.BUSY, id="throttled"),
        pytest.param(give(MISSING, 500), AnswerKind.UNANSWERED, id="500-may-mean-anything"),
        pytest.param(Reply(503), AnswerKind.UNANSWERED, id="unavailable"),
    ],
)
def test_a_look_that_shows_no_job_says_why(reply: Reply, kind: AnswerKind) -> None:
    requests, answer = look(reply)

    assert len(requests) == 1
    assert (type(answer), answer.kind) == (Answer, kind)


def test_the_list_is_asked_when_the_look_fails_after_our_stop() -> None:
    requests, seen = look(give({}, 500), give({"result": [{"job_id": "J2", "status": "FINISH"}]}), job=STOPPED)

    assert [one.path for one in requests] == [(*JOBS, "J1"), JOBS]
    assert (seen.state, seen.raw) == (JobState.GONE, "not listed")
    assert "no longer names it" in seen.detail


def test_it_is_not_asked_when_the_look_succeeds() -> None:
    assert len(look(give(RUNNING, 202), job=STOPPED)[0]) == 1


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("FINISH", JobState.SUCCEEDED),
        ("RUNNING", JobState.ACTIVE),
        ("ERROR", JobState.UNKNOWN),
        ("killed", JobState.UNKNOWN),
        (None, JobState.UNKNOWN),
    ],
)
def test_a_listed_job_has_ended_only_by_the_one_word_that_is_documented(word: str | None, state: Any) -> None:
    seen = listed({"job_id": "J2", "status": "FINISH"}, {"job_id": "J1", "status": word})

    assert (seen.state, seen.raw) == (state, word or "")


def test_an_empty_list_names_no_job() -> None:
    assert listed().state is JobState.GONE


@pytest.mark.parametrize(
    "listing",
    [
        pytest.param(give({"result": None}), id="null"),
        pytest.param(give({}), id="no-result"),
        pytest.param(give([]), id="bare-list"),
        pytest.param(give({"result": ["J1"]}), id="entry-is-text"),
        pytest.param(give({"result": [{"status": "RUNNING"}]}), id="entry-without-id"),
        pytest.param(give({"result": []}, 500), id="error"),
        pytest.param(Reply(200, {}, LOGIN), id="login-page"),
    ],
)
def test_a_malformed_list_never_means_gone(listing: Reply) -> None:
    _, answer = look(give({"errorMessage": "lookup failed"}, 500), listing, job=STOPPED)

    assert (answer.kind, answer.status, answer.detail) == (AnswerKind.UNANSWERED, 500, "lookup failed")


# the stop


@pytest.mark.parametrize("exchange", [OML.cancel, OML.delete], ids=["cancel", "delete"])
def test_a_stop_is_one_delete(exchange: Any) -> None:
    requests, _ = play(exchange(JOB), give({"result": "job deleted successfully"}))

    assert [(one.method, one.path, one.json) for one in requests] == [("DELETE", (*JOBS, "J1"), None)]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(give({"result": "job deleted successfully"}), AnswerKind.ACCEPTED, id="deleted"),
        pytest.param(give({}, 202), AnswerKind.ACCEPTED, id="any-2xx"),
        pytest.param(Reply(204), AnswerKind.ACCEPTED, id="no-content"),
        pytest.param(Reply(200), AnswerKind.UNANSWERED, id="empty"),
        pytest.param(Reply(200, {}, LOGIN), AnswerKind.UNANSWERED, id="login-page"),
        pytest.param(Reply(302, {"content-location": RESULT}), AnswerKind.UNANSWERED, id="302"),
        pytest.param(give(MISSING, 400), AnswerKind.NOT_FOUND, id="not-found"),
        pytest.param(give({**MISSING, "errorMessage": "bad JSON output"}, 400), AnswerKind.REFUSED, id="1026-else"),
        pytest.param(give({}, 400), AnswerKind.REFUSED, id="bad-request"),
        pytest.param(give({}, 401), AnswerKind.REFUSED, id="unauthorised"),
        pytest.param(give({}, 403), AnswerKind.REFUSED, id="forbidden"),
        pytest.param(give({}, 404), AnswerKind.NOT_FOUND, id="404"),
        pytest.param(give({}, 429), AnswerKind.BUSY, id="throttled"),
        pytest.param(give(MISSING, 500), AnswerKind.UNANSWERED, id="500-may-mean-anything"),
        pytest.param(Reply(502, {}, LOGIN), AnswerKind.UNANSWERED, id="gateway"),
    ],
)
def test_an_answer_is_judged_by_status_and_text_together(reply: Reply, kind: AnswerKind) -> None:
    assert play(OML.cancel(JOB), reply)[1].kind is kind


def test_a_refusal_tells_what_oracle_ml_said() -> None:
    _, answer = play(OML.delete(JOB), give({**MISSING, "errorMessage": "no way"}, 400))

    assert answer == Answer(AnswerKind.REFUSED, 400, "1026", "no way (request_id OML-7a98)")


def test_there_is_no_force() -> None:
    requests, answer = play(OML.force(JOB))

    assert (requests, answer.kind) == ([], AnswerKind.REFUSED)


# anything may come back

KEYS = ["status", "result", "job_id", "errorMessage", "errorCode", "request_id"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=20,
)
BODIES = st.binary() | JSON.map(lambda value: json.dumps(value).encode())
REPLIES = st.builds(Reply, st.sampled_from([200, 202, 204, 302, 400, 404, 500]), st.just({}), BODIES)


@given(replies=st.lists(REPLIES, min_size=1, max_size=3), job=st.sampled_from([JOB, STOPPED]))
def test_no_reply_breaks_an_exchange(replies: list[Reply], job: Job) -> None:
    assert isinstance(play(OML.look(job), *replies)[1], Observation | Answer)
    assert isinstance(play(OML.cancel(job), *replies)[1], Answer)
    assert isinstance(play(OML.delete(job), *replies)[1], Answer)


@given(entries=JSON)
def test_no_list_breaks_a_look(entries: object) -> None:
    _, seen = look(give({}, 500), give({"result": entries}), job=STOPPED)

    assert isinstance(seen, Observation | Answer)
