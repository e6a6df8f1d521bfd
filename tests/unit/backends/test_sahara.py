"""The Sahara adapter: the answer to a cancel is a snapshot of before, and proves nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.backends.exchanges import play

from worker.backends.base import Reply
from worker.backends.sahara import ERRORS, STATES, Sahara
from worker.model import Answer, AnswerKind, Job, JobState, Observation

V11 = Sahara("37ca")
V2 = Sahara("37ca", "v2")
JOB = Job("2de7")
EXECUTIONS = ("v1.1", "37ca", "job-executions")
DATE = "Thu, 25 May 2017 07:28:13 GMT"
LOGIN = b"<html>Please log in</html>"
BOTH = pytest.mark.parametrize("sahara", [V11, V2], ids=["v1.1", "v2"])


def give(data: object, status: int = 200) -> Reply:
    return Reply(status, {"date": DATE, "content-type": "application/json"}, json.dumps(data).encode())


def fail(name: str, status: int = 400, message: str = "no") -> Reply:
    return give({"error_code": status, "error_name": name, "error_message": message}, status)


def wrapped(state: object, **more: object) -> dict[str, Any]:
    return {"job_execution": {"id": "2de7", "info": {"status": state}, **more}}


def seen(state: object, **more: object) -> Any:
    return play(V11.look(JOB), give(wrapped(state, **more)))[1]


@BOTH
def test_any_id_is_taken(sahara: Sahara) -> None:
    assert sahara.problem(Job("a b/../c?x=1#y")) == ""


# looks


def test_v11_lets_sahara_ask_its_engine_first() -> None:
    requests, _ = play(V11.look(JOB), give(wrapped("RUNNING")))

    assert [(one.method, one.path) for one in requests] == [("GET", (*EXECUTIONS, "2de7", "refresh-status"))]


def test_v2_reads_the_job_and_names_its_version() -> None:
    requests, _ = play(V2.look(JOB), give(wrapped("RUNNING")))

    assert [(one.method, one.path, one.query) for one in requests] == [("GET", ("v2", "jobs", "2de7"), {})]
    assert requests[0].headers["OpenStack-API-Version"] == "data-processing 2.0"


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        ("PENDING", JobState.ACTIVE),
        ("READYTORUN", JobState.ACTIVE),
        ("PREP", JobState.ACTIVE),
        ("RUNNING", JobState.ACTIVE),
        ("TOBEKILLED", JobState.CANCELLING),
        ("TOBESUSPENDED", JobState.ACTIVE),
        ("SUSPENDED", JobState.ACTIVE),
        ("PREPSUSPENDED", JobState.ACTIVE),
        ("SUCCEEDED", JobState.SUCCEEDED),
        ("FAILED", JobState.FAILED),
        ("KILLED", JobState.CANCELLED),
        ("DONEWITHERROR", JobState.FAILED),
        ("SUSPENDFAILED", JobState.FAILED),
        ("VAPORIZED", JobState.UNKNOWN),
        ("", JobState.UNKNOWN),
    ],
)
def test_each_word_has_one_meaning(raw: Any, state: Any) -> None:
    one = seen(raw)

    assert (one.state, one.raw, one.job_id) == (state, raw, "2de7")
    assert one.clock == datetime(2017, 5, 25, 7, 28, 13, tzinfo=UTC)


def test_only_a_failed_suspend_proves_nothing() -> None:
    assert [state for state in STATES if not seen(state).verified] == ["SUSPENDFAILED"]


@pytest.mark.parametrize("info", [None, "KILLED", [], {}, {"status": None}, {"status": 1.5}])
def test_a_job_without_a_state_is_unknown(info: object) -> None:
    _, one = play(V11.look(JOB), give({"job_execution": {"info": info}}))

    assert (one.state, one.raw) == (JobState.UNKNOWN, "")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"job_execution": {"info": {"status": "KILLED"}}}, id="job-execution"),
        pytest.param({"job": {"info": {"status": "KILLED"}}}, id="job"),
        pytest.param({"id": "2de7", "info": {"status": "KILLED"}}, id="bare"),
    ],
)
def test_a_job_is_found_in_every_wrapping(data: dict[str, Any]) -> None:
    assert play(V2.look(JOB), give(data))[1].state is JobState.CANCELLED


def test_facts_are_what_support_asks_for_and_times_without_a_zone_prove_nothing() -> None:
    one = seen("KILLED", oozie_job_id="O-1", return_code=None, cluster_id="C1", end_time="2017-05-25T07:28:12")

    assert one.facts == {"oozie_job_id": "O-1", "cluster_id": "C1"}
    assert one.ended_at is None


@BOTH
@pytest.mark.parametrize(
    ("reply", "raw"),
    [pytest.param(fail("NOT_FOUND", 404), "NOT_FOUND", id="by-name"), pytest.param(give({}, 404), "404", id="bare")],
)
def test_a_missing_job_is_gone(sahara: Sahara, reply: Reply, raw: Any) -> None:
    _, one = play(sahara.look(JOB), reply)

    assert (one.state, one.raw) == (JobState.GONE, raw)


@BOTH
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(give({}), AnswerKind.UNANSWERED, id="no-job"),
        pytest.param(give({"job_execution": None}), AnswerKind.UNANSWERED, id="job-is-none"),
        pytest.param(Reply(200, {}, LOGIN), AnswerKind.UNANSWERED, id="login-page"),
        pytest.param(Reply(200), AnswerKind.UNANSWERED, id="empty"),
        pytest.param(Reply(302, {"location": "http://evil/"}), AnswerKind.UNANSWERED, id="redirect"),
        pytest.param(give({}, 400), AnswerKind.UNANSWERED, id="bad-request"),
        pytest.param(give({}, 401), AnswerKind.REFUSED, id="unauthorised"),
        pytest.param(fail("FORBIDDEN", 403), AnswerKind.REFUSED, id="forbidden"),
        pytest.param(Reply(404, {}, LOGIN), AnswerKind.UNANSWERED, id="proxys-404"),
        pytest.param(fail("NOT_ACCEPTABLE", 406), AnswerKind.REFUSED, id="version"),
        pytest.param(give({}, 429), AnswerKind.BUSY, id="throttled"),
        pytest.param(fail("INTERNAL_SERVER_ERROR", 500), AnswerKind.UNANSWERED, id="error"),
        pytest.param(Reply(503), AnswerKind.UNANSWERED, id="unavailable"),
    ],
)
def test_a_look_that_shows_no_job_says_why(sahara: Sahara, reply: Reply, kind: AnswerKind) -> None:
    _, answer = play(sahara.look(JOB), reply)

    assert (type(answer), answer.kind) == (Answer, kind)


# changing calls


def test_v11_cancels_by_a_get_that_no_cache_may_answer() -> None:
    requests, _ = play(V11.cancel(JOB), give(wrapped("RUNNING")))

    assert [(one.method, one.path, one.json) for one in requests] == [("GET", (*EXECUTIONS, "2de7", "cancel"), None)]
    assert requests[0].headers["Cache-Control"] == "no-store"


def test_v2_cancels_by_a_patch() -> None:
    requests, _ = play(V2.cancel(JOB), give(wrapped("RUNNING"), 202))

    assert [(one.method, one.path, one.json) for one in requests] == [
        ("PATCH", ("v2", "jobs", "2de7"), {"info": {"status": "cancel"}})
    ]
    assert requests[0].headers["OpenStack-API-Version"] == "data-processing 2.0"


@pytest.mark.parametrize(
    ("sahara", "path"), [(V11, (*EXECUTIONS, "2de7")), (V2, ("v2", "jobs", "2de7"))], ids=["v1.1", "v2"]
)
def test_a_delete_is_one_delete(sahara: Sahara, path: tuple[str, ...]) -> None:
    requests, answer = play(sahara.delete(JOB), Reply(204))

    assert [(one.method, one.path, one.json) for one in requests] == [("DELETE", path, None)]
    assert answer.kind is AnswerKind.ACCEPTED


@BOTH
@pytest.mark.parametrize(
    ("raw", "final"), [("RUNNING", False), ("SUCCEEDED", True), ("KILLED", True), ("TOBEKILLED", False)]
)
def test_the_answer_to_a_cancel_is_a_snapshot_of_before(sahara: Sahara, raw: Any, *, final: bool) -> None:
    _, answer = play(sahara.cancel(JOB), give(wrapped(raw), 202 if sahara is V2 else 200))

    assert answer.kind is AnswerKind.ACCEPTED
    assert (answer.before.raw, answer.before.final, answer.before.job_id) == (raw, final, "2de7")


@BOTH
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(200), id="empty"),
        pytest.param(Reply(200, {}, LOGIN), id="login-page"),
        pytest.param(give({}), id="another-object"),
    ],
)
def test_a_cancel_without_its_snapshot_is_unanswered(sahara: Sahara, reply: Reply) -> None:
    assert play(sahara.cancel(JOB), reply)[1].kind is AnswerKind.UNANSWERED


@BOTH
def test_a_login_page_is_no_answer_to_a_delete(sahara: Sahara) -> None:
    assert play(sahara.delete(JOB), Reply(200, {}, LOGIN))[1].kind is AnswerKind.UNANSWERED


@BOTH
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("CANCELING_FAILED", AnswerKind.REFUSED),
        ("DELETION_FAILED", AnswerKind.REFUSED),
        ("UPDATE_FAILED", AnswerKind.REFUSED),
        ("INVALID_JOB_STATUS", AnswerKind.REJECTED),
        ("INVALID_PARAMS_ON_REQUEST", AnswerKind.REFUSED),
        ("FORBIDDEN", AnswerKind.REFUSED),
        ("NOT_FOUND", AnswerKind.NOT_FOUND),
        ("NOT_ACCEPTABLE", AnswerKind.REFUSED),
        ("INTERNAL_SERVER_ERROR", AnswerKind.UNANSWERED),
    ],
)
def test_an_error_name_says_what_to_do(sahara: Sahara, name: str, kind: AnswerKind) -> None:
    for exchange in (sahara.cancel, sahara.delete):
        assert play(exchange(JOB), fail(name))[1] == Answer(kind, 400, name, "no")


def test_the_table_has_no_other_names() -> None:
    assert len(ERRORS) == 9


@BOTH
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(Reply(301, {"location": "http://evil/"}), AnswerKind.UNANSWERED, id="redirect"),
        pytest.param(fail("NEWS", 400), AnswerKind.REFUSED, id="unknown-name"),
        pytest.param(give({}, 401), AnswerKind.REFUSED, id="unauthorised"),
        pytest.param(give({}, 404), AnswerKind.NOT_FOUND, id="404"),
        pytest.param(give({}, 429), AnswerKind.BUSY, id="throttled"),
        pytest.param(Reply(503), AnswerKind.UNANSWERED, id="unavailable"),
    ],
)
def test_without_a_known_name_the_status_speaks(sahara: Sahara, reply: Reply, kind: AnswerKind) -> None:
    assert play(sahara.cancel(JOB), reply)[1].kind is kind


@BOTH
def test_there_is_no_force(sahara: Sahara) -> None:
    requests, answer = play(sahara.force(JOB))

    assert (requests, answer.kind) == ([], AnswerKind.REFUSED)


# anything may come back

KEYS = ["job_execution", "job", "info", "status", "oozie_job_id", "error_name", "error_message"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=20,
)
BODIES = st.binary() | JSON.map(lambda value: json.dumps(value).encode())
REPLIES = st.builds(Reply, st.sampled_from([200, 202, 204, 302, 400, 404, 500]), st.just({}), BODIES)


@given(reply=REPLIES, sahara=st.sampled_from([V11, V2]))
def test_no_reply_breaks_an_exchange(reply: Reply, sahara: Sahara) -> None:
    assert isinstance(play(sahara.look(JOB), reply)[1], Observation | Answer)
    assert isinstance(play(sahara.cancel(JOB), reply)[1], Answer)
    assert isinstance(play(sahara.delete(JOB), reply)[1], Answer)


@given(data=st.dictionaries(st.sampled_from(KEYS), JSON))
def test_no_field_breaks_a_look(data: dict[str, Any]) -> None:
    assert isinstance(play(V11.look(JOB), give({"job_execution": data}))[1], Observation)
