"""The Sahara adapter's changing calls: the answer to a cancel is a snapshot from before it, and proves nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.backends.exchanges import LOGIN, anything, give, play, replies
from unit.backends.sahara_exchanges import BOTH, EXECUTIONS, JOB, V2, V11, fail, wrapped

from worker.backends.adapter import Reply, call
from worker.backends.sahara import ERRORS, Sahara
from worker.domain.model import Action, Answer, AnswerKind, Observation, Source


def test_v11_cancels_by_a_get_that_no_cache_may_answer() -> None:
    requests, _ = play(V11.change(Action.CANCEL, JOB), give(wrapped("RUNNING")))

    assert [(one.method, one.path, one.json) for one in requests] == [("GET", (*EXECUTIONS, "2de7", "cancel"), None)]
    assert requests[0].headers["Cache-Control"] == "no-store"


def test_v2_cancels_by_a_patch() -> None:
    requests, _ = play(V2.change(Action.CANCEL, JOB), give(wrapped("RUNNING"), 202))

    assert [(one.method, one.path, one.json) for one in requests] == [
        ("PATCH", ("v2", "jobs", "2de7"), {"info": {"status": "cancel"}})
    ]
    assert requests[0].headers["OpenStack-API-Version"] == "data-processing 2.0"


@pytest.mark.parametrize(
    ("sahara", "path"), [(V11, (*EXECUTIONS, "2de7")), (V2, ("v2", "jobs", "2de7"))], ids=["v1.1", "v2"]
)
def test_a_delete_is_one_delete(sahara: Sahara, path: tuple[str, ...]) -> None:
    requests, answer = play(sahara.change(Action.DELETE, JOB), Reply(204))

    assert [(one.method, one.path, one.json) for one in requests] == [("DELETE", path, None)]
    assert answer.kind is AnswerKind.ACCEPTED


@BOTH
@pytest.mark.parametrize(
    ("raw", "final"), [("RUNNING", False), ("SUCCEEDED", True), ("KILLED", True), ("TOBEKILLED", False)]
)
def test_the_answer_to_a_cancel_is_a_snapshot_of_before(sahara: Sahara, raw: Any, *, final: bool) -> None:
    _, answer = play(sahara.change(Action.CANCEL, JOB), give(wrapped(raw), 202 if sahara is V2 else 200))

    assert answer.kind is AnswerKind.ACCEPTED
    assert (answer.before.raw, answer.before.final, answer.before.job_id) == (raw, final, "2de7")


@BOTH
@pytest.mark.parametrize(
    ("body", "raw"),
    [
        pytest.param({"job_execution": {"info": {"status": "RUNNING"}}}, "RUNNING", id="as-in-v1.1"),
        pytest.param({"job": {"info": {"status": "RUNNING"}}}, "RUNNING", id="as-in-v2"),
        pytest.param({"job": {"id": None, "info": {"status": "RUNNING"}}}, "RUNNING", id="null-for-an-id"),
        pytest.param({"job": {"info": {"status": "NEWS"}}}, "NEWS", id="a-new-state"),
        pytest.param({"info": {"status": "running"}}, "running", id="bare"),
        pytest.param({"id": "2de7", "info": {"status": "NEWS"}}, "NEWS", id="bare-with-our-id-and-a-new-state"),
    ],
)
def test_a_snapshot_without_an_id_is_an_answer_to_a_cancel(sahara: Sahara, body: dict[str, Any], raw: Any) -> None:
    _, answer = play(sahara.change(Action.CANCEL, JOB), give(body))

    assert (answer.kind, answer.source, answer.before.raw) == (AnswerKind.ACCEPTED, Source.OWN, raw)


@BOTH
def test_r5_a_cancel_of_a_failed_suspend_does_nothing_so_it_was_rejected(sahara: Sahara) -> None:
    _, answer = play(sahara.change(Action.CANCEL, JOB), give(wrapped("SUSPENDFAILED")))

    assert (answer.kind, answer.source, answer.before.raw) == (AnswerKind.REJECTED, Source.OWN, "SUSPENDFAILED")


@BOTH
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(200), id="empty"),
        pytest.param(Reply(200, {}, LOGIN), id="login-page"),
        pytest.param(give({}), id="another-object"),
        pytest.param(give({"job_execution": {"id": "OTHER", "info": {"status": "SUCCEEDED"}}}), id="A2-another-job"),
        pytest.param(give({"job_execution": {"info": None}}), id="A1-no-state-and-no-id"),
        pytest.param(give({"info": {"status": "maintenance"}}), id="A1-a-servers-state-and-no-id"),
        pytest.param(fail("CANCELING_FAILED", 200), id="A12-an-error"),
        pytest.param(give(wrapped("RUNNING") | {"error": "down"}), id="A12-an-error-beside-it"),
    ],
)
def test_a_cancel_without_a_snapshot_of_our_job_is_unanswered(sahara: Sahara, reply: Reply) -> None:
    answer = play(sahara.change(Action.CANCEL, JOB), reply)[1]

    assert (answer.kind, answer.source, answer.before) == (AnswerKind.UNANSWERED, Source.NOBODY, None)


@BOTH
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(200, {}, LOGIN), id="login-page"),
        pytest.param(fail("DELETION_FAILED", 200), id="A12-an-error"),
        pytest.param(give({}), id="an-object-where-sahara-sends-nothing"),
    ],
)
def test_a_success_with_a_body_is_no_answer_to_a_delete(sahara: Sahara, reply: Reply) -> None:
    assert play(sahara.change(Action.DELETE, JOB), reply)[1].kind is AnswerKind.UNANSWERED


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
    for action in (Action.CANCEL, Action.DELETE):
        answer = play(sahara.change(action, JOB), fail(name, message="no 2de7"))[1]
        assert (answer.kind, answer.source, answer.code, answer.detail) == (kind, Source.OWN, name, "no 2de7")


def test_the_table_has_no_other_names() -> None:
    assert len(ERRORS) == 9


@BOTH
@pytest.mark.parametrize(
    ("reply", "kind", "source"),
    [
        pytest.param(Reply(301, {"location": "http://evil/"}), AnswerKind.UNANSWERED, Source.UNSURE, id="redirect"),
        pytest.param(fail("NEWS", 400), AnswerKind.REJECTED, Source.OWN, id="unknown-name"),
        pytest.param(Reply(400, {}, LOGIN), AnswerKind.REFUSED, Source.UNSURE, id="F3-400-of-nginx"),
        pytest.param(give({}, 401), AnswerKind.REFUSED, Source.CREDENTIAL, id="unauthorised"),
        pytest.param(Reply(403, {}, LOGIN), AnswerKind.REFUSED, Source.UNSURE, id="F3-a-firewalls-page"),
        pytest.param(give({}, 404), AnswerKind.NOT_FOUND, Source.UNSURE, id="404"),
        pytest.param(fail("NOT_FOUND", 404), AnswerKind.NOT_FOUND, Source.UNSURE, id="A3-a-bad-path"),
        pytest.param(fail("NOT_FOUND", 404, "no 2de7"), AnswerKind.NOT_FOUND, Source.OWN, id="our-job"),
        pytest.param(give({}, 410), AnswerKind.NOT_FOUND, Source.UNSURE, id="410"),
        pytest.param(give({}, 429), AnswerKind.BUSY, Source.UNSURE, id="throttled"),
        pytest.param(Reply(503), AnswerKind.UNANSWERED, Source.UNSURE, id="unavailable"),
    ],
)
def test_without_a_known_name_the_status_speaks(sahara: Sahara, reply: Reply, kind: AnswerKind, source: Source) -> None:
    answer = play(sahara.change(Action.CANCEL, JOB), reply)[1]

    assert (answer.kind, answer.source) == (kind, source)


@BOTH
def test_f3_a_forbidden_that_passes_says_when_to_come_back(sahara: Sahara) -> None:
    assert play(sahara.change(Action.CANCEL, JOB), Reply(403, {"retry-after": "2"}))[1].retry_after == 2.0


@BOTH
def test_there_is_no_force(sahara: Sahara) -> None:
    requests, answer = play(call(sahara, Action.FORCE, JOB))

    assert (requests, answer.kind) == ([], AnswerKind.REFUSED)


# anything may come back

KILLED = {"info": {"status": "KILLED"}}
KEYS = ["job_execution", "job", "info", "status", "oozie_job_id", "error_name", "error_message"]
JSON = anything(KEYS)
REPLIES = replies(JSON)


@given(reply=REPLIES, sahara=st.sampled_from([V11, V2]))
def test_no_reply_breaks_an_exchange(reply: Reply, sahara: Sahara) -> None:
    assert isinstance(play(sahara.look(JOB), reply)[1], Observation | Answer)
    assert isinstance(play(sahara.change(Action.CANCEL, JOB), reply)[1], Answer)
    assert isinstance(play(sahara.change(Action.DELETE, JOB), reply)[1], Answer)


@given(data=st.dictionaries(st.sampled_from(KEYS), JSON))
def test_no_field_breaks_a_look(data: dict[str, Any]) -> None:
    assert isinstance(play(V11.look(JOB), give({"job_execution": {**data, **KILLED}}))[1], Observation)
