"""The MRS adapter: both dialects are judged by body and error code, never by the HTTP status alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from unit.backends.exchanges import ANYBODYS, CLOCK, LOGIN, give, play
from unit.backends.mrs_exchanges import BOTH, JOB, JOBS_V2, V2, V11, fail, v2, v11

from worker.backends.adapter import Reply
from worker.backends.mrs import Mrs
from worker.domain.model import Action, Answer, AnswerKind, Job, JobState, Source

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


@pytest.mark.parametrize(
    ("mrs", "params", "address"),
    [
        pytest.param(V2, {"cluster_id": "C2"}, "C2", id="v2-another-cluster"),
        pytest.param(V2, {"cluster_id": "C1"}, "", id="v2-the-backends-own-cluster"),
        pytest.param(V2, {"cluster_id": ""}, "", id="v2-empty"),
        pytest.param(V2, {}, "", id="v2-none"),
        pytest.param(Mrs("37ca", "v2"), {"cluster_id": "C1"}, "C1", id="v2-without-a-cluster-of-its-own"),
        pytest.param(V11, {"cluster_id": "C2"}, "", id="v1.1-serves-lists-only"),
    ],
)
def test_a_cluster_is_part_of_the_address_where_it_is_not_the_backends_own(
    mrs: Mrs, params: dict[str, str], address: str
) -> None:
    assert mrs.address(Job("2de7", params)) == address


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


@pytest.mark.parametrize(
    ("results", "meaning", "raw"),
    [
        pytest.param((0, "SUCCEEDED"), JobState.SUCCEEDED, "3/SUCCEEDED", id="A15-unfinished-beside-a-result"),
        pytest.param(("UNDEFINED", "KILLED"), JobState.CANCELLED, "3/KILLED", id="A15-undefined-beside-a-result"),
        pytest.param((3, "UNDEFINED"), JobState.CANCELLED, "3/3", id="a-result-beside-undefined"),
        pytest.param((0, "UNDEFINED"), JobState.UNKNOWN, "3/0", id="neither-is-a-result"),
        pytest.param((None, "FAILED"), JobState.FAILED, "3/FAILED", id="one-alone"),
    ],
)
def test_a_result_counts_in_whichever_of_the_two_fields_it_stands(
    results: tuple[object, object], meaning: JobState, raw: Any
) -> None:
    seen = v11(job_state=3, job_final_status=results[0], job_result=results[1])

    assert (seen.state, seen.raw) == (meaning, raw)


@BOTH
@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param({}, "does not say", id="A1-an-empty-job"),
        pytest.param({"id": "2de7", "job_id": "2de7"}, "does not say", id="A1-without-its-state"),
        pytest.param({"job_state": None, "state": True}, "does not say", id="states-that-are-none"),
        pytest.param({"job_final_status": 3, "job_result": "KILLED"}, "does not say", id="a-result-alone"),
        pytest.param({"id": "OTHER", "job_state": 2}, "another job", id="A2-another-job"),
        pytest.param({"id": "OTHER", "job_id": "OTHER", "job_state": "KILLED"}, "another job", id="A2-another-v2-job"),
        pytest.param({"id": "2de7x", "job_state": 2}, "another job", id="a-longer-id"),
    ],
)
def test_a_job_without_a_state_or_another_one_is_no_sight_of_ours(mrs: Mrs, data: dict[str, Any], why: str) -> None:
    _, said = play(mrs.look(JOB), give({"job_execution": data}))

    assert (said.kind, said.source) == (AnswerKind.UNANSWERED, Source.NOBODY)
    assert why in said.detail


@BOTH
def test_an_error_beside_a_job_is_no_sight_of_it(mrs: Mrs) -> None:
    body = {"job_execution": {"job_state": "KILLED"}, "error_code": "0162", "error_msg": "no"}

    assert play(mrs.look(JOB), give(body))[1].kind is AnswerKind.UNANSWERED


@BOTH
def test_a_job_that_names_no_id_is_taken_for_ours(mrs: Mrs) -> None:
    _, seen = play(mrs.look(JOB), give({"job_execution": {"state": "KILLED"}}))

    assert (seen.state, seen.source, seen.job_id) == (JobState.CANCELLED, Source.OWN, "2de7")


def test_v11s_job_id_is_another_things() -> None:
    assert v11(job_state=2, job_id="JOB-TEMPLATE").state is JobState.ACTIVE


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
    assert seen.clock == CLOCK


@pytest.mark.parametrize(
    ("end_time", "moment"),
    [
        pytest.param(1495697292500, datetime(2017, 5, 25, 7, 28, 12, 500000, UTC), id="milliseconds"),
        pytest.param(1495697292, None, id="seconds"),
        pytest.param(0, None, id="zero"),
        pytest.param(-1, None, id="negative"),
        pytest.param(10**30, None, id="out-of-range"),
        pytest.param(253402300799999, None, id="the-last-moment-of-9999"),
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
        pytest.param(fail("0176", 404), "0176", id="no-such-job-as-404"),
        pytest.param(fail("0176", 403), "0176", id="no-such-job-as-403"),
        pytest.param(fail(176, 500), "0176", id="code-as-number"),
        pytest.param(fail("12000003", 400), "12000003", id="no-such-cluster"),
    ],
)
def test_a_missing_job_is_gone_in_mrss_own_words_whatever_the_status(mrs: Mrs, reply: Reply, raw: Any) -> None:
    _, seen = play(mrs.look(JOB), reply)

    assert (seen.state, seen.raw, seen.source) == (JobState.GONE, raw, Source.OWN)


@BOTH
@pytest.mark.parametrize(
    ("reply", "raw"),
    [
        pytest.param(give({}, 404), "404", id="a-bare-404"),
        pytest.param(Reply(404, {}, LOGIN), "404", id="F2-a-proxys-page"),
        pytest.param(Reply(404, {}, b"default backend - 404"), "404", id="F2-default-backend"),
        pytest.param(fail("APIG.0101", 404), "APIG.0101", id="A3-the-gateway-has-no-such-api"),
        pytest.param(fail("9999", 404), "9999", id="a-code-that-nobody-knows"),
        pytest.param(give({}, 410), "410", id="a-410"),
    ],
)
def test_a_404_or_410_without_such_a_code_is_gone_in_nobodys_words(mrs: Mrs, reply: Reply, raw: Any) -> None:
    _, seen = play(mrs.look(JOB), reply)

    assert (seen.state, seen.raw, seen.source) == (JobState.GONE, raw, Source.UNSURE)


def test_a_job_is_gone_with_its_cluster() -> None:
    _, seen = play(V2.look(JOB), fail("12000003", 400))

    assert seen.state is JobState.GONE
    assert seen.detail == "the job's cluster does not exist (no)"


def test_a_look_reads_a_failure_that_is_not_valid_json() -> None:
    body = b'{"error_msg":"The job does not exist." "error_code":"0176"}'

    _, seen = play(V2.look(JOB), Reply(500, {}, body))

    assert (seen.state, seen.detail) == (JobState.GONE, "The job does not exist.")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"error_code": "0183", "error_code": "0176"}', id="two-codes"),
        pytest.param(b'{"error_code": "0183" "error_code": "0176"', id="two-codes-in-what-is-not-valid-json"),
    ],
)
def test_a_look_believes_neither_of_two_codes(body: bytes) -> None:
    _, said = play(V2.look(JOB), Reply(500, {}, body))

    assert (said.kind, said.source, said.code) == (AnswerKind.UNANSWERED, Source.UNSURE, "")


def test_a_look_believes_no_record_that_gives_two_states() -> None:
    body = b'{"job_detail": {"job_id": "2de7", "job_state": "RUNNING", "job_state": "KILLED"}}'

    _, said = play(V2.look(JOB), Reply(202, {}, body))

    assert (said.kind, said.source) == (AnswerKind.UNANSWERED, Source.NOBODY)


@BOTH
@pytest.mark.parametrize(
    ("reply", "kind", "source"),
    [
        *ANYBODYS,
        pytest.param(give({}), AnswerKind.UNANSWERED, Source.NOBODY, id="no-job"),
        pytest.param(give({"job_detail": None, "job_execution": []}), AnswerKind.UNANSWERED, Source.NOBODY, id="none"),
        pytest.param(Reply(202), AnswerKind.UNANSWERED, Source.NOBODY, id="empty"),
        pytest.param(fail("0162", 200), AnswerKind.UNANSWERED, Source.NOBODY, id="A12-an-error-with-200"),
        pytest.param(fail("9999", 400), AnswerKind.UNANSWERED, Source.OWN, id="R3-bad-request-in-mrss-words"),
        pytest.param(fail("12000001", 400), AnswerKind.REFUSED, Source.CREDENTIAL, id="invalid-authentication"),
        pytest.param(fail("12000002", 401), AnswerKind.REFUSED, Source.CREDENTIAL, id="unauthorised-with-any-code"),
        pytest.param(fail("APIGW.0301", 401), AnswerKind.REFUSED, Source.CREDENTIAL, id="the-gateway-on-the-token"),
        pytest.param(fail("APIGW.0303", 403), AnswerKind.REFUSED, Source.CREDENTIAL, id="and-with-403"),
        pytest.param(fail("12000054", 403), AnswerKind.REFUSED, Source.OWN, id="forbidden-in-mrss-words"),
        pytest.param(fail("APIGW.0302", 403), AnswerKind.REFUSED, Source.UNSURE, id="forbidden-by-the-gateway"),
        pytest.param(fail("APIGW.0101", 404), AnswerKind.REFUSED, Source.UNSURE, id="A3-no-such-api"),
        pytest.param(fail("APIGW.0308", 429), AnswerKind.BUSY, Source.UNSURE, id="throttled"),
        pytest.param(fail("0174", 500), AnswerKind.UNANSWERED, Source.OWN, id="query-failed"),
        pytest.param(fail("0160", 500), AnswerKind.UNANSWERED, Source.OWN, id="another-calls-code"),
        pytest.param(fail("0180", 500), AnswerKind.BUSY, Source.OWN, id="being-submitted"),
        pytest.param(fail("0192", 400), AnswerKind.REFUSED, Source.OWN, id="F9-no-such-user"),
        pytest.param(fail("9999", 500), AnswerKind.UNANSWERED, Source.OWN, id="unknown-code"),
        pytest.param(fail("apigw.0999", 500), AnswerKind.UNANSWERED, Source.UNSURE, id="unknown-code-of-the-gateway"),
    ],
)
def test_a_look_that_shows_no_job_says_why_and_in_whose_words(
    mrs: Mrs, reply: Reply, kind: AnswerKind, source: Source
) -> None:
    _, answer = play(mrs.look(JOB), reply)

    assert (type(answer), answer.kind, answer.source) == (Answer, kind, source)


@pytest.mark.parametrize(
    ("mrs", "code", "setting"),
    [(V11, "12000085", 'set dialect = "v2"'), (V2, "0167", 'set dialect = "v1.1"')],
    ids=["v1.1", "v2"],
)
@pytest.mark.parametrize("status", [400, 500])
def test_the_wrong_dialect_is_refused_with_the_setting_to_change(
    mrs: Mrs, code: Any, setting: str, status: int
) -> None:
    for exchange in (mrs.look(JOB), mrs.change(Action.CANCEL, JOB), mrs.change(Action.DELETE, JOB)):
        _, answer = play(exchange, fail(code, status))

        assert answer.kind is AnswerKind.REFUSED
        assert setting in answer.detail
