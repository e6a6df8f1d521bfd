"""The MRS adapter: changing calls, and replies of any kind."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.backends.mrs_exchanges import BOTH, EXECUTION, JOB, JOBS_V2, LOGIN, V2, V11, fail, give, play, v2, v11

from worker.backends.base import Reply
from worker.backends.mrs import ERRORS, Mrs
from worker.model import Answer, AnswerKind, Observation

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
