"""The MRS adapter: both dialects are judged by body and error code, never by a status alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.backends.base import Reply, Request
from worker.backends.mrs import ERRORS, Mrs
from worker.model import Answer, AnswerKind, Job, JobState, Observation

V11 = Mrs("37ca")
V2 = Mrs("37ca", "v2", "C1")
JOB = Job("2de7")
JOBS_V2 = ("v2", "37ca", "clusters", "C1", "job-executions")
DATE = "Thu, 25 May 2017 07:28:13 GMT"
LOGIN = b"<html>Please log in</html>"
EXECUTION = {"job_execution": {"id": "2de7", "job_id": "", "end_time": None, "info": None}}
BOTH = pytest.mark.parametrize("mrs", [V11, V2], ids=["v1.1", "v2"])


def play(exchange: Any, *replies: Reply) -> tuple[list[Request], Any]:
    """Drive an exchange with these replies, the last one repeated; return its requests and its result."""
    requests = []
    try:
        requests.append(next(exchange))
        while True:
            requests.append(exchange.send(replies[min(len(requests), len(replies)) - 1]))
    except StopIteration as end:
        return requests, end.value


def give(data: object, status: int = 200) -> Reply:
    return Reply(status, {"date": DATE, "content-type": "application/json"}, json.dumps(data).encode())


def fail(code: object, status: int = 500, message: str | None = "no") -> Reply:
    return give({"error_code": code, "error_msg": message}, status)


def v11(**data: object) -> Any:
    return play(V11.look(JOB), give({"job_execution": {"id": "2de7", **data}}))[1]


def v2(**data: object) -> Any:
    return play(V2.look(JOB), give({"job_detail": {"job_id": "2de7", **data}}, 202))[1]


# what a command may name


@pytest.mark.parametrize(
    ("mrs", "params", "problem"),
    [
        pytest.param(V11, {}, "", id="v1.1"),
        pytest.param(V2, {}, "", id="v2-configured"),
        pytest.param(Mrs("37ca", "v2"), {"cluster_id": "C2"}, "", id="v2-by-command"),
        pytest.param(Mrs("37ca", "v2"), {}, "params.cluster_id: is needed", id="v2-without"),
        pytest.param(Mrs("37ca", "v2"), {"cluster_id": ""}, "params.cluster_id: is needed", id="v2-empty"),
        pytest.param(V2, {"cluster_id": ".."}, "params.cluster_id: '..' is not", id="v2-parent-folder"),
        pytest.param(V2, {"cluster_id": "."}, "params.cluster_id: '.' is not", id="v2-same-folder"),
    ],
)
def test_v2_needs_a_cluster(mrs: Mrs, params: dict[str, str], problem: str) -> None:
    assert mrs.problem(Job("2de7", params)).startswith(problem)
    assert bool(mrs.problem(Job("2de7", params))) is bool(problem)


def test_a_commands_cluster_goes_before_the_configured_one() -> None:
    requests, _ = play(V2.look(Job("2de7", {"cluster_id": "C2"})), Reply(500))

    assert requests[0].path == ("v2", "37ca", "clusters", "C2", "job-executions", "2de7")


# looks


@pytest.mark.parametrize(
    ("mrs", "path"),
    [
        pytest.param(V11, ("v1.1", "37ca", "job-exes", "2de7"), id="v1.1"),
        pytest.param(V2, (*JOBS_V2, "2de7"), id="v2"),
    ],
)
def test_a_look_asks_the_resource_that_tells_the_state(mrs: Mrs, path: tuple[str, ...]) -> None:
    requests, _ = play(mrs.look(JOB), Reply(500))

    assert [(one.method, one.path) for one in requests] == [("GET", path)]


@pytest.mark.parametrize(
    ("state", "result", "meaning"),
    [
        pytest.param(-1, 0, JobState.CANCELLED, id="terminated"),
        pytest.param(-1, 3, JobState.CANCELLED, id="terminated-and-canceled"),
        pytest.param(1, 0, JobState.ACTIVE, id="starting"),
        pytest.param(2, 0, JobState.ACTIVE, id="running"),
        pytest.param(2, None, JobState.ACTIVE, id="running-no-result"),
        pytest.param("2", "0", JobState.ACTIVE, id="numbers-as-text"),
        pytest.param(3, 0, JobState.UNKNOWN, id="completed-yet-unfinished"),
        pytest.param(3, 1, JobState.FAILED, id="completed-is-no-success"),
        pytest.param(3, 2, JobState.SUCCEEDED, id="completed-well"),
        pytest.param(3, 3, JobState.CANCELLED, id="completed-by-cancel"),
        pytest.param(4, 0, JobState.ACTIVE, id="abnormal"),
        pytest.param(4, 1, JobState.FAILED, id="abnormal-and-over"),
        pytest.param(5, 0, JobState.FAILED, id="error"),
        pytest.param(6, 0, JobState.UNKNOWN, id="unknown-state"),
        pytest.param(2, 4, JobState.UNKNOWN, id="unknown-result"),
        pytest.param(True, 0, JobState.UNKNOWN, id="flag"),
        pytest.param(None, None, JobState.UNKNOWN, id="nothing"),
    ],
)
def test_v11_decides_by_both_numbers(state: Any, result: object, meaning: JobState) -> None:
    assert v11(job_state=state, job_final_status=result).state is meaning


@pytest.mark.parametrize(
    ("state", "result", "meaning"),
    [
        pytest.param("New", "UNDEFINED", JobState.ACTIVE, id="new"),
        pytest.param("NEW_SAVING", "UNDEFINED", JobState.ACTIVE, id="saving"),
        pytest.param("SUBMITTED", "UNDEFINED", JobState.ACTIVE, id="submitted"),
        pytest.param("ACCEPTED", None, JobState.ACTIVE, id="accepted"),
        pytest.param("RUNNING", "UNDEFINED", JobState.ACTIVE, id="running"),
        pytest.param("FINISHED", "UNDEFINED", JobState.UNKNOWN, id="finished-yet-open"),
        pytest.param("FAILED", "UNDEFINED", JobState.FAILED, id="failed"),
        pytest.param("KILLED", "UNDEFINED", JobState.CANCELLED, id="killed"),
        pytest.param("FINISHED", "SUCCEEDED", JobState.SUCCEEDED, id="succeeded"),
        pytest.param("FINISHED", "FAILED", JobState.FAILED, id="finished-badly"),
        pytest.param("FINISHED", "KILLED", JobState.CANCELLED, id="finished-by-kill"),
        pytest.param("PAUSED", "UNDEFINED", JobState.UNKNOWN, id="unknown-state"),
        pytest.param("RUNNING", "MAYBE", JobState.UNKNOWN, id="unknown-result"),
    ],
)
def test_v2_decides_by_the_result(state: Any, result: object, meaning: JobState) -> None:
    assert v2(job_state=state, job_result=result).state is meaning


def test_raw_is_both_words() -> None:
    assert v11(job_state=-1, job_final_status=3).raw == "-1/3"
    assert v2(job_state="FINISHED", job_result="KILLED").raw == "FINISHED/KILLED"
    assert v11(job_state=2).raw == "2"


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize("wrapped", [True, False], ids=["wrapped", "flat"])
def test_a_v2_read_succeeds_with_either_status_and_shape(status: int, *, wrapped: bool) -> None:
    flat = {"job_id": "2de7", "job_state": "RUNNING", "job_result": "UNDEFINED"}

    _, seen = play(V2.look(JOB), give({"job_detail": flat} if wrapped else flat, status))

    assert (seen.state, seen.job_id) == (JobState.ACTIVE, "2de7")
    assert seen.clock == datetime(2017, 5, 25, 7, 28, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("end_time", "moment"),
    [
        pytest.param(1495697292500, datetime(2017, 5, 25, 7, 28, 12, 500000, UTC), id="milliseconds"),
        pytest.param(1495697292, None, id="seconds"),
        pytest.param(0, None, id="zero"),
        pytest.param(-1, None, id="negative"),
        pytest.param(10**30, None, id="out-of-range"),
        pytest.param(True, None, id="flag"),
        pytest.param("2017-05-25T07:28:12", None, id="text-without-zone"),
        pytest.param(None, None, id="null"),
    ],
)
def test_the_end_is_told_in_milliseconds_or_not_at_all(end_time: object, moment: datetime | None) -> None:
    assert v11(job_state=-1, job_final_status=3, end_time=end_time).ended_at == moment
    assert v2(job_state="KILLED", job_result="KILLED", finished_time=end_time).ended_at == moment


def test_facts_are_what_support_asks_for() -> None:
    seen = v11(job_state=3, job_final_status=1, oozie_job_id=None, return_code=0, cluster_id="C1", job_name="x")

    assert seen.facts == {"return_code": "0", "cluster_id": "C1"}


@BOTH
@pytest.mark.parametrize(
    ("reply", "raw"),
    [
        pytest.param(fail("0176", 500), "0176", id="no-such-job-as-500"),
        pytest.param(fail("0176", 400), "0176", id="no-such-job-as-400"),
        pytest.param(fail("0201", 500), "0201", id="no-such-job-2-as-500"),
        pytest.param(fail("0201", 400), "0201", id="no-such-job-2-as-400"),
        pytest.param(fail(176, 500), "0176", id="code-as-number"),
        pytest.param(give({}, 404), "404", id="404"),
    ],
)
def test_a_missing_job_is_gone_whatever_the_status(mrs: Mrs, reply: Reply, raw: Any) -> None:
    _, seen = play(mrs.look(JOB), reply)

    assert (seen.state, seen.raw) == (JobState.GONE, raw)


def test_a_job_is_gone_with_its_cluster() -> None:
    _, seen = play(V2.look(JOB), fail("12000003", 400))

    assert seen.state is JobState.GONE
    assert seen.detail == "the job's cluster does not exist (no)"


def test_a_look_reads_a_failure_that_is_not_valid_json() -> None:
    body = b'{"error_msg":"The job does not exist." "error_code":"0176"}'

    _, seen = play(V2.look(JOB), Reply(500, {}, body))

    assert (seen.state, seen.detail) == (JobState.GONE, "The job does not exist.")


@BOTH
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(give({}), AnswerKind.UNANSWERED, id="no-job"),
        pytest.param(give({"job_detail": None, "job_execution": []}), AnswerKind.UNANSWERED, id="job-is-none"),
        pytest.param(Reply(200, {}, LOGIN), AnswerKind.UNANSWERED, id="login-page"),
        pytest.param(Reply(202), AnswerKind.UNANSWERED, id="empty"),
        pytest.param(Reply(302, {"location": "http://evil/"}), AnswerKind.UNANSWERED, id="redirect"),
        pytest.param(give({}, 400), AnswerKind.UNANSWERED, id="bad-request"),
        pytest.param(give({}, 401), AnswerKind.REFUSED, id="unauthorised"),
        pytest.param(give({}, 403), AnswerKind.REFUSED, id="forbidden"),
        pytest.param(Reply(404, {}, LOGIN), AnswerKind.UNANSWERED, id="proxys-404"),
        pytest.param(fail("APIGW.0101", 404), AnswerKind.REFUSED, id="no-such-api"),
        pytest.param(fail("APIGW.0308", 429), AnswerKind.BUSY, id="throttled"),
        pytest.param(fail("0174", 500), AnswerKind.UNANSWERED, id="query-failed"),
        pytest.param(fail("0160", 500), AnswerKind.UNANSWERED, id="another-calls-code"),
        pytest.param(fail("0180", 500), AnswerKind.BUSY, id="being-submitted"),
        pytest.param(fail("9999", 500), AnswerKind.UNANSWERED, id="unknown-code"),
        pytest.param(Reply(503), AnswerKind.UNANSWERED, id="unavailable"),
    ],
)
def test_a_look_that_shows_no_job_says_why(mrs: Mrs, reply: Reply, kind: AnswerKind) -> None:
    _, answer = play(mrs.look(JOB), reply)

    assert (type(answer), answer.kind) == (Answer, kind)


@pytest.mark.parametrize(
    ("mrs", "code", "setting"),
    [(V11, "12000085", 'set dialect = "v2"'), (V2, "0167", 'set dialect = "v1.1"')],
    ids=["v1.1", "v2"],
)
@pytest.mark.parametrize("status", [400, 500])
def test_the_wrong_dialect_is_refused_with_the_setting_to_change(
    mrs: Mrs, code: Any, setting: str, status: int
) -> None:
    for exchange in (mrs.look, mrs.cancel, mrs.delete):
        _, answer = play(exchange(JOB), fail(code, status))

        assert answer.kind is AnswerKind.REFUSED
        assert setting in answer.detail


# changing calls


def test_v11_cancels_by_a_get_that_no_cache_may_answer() -> None:
    requests, answer = play(V11.cancel(JOB), give(EXECUTION))

    assert [(one.method, one.path, one.json) for one in requests] == [
        ("GET", ("v1.1", "37ca", "job-executions", "2de7", "cancel"), None)
    ]
    assert requests[0].headers["Cache-Control"] == "no-store"
    assert (answer.kind, answer.before) == (AnswerKind.ACCEPTED, None)


def test_v2_cancels_by_a_kill() -> None:
    requests, answer = play(V2.cancel(JOB), Reply(202))

    assert [(one.method, one.path, one.json) for one in requests] == [("POST", (*JOBS_V2, "2de7", "kill"), None)]
    assert answer.kind is AnswerKind.ACCEPTED


def test_v11_deletes_one() -> None:
    requests, answer = play(V11.delete(JOB), Reply(204))

    assert [(one.method, one.path, one.json) for one in requests] == [
        ("DELETE", ("v1.1", "37ca", "job-executions", "2de7"), None)
    ]
    assert answer.kind is AnswerKind.ACCEPTED


def test_v2_deletes_a_batch_of_one() -> None:
    requests, answer = play(V2.delete(JOB), Reply(200))

    assert [(one.method, one.path, one.json) for one in requests] == [
        ("POST", (*JOBS_V2, "batch-delete"), {"job_id_list": ["2de7"]})
    ]
    assert answer.kind is AnswerKind.ACCEPTED


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(200), id="empty"),
        pytest.param(Reply(200, {}, LOGIN), id="login-page"),
        pytest.param(give({}), id="another-object"),
        pytest.param(give({"job_execution": None}), id="null"),
    ],
)
def test_a_v11_cancel_without_its_job_is_unanswered(reply: Reply) -> None:
    assert play(V11.cancel(JOB), reply)[1].kind is AnswerKind.UNANSWERED


@pytest.mark.parametrize("exchange", [V2.cancel, V11.delete, V2.delete], ids=["kill", "delete", "batch-delete"])
def test_a_login_page_is_no_answer(exchange: Any) -> None:
    assert play(exchange(JOB), Reply(200, {}, LOGIN))[1].kind is AnswerKind.UNANSWERED


@BOTH
@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("code", ERRORS)
def test_an_error_code_means_the_same_whatever_the_status(mrs: Mrs, code: Any, status: int) -> None:
    _, answer = play(mrs.cancel(JOB), fail(code, status))

    assert (answer.kind, answer.code, answer.status) == (ERRORS[code][0], code, status)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("0160", AnswerKind.REJECTED),
        ("0175", AnswerKind.REJECTED),
        ("0200", AnswerKind.REJECTED),
        ("0176", AnswerKind.NOT_FOUND),
        ("0180", AnswerKind.BUSY),
        ("0183", AnswerKind.REJECTED),
        ("0161", AnswerKind.UNANSWERED),
        ("0202", AnswerKind.UNANSWERED),
        ("12000001", AnswerKind.REFUSED),
        ("12000064", AnswerKind.REFUSED),
        ("APIGW.0306", AnswerKind.REFUSED),
    ],
)
def test_the_table_says_what_to_do(code: Any, kind: AnswerKind) -> None:
    assert ERRORS[code][0] is kind


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(fail("9999", 400), AnswerKind.REJECTED, id="unknown-400-may-mean-ended"),
        pytest.param(give({}, 404), AnswerKind.NOT_FOUND, id="404"),
        pytest.param(give({}, 405), AnswerKind.REFUSED, id="not-supported"),
        pytest.param(give({}, 409), AnswerKind.BUSY, id="conflict"),
        pytest.param(give({}, 413), AnswerKind.BUSY, id="overload"),
        pytest.param(fail("9999", 500), AnswerKind.UNANSWERED, id="unknown-500"),
    ],
)
@BOTH
def test_without_a_known_code_the_status_speaks(mrs: Mrs, reply: Reply, kind: AnswerKind) -> None:
    assert play(mrs.cancel(JOB), reply)[1].kind is kind


@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [
        pytest.param(
            b'{\n"error_msg":"Failed to terminate the job."\n"error_code":"0175"\n}',
            "0175",
            "Failed to terminate the job.",
            id="missing-comma",
        ),
        pytest.param(b'{"error_code": 175, "error_msg"', "0175", '{"error_code": 175, "error_msg"', id="cut-off"),
    ],
)
def test_a_failure_that_is_not_valid_json_is_read_all_the_same(body: bytes, code: Any, detail: str) -> None:
    _, answer = play(V2.cancel(JOB), Reply(500, {}, body))

    assert answer == Answer(AnswerKind.REJECTED, 500, code, detail)


def test_a_known_code_without_a_text_brings_its_own() -> None:
    assert play(V2.cancel(JOB), fail("12000064", 400, None))[1].detail == "a security cluster has no job API"


@BOTH
def test_there_is_no_force(mrs: Mrs) -> None:
    requests, answer = play(mrs.force(JOB))

    assert (requests, answer.kind) == ([], AnswerKind.REFUSED)


# anything may come back

KEYS = ["job_execution", "job_detail", "job_state", "job_final_status", "job_result", "end_time", "error_code"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=20,
)
BODIES = st.binary() | JSON.map(lambda value: json.dumps(value).encode())
REPLIES = st.builds(Reply, st.sampled_from([200, 202, 204, 302, 400, 404, 500]), st.just({}), BODIES)


@given(reply=REPLIES, mrs=st.sampled_from([V11, V2]))
def test_no_reply_breaks_an_exchange(reply: Reply, mrs: Mrs) -> None:
    assert isinstance(play(mrs.look(JOB), reply)[1], Observation | Answer)
    assert isinstance(play(mrs.cancel(JOB), reply)[1], Answer)
    assert isinstance(play(mrs.delete(JOB), reply)[1], Answer)


@given(data=st.dictionaries(st.sampled_from(KEYS), JSON))
def test_no_field_breaks_a_look(data: dict[str, Any]) -> None:
    assert isinstance(v11(**data), Observation)
    assert isinstance(v2(**data), Observation)
