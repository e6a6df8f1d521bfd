"""The Oracle ML adapter's look: a status can be the observation, and one code has many meanings."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from unit.backends.exchanges import LOGIN, give, play
from unit.backends.oml_exchanges import DATE, ELSE, JOB, JOBS, MISSING, OML, RESULT, RUNNING, STOPPED, listed, look

from worker.backends.adapter import Reply
from worker.backends.oracle_ml import OracleMl
from worker.domain.model import Action, Answer, AnswerKind, Job, JobState, Source


def test_its_only_stop_is_its_delete() -> None:
    assert next(OML.change(Action.CANCEL, JOB)) == next(OML.change(Action.DELETE, JOB))
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
    _, seen = look(give(RUNNING, 202, DATE))

    assert (seen.state, seen.raw, seen.source, seen.job_id) == (
        JobState.ACTIVE,
        "job is still running",
        Source.OWN,
        "J1",
    )
    assert seen.clock == datetime(2025, 2, 18, 17, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("data", "status", "state", "raw"),
    [
        pytest.param({"status": "running"}, 202, JobState.ACTIVE, "running", id="202-running"),
        pytest.param({"status": "FINISH"}, 202, JobState.SUCCEEDED, "FINISH", id="202-finish"),
        pytest.param({"status": "job failed"}, 202, JobState.UNKNOWN, "job failed", id="202-failed"),
        pytest.param({"status": "FINISHED"}, 202, JobState.UNKNOWN, "FINISHED", id="202-finished"),
        pytest.param({"status": "job was stopped"}, 202, JobState.UNKNOWN, "job was stopped", id="202-stopped"),
        pytest.param({"status": "queued"}, 202, JobState.ACTIVE, "queued", id="202-another-word"),
        pytest.param({"status": "suspended"}, 202, JobState.ACTIVE, "suspended", id="202-suspended"),
        pytest.param(
            {"status": "job is still running, 40% complete"},
            202,
            JobState.ACTIVE,
            "job is still running, 40% complete",
            id="202-running-so-far",
        ),
        pytest.param(
            {"status": "job is running; 0 errors"},
            202,
            JobState.ACTIVE,
            "job is running; 0 errors",
            id="202-running-without-errors",
        ),
        pytest.param(
            {"status": "running (incomplete)"},
            202,
            JobState.ACTIVE,
            "running (incomplete)",
            id="202-running-incomplete",
        ),
        pytest.param(
            {"status": "queued, incomplete"}, 202, JobState.ACTIVE, "queued, incomplete", id="202-part-of-a-word"
        ),
        pytest.param({"status": "JOB_FAILED"}, 202, JobState.UNKNOWN, "JOB_FAILED", id="202-failed-in-a-name"),
        pytest.param({"status": "job succeeded"}, 202, JobState.UNKNOWN, "job succeeded", id="202-succeeded"),
        pytest.param({"status": "job has errored"}, 202, JobState.UNKNOWN, "job has errored", id="202-errored"),
        pytest.param(
            {"status": "was running; killed"}, 202, JobState.UNKNOWN, "was running; killed", id="202-was-running"
        ),
        pytest.param(
            {"status": "runningjob done"}, 202, JobState.UNKNOWN, "runningjob done", id="202-another-beginning"
        ),
        pytest.param(
            {"status": "job is running; 0 errors"},
            200,
            JobState.UNKNOWN,
            "job is running; 0 errors",
            id="200-running-and-more",
        ),
        pytest.param({"status": "not running yet"}, 202, JobState.ACTIVE, "not running yet", id="202-waiting"),
        pytest.param(
            {"status": "job is still running"}, 200, JobState.ACTIVE, "job is still running", id="200-pending"
        ),
        pytest.param({"status": "Job is RUNNING."}, 200, JobState.ACTIVE, "Job is RUNNING.", id="200-is-running"),
        pytest.param(
            {"status": "the job J1 is running"}, 200, JobState.ACTIVE, "the job J1 is running", id="200-our-job-runs"
        ),
        pytest.param({"status": "running", "job_id": "J1"}, 200, JobState.ACTIVE, "running", id="200-running-by-id"),
        pytest.param(
            {"status": "running", "elapsedTime": "00:01"}, 200, JobState.ACTIVE, "running", id="200-running-for-a-while"
        ),
        pytest.param({"status": "running"}, 200, JobState.UNKNOWN, "running", id="200-running-like-any-service"),
        pytest.param(
            {"status": "Server is running."}, 200, JobState.UNKNOWN, "Server is running.", id="200-a-healthy-server"
        ),
        pytest.param({"status": "no job is running"}, 200, JobState.UNKNOWN, "no job is running", id="200-no-job"),
        pytest.param({"status": "FINISH"}, 200, JobState.SUCCEEDED, "FINISH", id="200-finish"),
        pytest.param({"status": "finish"}, 200, JobState.SUCCEEDED, "finish", id="200-finish-in-small-letters"),
        pytest.param({"status": "done"}, 200, JobState.UNKNOWN, "done", id="200-another-word"),
        pytest.param({"status": "not running"}, 200, JobState.UNKNOWN, "not running", id="200-not-running"),
        pytest.param(
            {"status": "job is no longer running"}, 200, JobState.UNKNOWN, "job is no longer running", id="no"
        ),
        pytest.param({"status": "ok", "job_id": "J1"}, 200, JobState.UNKNOWN, "ok", id="200-that-names-our-job"),
    ],
)
def test_a_success_that_has_a_status_is_read_by_it(data: dict[str, Any], status: int, state: Any, raw: Any) -> None:
    _, seen = look(give(data, status))

    assert (seen.state, seen.raw, seen.source) == (state, raw, Source.OWN)


@pytest.mark.parametrize(
    ("data", "status", "why"),
    [
        pytest.param({"message": "scheduled maintenance"}, 200, "does not say", id="A1-maintenance"),
        pytest.param({"result": [1]}, 200, "does not say", id="A1-F11-the-result-of-a-302-that-a-proxy-followed"),
        pytest.param({}, 202, "does not say", id="A1-202-without-a-status"),
        pytest.param({"status": None}, 202, "does not say", id="202-null"),
        pytest.param({"status": ["running"]}, 202, "does not say", id="202-list"),
        pytest.param({"status": 200, "error": "down"}, 200, "does not say", id="A12-an-error-body"),
        pytest.param({**RUNNING, "job_id": "J2"}, 202, "another job", id="A2-another-job"),
        pytest.param({**RUNNING, "jobId": "J2"}, 202, "another job", id="A2-another-job-in-another-key"),
    ],
)
def test_a_success_without_a_status_of_our_job_is_no_sight_of_it(data: dict[str, Any], status: int, why: str) -> None:
    _, said = look(give(data, status))

    assert (said.kind, said.source, said.status) == (AnswerKind.UNANSWERED, Source.NOBODY, status)
    assert why in said.detail


def test_error_keys_without_a_value_hide_no_status() -> None:
    assert look(give({**RUNNING, "errorMessage": None, "errorCode": None}, 202))[1].state is JobState.ACTIVE


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"content-location": RESULT}, id="content-location"),
        pytest.param({"location": RESULT}, id="location"),
        pytest.param({"content-location": RESULT, "location": "https://sso/login"}, id="content-location-goes-first"),
        pytest.param({"content-location": "/jobs/J1/result"}, id="path-alone"),
        pytest.param({"content-location": f"{RESULT}/?x=1"}, id="slash-and-query"),
        pytest.param({"content-location": RESULT.replace("J1", "%4A1")}, id="encoded"),
        pytest.param({"content-location": f"{RESULT}#top"}, id="fragment"),
        pytest.param({"content-location": f"{RESULT};jsessionid=0A1B"}, id="session"),
        pytest.param({"location": f"{RESULT};jsessionid=0A1B"}, id="session-in-the-location"),
        pytest.param({"content-location": f"{RESULT};jsessionid=0A1B/;v=1?x=1"}, id="session-slash-and-query"),
        pytest.param({"content-location": RESULT.replace("J1", "J1;jsessionid=0A1B")}, id="session-of-the-job"),
        pytest.param({"content-location": RESULT.replace("/jobs", ";v=1;w=2/jobs;x")}, id="parameters-everywhere"),
    ],
)
def test_a_302_that_names_our_jobs_result_is_finished_and_never_followed(headers: dict[str, str]) -> None:
    requests, seen = look(Reply(302, {**headers, "date": DATE}))

    assert len(requests) == 1
    assert (seen.state, seen.raw, seen.source, seen.final) == (JobState.SUCCEEDED, "FINISH", Source.OWN, True)
    assert seen.clock is not None
    assert "whether it succeeded" in seen.detail


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"location": "https://sso.example.com/login"}, id="login-page"),
        pytest.param({"content-location": "http://evil/", "location": "http://evil/"}, id="another-host"),
        pytest.param({"location": "https://sso/login?to=/jobs/J1/result"}, id="our-result-in-a-query"),
        pytest.param({"location": "https://sso/login;to=/jobs/J1/results"}, id="our-results-in-a-parameter"),
        pytest.param({"location": "https://sso/login#/jobs/J1/result"}, id="our-result-in-a-fragment"),
        pytest.param({"location": RESULT.removesuffix("/result")}, id="the-job-itself"),
        pytest.param({"location": RESULT.replace("J1", ";J1")}, id="a-parameter-of-no-job"),
        pytest.param({"location": RESULT.replace("J1", "J2;J1")}, id="another-jobs-result-with-a-parameter"),
        pytest.param({"location": RESULT.replace("J1", "J2")}, id="A2-another-jobs-result"),
        pytest.param({}, id="neither-header"),
    ],
)
def test_a_302_that_does_not_name_our_jobs_result_is_no_sight_of_it(headers: dict[str, str]) -> None:
    _, said = look(Reply(302, headers, LOGIN))

    assert (type(said), said.kind) == (Answer, AnswerKind.UNANSWERED)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(MISSING, id="seed"),
        pytest.param({**MISSING, "errorMessage": 'Job Not Found with id "J1"'}, id="other-case-and-quotes"),
        pytest.param({**MISSING, "errorCode": "1026"}, id="code-as-text"),
        pytest.param({"errorMessage": MISSING["errorMessage"]}, id="our-id-and-no-code"),
        pytest.param({**MISSING, "errorMessage": "job not found"}, id="the-code-and-no-id"),
    ],
)
def test_a_400_that_says_so_in_oracle_mls_own_words_is_gone(data: dict[str, Any]) -> None:
    _, seen = look(give(data, 400))

    assert (seen.state, seen.raw, seen.source) == (JobState.GONE, "job not found", Source.OWN)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"errorMessage": "job not found"}, id="neither-code-nor-id"),
        pytest.param({**MISSING, "errorMessage": "job not found with id 'J2'"}, id="A2-another-job"),
        pytest.param({**MISSING, "errorMessage": "job not found with id 'J12'"}, id="a-longer-id"),
        pytest.param({**MISSING, "errorMessage": "J1: job not found with id 'J2'"}, id="ours-in-another-place"),
    ],
)
def test_a_400_that_may_be_about_another_job_is_gone_in_nobodys_words(data: dict[str, Any]) -> None:
    _, seen = look(give(data, 400))

    assert (seen.state, seen.raw, seen.source) == (JobState.GONE, "job not found", Source.UNSURE)


def test_gone_keeps_what_support_asks_for() -> None:
    _, seen = look(give(MISSING, 400))

    assert seen.facts == {"request_id": "OML-7a98"}
    assert seen.detail == "job not found with id 'J1' (request_id OML-7a98)"


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(give({}, 404), id="A3-a-bare-404"),
        pytest.param(Reply(404, {}, LOGIN), id="F2-a-proxys-page"),
        pytest.param(Reply(404, {}, b"default backend - 404"), id="F2-default-backend"),
        pytest.param(give({"message": "no Route matched"}, 404), id="A3-kong"),
        pytest.param(give(MISSING, 404), id="oracle-mls-words-with-a-status-that-it-never-gives"),
        pytest.param(Reply(410), id="a-410"),
    ],
)
def test_a_404_or_410_is_gone_in_nobodys_words(reply: Reply) -> None:
    _, seen = look(reply)

    assert (seen.state, seen.raw, seen.source) == (JobState.GONE, str(reply.status), Source.UNSURE)


@pytest.mark.parametrize(
    ("reply", "kind", "source"),
    [
        pytest.param(Reply(202, {}, LOGIN), AnswerKind.UNANSWERED, Source.NOBODY, id="202-html"),
        pytest.param(Reply(202), AnswerKind.UNANSWERED, Source.NOBODY, id="202-empty"),
        pytest.param(Reply(204), AnswerKind.UNANSWERED, Source.NOBODY, id="no-content"),
        pytest.param(Reply(301, {"location": RESULT}), AnswerKind.UNANSWERED, Source.UNSURE, id="another-redirect"),
        pytest.param(give(ELSE, 400), AnswerKind.UNANSWERED, Source.OWN, id="R3-1026-else"),
        pytest.param(give({**MISSING, "errorCode": 7}, 400), AnswerKind.UNANSWERED, Source.OWN, id="R3-another-code"),
        pytest.param(Reply(400, {}, LOGIN), AnswerKind.UNANSWERED, Source.UNSURE, id="400-html"),
        pytest.param(give({}, 401), AnswerKind.REFUSED, Source.CREDENTIAL, id="unauthorised"),
        pytest.param(give(ELSE, 401), AnswerKind.REFUSED, Source.CREDENTIAL, id="unauthorised-in-oracle-mls-words"),
        pytest.param(give({}, 403), AnswerKind.REFUSED, Source.UNSURE, id="F3-forbidden-by-anybody"),
        pytest.param(give(ELSE, 403), AnswerKind.REFUSED, Source.OWN, id="forbidden-in-oracle-mls-words"),
        pytest.param(give({}, 429), AnswerKind.BUSY, Source.UNSURE, id="throttled"),
        pytest.param(give(MISSING, 500), AnswerKind.UNANSWERED, Source.OWN, id="500-may-mean-anything"),
        pytest.param(Reply(503), AnswerKind.UNANSWERED, Source.UNSURE, id="unavailable"),
    ],
)
def test_a_look_that_shows_no_job_says_why_and_in_whose_words(reply: Reply, kind: AnswerKind, source: Source) -> None:
    requests, answer = look(reply)

    assert len(requests) == 1
    assert (type(answer), answer.kind, answer.source) == (Answer, kind, source)


def test_the_list_is_asked_when_the_look_fails_after_our_stop() -> None:
    requests, seen = look(give({}, 500), give({"result": [{"job_id": "J2", "status": "FINISH"}]}), job=STOPPED)

    assert [one.path for one in requests] == [(*JOBS, "J1"), JOBS]
    assert (seen.state, seen.raw, seen.source) == (JobState.GONE, "not listed", Source.UNSURE)
    assert "no longer names it" in seen.detail


def test_it_is_not_asked_when_the_look_succeeds() -> None:
    assert len(look(give(RUNNING, 202), job=STOPPED)[0]) == 1


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("FINISH", JobState.SUCCEEDED),
        ("RUNNING", JobState.ACTIVE),
        ("running", JobState.ACTIVE),
        ("ERROR", JobState.UNKNOWN),
        ("killed", JobState.UNKNOWN),
        ("job is still running", JobState.UNKNOWN),
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
