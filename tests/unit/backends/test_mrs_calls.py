"""The MRS adapter: changing calls, and replies of any kind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.backends.exchanges import LOGIN, anything, give, play, replies
from unit.backends.mrs_exchanges import BOTH, EXECUTION, JOB, JOBS_V2, V2, V11, fail, v2, v11

from worker.backends.adapter import Reply, call
from worker.backends.mrs import ERRORS, Mrs
from worker.domain.model import Action, Answer, AnswerKind, Observation, Source

# changing calls


def test_v11_cancels_by_a_get_that_no_cache_may_answer() -> None:
    requests, answer = play(V11.change(Action.CANCEL, JOB), give(EXECUTION))

    assert [(one.method, one.path, one.json) for one in requests] == [
        ("GET", ("v1.1", "37ca", "job-executions", "2de7", "cancel"), None)
    ]
    assert requests[0].headers["Cache-Control"] == "no-store"
    assert (answer.kind, answer.before) == (AnswerKind.ACCEPTED, None)


def test_v2_cancels_by_a_kill() -> None:
    requests, answer = play(V2.change(Action.CANCEL, JOB), Reply(202))

    assert [(one.method, one.path, one.json) for one in requests] == [("POST", (*JOBS_V2, "2de7", "kill"), None)]
    assert answer.kind is AnswerKind.ACCEPTED


def test_v11_deletes_one() -> None:
    requests, answer = play(V11.change(Action.DELETE, JOB), Reply(204))

    assert [(one.method, one.path, one.json) for one in requests] == [
        ("DELETE", ("v1.1", "37ca", "job-executions", "2de7"), None)
    ]
    assert answer.kind is AnswerKind.ACCEPTED


def test_v2_deletes_a_batch_of_one() -> None:
    requests, answer = play(V2.change(Action.DELETE, JOB), Reply(200))

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
        pytest.param(give({"job_execution": {}}), id="an-empty-job"),
        pytest.param(give({"job_execution": {"message": "scheduled maintenance"}}), id="a-job-without-an-id"),
        pytest.param(give({"state": "maintenance"}), id="A1-a-servers-state"),
        pytest.param(give({"job_execution": {"id": "OTHER"}}), id="A2-another-job"),
        pytest.param(give({"job_execution": {"id": "OTHER", "state": "RUNNING"}}), id="A2-another-jobs-state"),
        pytest.param(give({"job_execution": {"state": "RUNNING"}, "error": "down"}), id="A12-an-error-beside-a-state"),
        pytest.param(fail("0160", 200), id="A12-an-error"),
        pytest.param(give({**EXECUTION, "error_code": "0160"}), id="A12-an-error-beside-the-job"),
    ],
)
def test_a_v11_cancel_without_our_job_is_unanswered(reply: Reply) -> None:
    said = play(V11.change(Action.CANCEL, JOB), reply)[1]

    assert (said.kind, said.source) == (AnswerKind.UNANSWERED, Source.NOBODY)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"job_execution": {"state": "RUNNING"}}, id="a-state"),
        pytest.param({"job_execution": {"job_state": 2}}, id="a-number"),
        pytest.param({"job_execution": {"id": None, "job_id": "x", "job_state": -1}}, id="null-for-an-id"),
        pytest.param({"job_execution": {"state": "NEWS"}}, id="a-new-state"),
        pytest.param({"state": "running"}, id="bare"),
        pytest.param({"id": "2de7", "state": "NEWS"}, id="bare-with-our-id-and-a-new-state"),
    ],
)
def test_a_state_without_another_jobs_id_is_an_answer_to_a_v11_cancel(body: dict[str, Any]) -> None:
    assert play(V11.change(Action.CANCEL, JOB), give(body))[1].kind is AnswerKind.ACCEPTED


@pytest.mark.parametrize(
    ("mrs", "action"),
    [(V2, Action.CANCEL), (V11, Action.DELETE), (V2, Action.DELETE)],
    ids=["kill", "delete", "batch-delete"],
)
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(Reply(202), AnswerKind.ACCEPTED, id="empty"),
        pytest.param(give({}), AnswerKind.ACCEPTED, id="an-empty-object"),
        pytest.param(give({"message": None, "job_execution": None}), AnswerKind.ACCEPTED, id="only-nulls"),
        pytest.param(give({"job_id": "2de7"}), AnswerKind.ACCEPTED, id="our-job_id"),
        pytest.param(give({"id": "2de7", "message": "ok"}), AnswerKind.ACCEPTED, id="our-id"),
        pytest.param(give({"job_execution": {"job_id": "2de7"}}), AnswerKind.ACCEPTED, id="our-id-in-a-record"),
        pytest.param(give({"job_id": "OTHER"}), AnswerKind.UNANSWERED, id="A2-another-job"),
        pytest.param(
            give({"job_id": "2de7", "error_code": "0175"}), AnswerKind.UNANSWERED, id="A12-an-error-beside-it"
        ),
        pytest.param(give({"message": "scheduled maintenance"}), AnswerKind.UNANSWERED, id="A1-maintenance"),
        pytest.param(give({"status": "ok"}), AnswerKind.UNANSWERED, id="anybody's"),
        pytest.param(Reply(200, {}, LOGIN), AnswerKind.UNANSWERED, id="login-page"),
        pytest.param(fail("0175", 200), AnswerKind.UNANSWERED, id="A12-an-error"),
        pytest.param(give({"error": "down"}), AnswerKind.UNANSWERED, id="A12-another-error"),
        pytest.param(give([]), AnswerKind.UNANSWERED, id="a-list"),
    ],
)
def test_a_success_was_taken_only_if_its_body_says_nothing_or_names_our_job(
    mrs: Mrs, action: Action, reply: Reply, kind: AnswerKind
) -> None:
    assert play(mrs.change(action, JOB), reply)[1].kind is kind


@pytest.mark.parametrize(
    ("mrs", "body"), [(V11, {"id": "2de7", "job_id": "x"}), (V2, {"job_id": "2de7", "id": "x"})], ids=["v1.1", "v2"]
)
def test_a_delete_is_answered_by_a_record_that_has_another_name_too(mrs: Mrs, body: dict[str, Any]) -> None:
    assert play(mrs.change(Action.DELETE, JOB), give(body))[1].kind is AnswerKind.ACCEPTED


@BOTH
@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("code", ERRORS)
def test_an_error_code_means_the_same_whatever_the_status(mrs: Mrs, code: Any, status: int) -> None:
    _, answer = play(mrs.change(Action.CANCEL, JOB), fail(code, status))

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
        ("0192", AnswerKind.REFUSED),
        ("APIGW.0306", AnswerKind.REFUSED),
    ],
)
def test_the_table_says_what_to_do(code: Any, kind: AnswerKind) -> None:
    assert ERRORS[code][0] is kind


@pytest.mark.parametrize(
    ("reply", "kind", "source"),
    [
        pytest.param(fail("9999", 400), AnswerKind.REJECTED, Source.OWN, id="unknown-400-may-mean-ended"),
        pytest.param(give({}, 400), AnswerKind.REJECTED, Source.UNSURE, id="400-of-anybody"),
        pytest.param(give({}, 401), AnswerKind.REFUSED, Source.CREDENTIAL, id="unauthorised"),
        pytest.param(give({}, 403), AnswerKind.REFUSED, Source.UNSURE, id="F3-forbidden-by-anybody"),
        pytest.param(give({}, 404), AnswerKind.NOT_FOUND, Source.UNSURE, id="404"),
        pytest.param(Reply(404, {}, LOGIN), AnswerKind.NOT_FOUND, Source.UNSURE, id="F2-a-proxys-404"),
        pytest.param(fail("9999", 404), AnswerKind.NOT_FOUND, Source.UNSURE, id="404-with-an-unknown-code"),
        pytest.param(fail("APIG.0101", 404), AnswerKind.NOT_FOUND, Source.UNSURE, id="A3-404-of-the-gateway"),
        pytest.param(give({}, 405), AnswerKind.REFUSED, Source.UNSURE, id="not-supported"),
        pytest.param(give({}, 409), AnswerKind.BUSY, Source.UNSURE, id="conflict"),
        pytest.param(give({}, 410), AnswerKind.NOT_FOUND, Source.UNSURE, id="410"),
        pytest.param(give({}, 413), AnswerKind.BUSY, Source.UNSURE, id="overload"),
        pytest.param(fail("9999", 500), AnswerKind.UNANSWERED, Source.OWN, id="unknown-500"),
    ],
)
@BOTH
def test_without_a_known_code_the_status_speaks(mrs: Mrs, reply: Reply, kind: AnswerKind, source: Source) -> None:
    said = play(mrs.change(Action.CANCEL, JOB), reply)[1]

    assert (said.kind, said.source) == (kind, source)


@BOTH
@pytest.mark.parametrize("status", [400, 403, 404, 500])
@pytest.mark.parametrize(
    ("code", "source"),
    [
        ("0176", Source.OWN),
        ("0201", Source.OWN),
        ("0192", Source.OWN),
        ("12000003", Source.OWN),
        ("12000001", Source.CREDENTIAL),
        ("APIGW.0301", Source.CREDENTIAL),
        ("APIGW.0303", Source.CREDENTIAL),
        ("APIGW.0101", Source.UNSURE),
        ("APIGW.0302", Source.UNSURE),
        ("APIGW.0305", Source.UNSURE),
        ("APIGW.0306", Source.UNSURE),
        ("APIGW.0308", Source.UNSURE),
    ],
)
def test_a_known_code_says_whose_words_they_are_whatever_the_status(
    mrs: Mrs, code: Any, status: int, source: Source
) -> None:
    assert play(mrs.change(Action.CANCEL, JOB), fail(code, status))[1].source is source


@pytest.mark.parametrize("status", [200, 400, 429, 500])
def test_retry_after_is_kept_whatever_the_status(status: int) -> None:
    assert play(V2.change(Action.CANCEL, JOB), Reply(status, {"retry-after": "30"}, LOGIN))[1].retry_after == 30.0


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
    _, answer = play(V2.change(Action.CANCEL, JOB), Reply(500, {}, body))

    assert answer == Answer(AnswerKind.REJECTED, Source.OWN, 500, code, detail)


def test_a_known_code_without_a_text_brings_its_own() -> None:
    assert (
        play(V2.change(Action.CANCEL, JOB), fail("12000064", 400, None))[1].detail
        == "a security cluster has no job API"
    )


@BOTH
def test_there_is_no_force(mrs: Mrs) -> None:
    requests, answer = play(call(mrs, Action.FORCE, JOB))

    assert (requests, answer.kind) == ([], AnswerKind.REFUSED)


# anything may come back

KEYS = ["job_execution", "job_detail", "job_state", "job_final_status", "job_result", "end_time", "error_code"]
JSON = anything(KEYS)
REPLIES = replies(JSON)


@given(reply=REPLIES, mrs=st.sampled_from([V11, V2]))
def test_no_reply_breaks_an_exchange(reply: Reply, mrs: Mrs) -> None:
    assert isinstance(play(mrs.look(JOB), reply)[1], Observation | Answer)
    assert isinstance(play(mrs.change(Action.CANCEL, JOB), reply)[1], Answer)
    assert isinstance(play(mrs.change(Action.DELETE, JOB), reply)[1], Answer)


@given(data=st.dictionaries(st.sampled_from(KEYS), JSON), state=st.sampled_from(["2", "KILLED"]))
def test_no_field_breaks_a_look(data: dict[str, Any], state: str) -> None:
    assert isinstance(v11(**{**data, "job_state": state}), Observation)
    assert isinstance(v2(**{**data, "job_state": state}), Observation)
