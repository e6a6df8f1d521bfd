"""The Oracle ML adapter's stop, which is its delete, and replies of any kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.backends.exchanges import LOGIN, anything, give, play, replies
from unit.backends.oml_exchanges import ELSE, JOB, JOBS, MISSING, OML, RESULT, STOPPED, look

from worker.backends.adapter import Reply, call
from worker.domain.model import Action, Answer, AnswerKind, Job, Observation, Source


@pytest.mark.parametrize("action", [Action.CANCEL, Action.DELETE])
def test_a_stop_is_one_delete(action: Action) -> None:
    requests, _ = play(OML.change(action, JOB), give({"result": "job deleted successfully"}))

    assert [(one.method, one.path, one.json) for one in requests] == [("DELETE", (*JOBS, "J1"), None)]


@pytest.mark.parametrize(
    ("reply", "kind", "source"),
    [
        pytest.param(give({"result": "job deleted successfully"}), AnswerKind.ACCEPTED, Source.OWN, id="deleted"),
        pytest.param(Reply(204), AnswerKind.ACCEPTED, Source.OWN, id="no-content"),
        pytest.param(give({}, 202), AnswerKind.UNANSWERED, Source.NOBODY, id="A12-another-object"),
        pytest.param(give({"result": "", **ELSE}), AnswerKind.UNANSWERED, Source.NOBODY, id="A12-an-error-beside-it"),
        pytest.param(give({"result": None}), AnswerKind.UNANSWERED, Source.NOBODY, id="no-result"),
        pytest.param(give({"result": True}), AnswerKind.ACCEPTED, Source.OWN, id="a-flag"),
        pytest.param(give({"result": False}), AnswerKind.ACCEPTED, Source.OWN, id="a-flag-that-is-off"),
        pytest.param(give({"result": {"deleted": 1}}), AnswerKind.ACCEPTED, Source.OWN, id="an-object"),
        pytest.param(
            give({"result": {}, **ELSE}), AnswerKind.UNANSWERED, Source.NOBODY, id="an-error-beside-an-object"
        ),
        pytest.param(Reply(200), AnswerKind.UNANSWERED, Source.NOBODY, id="empty"),
        pytest.param(Reply(200, {}, LOGIN), AnswerKind.UNANSWERED, Source.NOBODY, id="login-page"),
        pytest.param(Reply(302, {"content-location": RESULT}), AnswerKind.UNANSWERED, Source.UNSURE, id="302"),
        pytest.param(give(MISSING, 400), AnswerKind.NOT_FOUND, Source.OWN, id="not-found"),
        pytest.param(
            give({**MISSING, "errorMessage": "job not found with id 'J2'"}, 400),
            AnswerKind.NOT_FOUND,
            Source.UNSURE,
            id="A2-another-job-not-found",
        ),
        pytest.param(give(ELSE, 400), AnswerKind.REFUSED, Source.OWN, id="1026-else"),
        pytest.param(give({}, 400), AnswerKind.REFUSED, Source.UNSURE, id="F3-bad-request-of-anybody"),
        pytest.param(give({}, 401), AnswerKind.REFUSED, Source.CREDENTIAL, id="unauthorised"),
        pytest.param(give({}, 403), AnswerKind.REFUSED, Source.UNSURE, id="F3-forbidden-by-anybody"),
        pytest.param(give({}, 404), AnswerKind.NOT_FOUND, Source.UNSURE, id="404"),
        pytest.param(Reply(404, {}, LOGIN), AnswerKind.NOT_FOUND, Source.UNSURE, id="F2-a-proxys-404"),
        pytest.param(Reply(410), AnswerKind.NOT_FOUND, Source.UNSURE, id="410"),
        pytest.param(give({}, 429), AnswerKind.BUSY, Source.UNSURE, id="throttled"),
        pytest.param(give(MISSING, 500), AnswerKind.UNANSWERED, Source.OWN, id="500-may-mean-anything"),
        pytest.param(Reply(502, {}, LOGIN), AnswerKind.UNANSWERED, Source.UNSURE, id="gateway"),
    ],
)
def test_an_answer_is_judged_by_status_and_text_together(reply: Reply, kind: AnswerKind, source: Source) -> None:
    said = play(OML.change(Action.CANCEL, JOB), reply)[1]

    assert (said.kind, said.source) == (kind, source)


def test_a_refusal_tells_what_oracle_ml_said() -> None:
    _, answer = play(OML.change(Action.DELETE, JOB), give({**MISSING, "errorMessage": "no way"}, 400))

    assert (answer.kind, answer.source, answer.status, answer.code, answer.detail) == (
        AnswerKind.REFUSED,
        Source.OWN,
        400,
        "1026",
        "no way (request_id OML-7a98)",
    )


def test_there_is_no_force() -> None:
    requests, answer = play(call(OML, Action.FORCE, JOB))

    assert (requests, answer.kind) == ([], AnswerKind.REFUSED)


# anything may come back

KEYS = ["status", "result", "job_id", "errorMessage", "errorCode", "request_id"]
JSON = anything(KEYS)
REPLIES = replies(JSON)


@given(replies=st.lists(REPLIES, min_size=1, max_size=3), job=st.sampled_from([JOB, STOPPED]))
def test_no_reply_breaks_an_exchange(replies: list[Reply], job: Job) -> None:
    assert isinstance(play(OML.look(job), *replies)[1], Observation | Answer)
    assert isinstance(play(OML.change(Action.CANCEL, job), *replies)[1], Answer)
    assert isinstance(play(OML.change(Action.DELETE, job), *replies)[1], Answer)


@given(entries=JSON)
def test_no_list_breaks_a_look(entries: object) -> None:
    _, seen = look(give({}, 500), give({"result": entries}), job=STOPPED)

    assert isinstance(seen, Observation | Answer)
