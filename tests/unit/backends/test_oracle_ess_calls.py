"""The ESS adapter: changing calls, and replies of any kind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.backends.ess_exchanges import CALLS, EMPTY, ESS, JOB, REQUESTS, page
from unit.backends.exchanges import LOGIN, anything, give, play, replies

from worker.backends.adapter import Reply
from worker.backends.oracle_ess_words import FIELDS
from worker.domain.model import Action, Answer, AnswerKind, Job, Observation, Source


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [
        ("cancel", "POST", ("4711", "cancel")),
        ("force", "POST", ("4711", "forceCancel")),
        ("delete", "DELETE", ("4711",)),
    ],
)
def test_a_changing_call_is_one_request_without_a_body(name: str, method: str, path: tuple[str, ...]) -> None:
    requests, _ = play(ESS.change(Action(name), JOB), give({}))

    assert [(one.method, one.path, one.json) for one in requests] == [(method, (*REQUESTS, *path), None)]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(give({"href": "http://evil/", "rel": "self"}), AnswerKind.ACCEPTED, id="link"),
        pytest.param(give({}), AnswerKind.ACCEPTED, id="empty-link"),
        pytest.param(Reply(200), AnswerKind.ACCEPTED, id="no-link"),
        pytest.param(Reply(204), AnswerKind.ACCEPTED, id="no-content"),
        pytest.param(give({"links": [{"rel": "self", "href": "/4711"}]}), AnswerKind.ACCEPTED, id="links"),
        pytest.param(give({"rel": "self", "error": None}), AnswerKind.ACCEPTED, id="link-without-an-error"),
        pytest.param(give({"requestId": 4711, "links": []}), AnswerKind.ACCEPTED, id="our-request"),
        pytest.param(give({"requestId": 4712, "links": []}), AnswerKind.UNANSWERED, id="another-request"),
        pytest.param(
            give({"title": "Internal Server Error", "status": 500, "errorCode": "ESS-00500"}),
            AnswerKind.UNANSWERED,
            id="ess's-own-error",
        ),
        pytest.param(give({"errorCode": "ESS-00500", "links": []}), AnswerKind.UNANSWERED, id="error-with-links"),
        pytest.param(give({"fault": "unavailable", "links": []}), AnswerKind.UNANSWERED, id="fault-with-links"),
        pytest.param(give({"error": "unavailable"}), AnswerKind.UNANSWERED, id="error"),
        pytest.param(give({"message": "maintenance"}), AnswerKind.UNANSWERED, id="message"),
        pytest.param(give({"status": "ok"}), AnswerKind.UNANSWERED, id="anybody's"),
        pytest.param(give([]), AnswerKind.UNANSWERED, id="list"),
        pytest.param(give(None), AnswerKind.UNANSWERED, id="null"),
        pytest.param(Reply(200, {}, LOGIN), AnswerKind.UNANSWERED, id="login-page"),
        pytest.param(Reply(307, {"location": "http://evil/"}), AnswerKind.UNANSWERED, id="redirect"),
        pytest.param(give({"errorCode": "ESS-00500"}, 400), AnswerKind.REJECTED, id="unsupported-state"),
        pytest.param(give({}, 400), AnswerKind.REFUSED, id="anybodys-400"),
        pytest.param(give({}, 401), AnswerKind.REFUSED, id="unauthorised"),
        pytest.param(give({}, 403), AnswerKind.REFUSED, id="forbidden"),
        pytest.param(give({}, 404), AnswerKind.NOT_FOUND, id="not-found"),
        pytest.param(give({}, 405), AnswerKind.REFUSED, id="not-supported"),
        pytest.param(give({}, 429), AnswerKind.BUSY, id="throttled"),
        pytest.param(give({}, 500), AnswerKind.UNANSWERED, id="server-error"),
        pytest.param(give({}, 503), AnswerKind.UNANSWERED, id="unavailable"),
    ],
)
def test_an_answer_is_judged_alike_for_every_call(name: str, reply: Reply, kind: AnswerKind) -> None:
    assert play(ESS.change(Action(name), JOB), reply)[1].kind is kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [("cancel", AnswerKind.BUSY), ("force", AnswerKind.REJECTED), ("delete", AnswerKind.BUSY)],
)
def test_a_conflict_is_a_lock_but_for_a_force_it_may_mean_too_early(name: str, kind: AnswerKind) -> None:
    assert play(ESS.change(Action(name), JOB), give({"errorCode": "ESS-00500"}, 409))[1].kind is kind


@pytest.mark.parametrize(
    ("code", "kind", "source"),
    [
        pytest.param("ESS-00500", AnswerKind.REJECTED, Source.OWN, id="ess"),
        pytest.param("ESS-01050", AnswerKind.REJECTED, Source.OWN, id="another-of-ess"),
        pytest.param("1026", AnswerKind.REFUSED, Source.UNSURE, id="somebody-elses"),
        pytest.param("", AnswerKind.REFUSED, Source.UNSURE, id="empty"),
        pytest.param(None, AnswerKind.REFUSED, Source.UNSURE, id="none"),
    ],
)
def test_the_error_code_is_told_and_shows_who_speaks(code: Any, kind: AnswerKind, source: Source) -> None:
    _, answer = play(
        ESS.change(Action.CANCEL, JOB), give({"errorCode": code, "title": "Bad Request", "detail": "too late"}, 400)
    )

    assert (answer.kind, answer.source, answer.code, answer.detail) == (kind, source, code or "", "too late")


def test_without_a_detail_the_title_is_told() -> None:
    assert play(ESS.change(Action.CANCEL, JOB), give({"title": "Bad Request"}, 400))[1].detail == "Bad Request"


# anything may come back

FIELD_NAMES = FIELDS.split(",")
JSON = anything([*FIELD_NAMES, "items", "count", "errorCode", "detail"], "PAUSED", "1")
REPLIES = replies(JSON)


@given(replies=st.lists(REPLIES, min_size=1, max_size=3))
def test_no_reply_breaks_an_exchange(replies: list[Reply]) -> None:
    assert isinstance(play(ESS.look(JOB), *replies)[1], Observation | Answer)
    for name in CALLS:
        assert isinstance(play(ESS.change(Action(name), JOB), *replies)[1], Answer)


@given(data=st.dictionaries(st.sampled_from(FIELD_NAMES), JSON), item=JSON)
def test_no_field_breaks_a_look(data: dict[str, Any], item: object) -> None:
    paused = give({**data, "state": "PAUSED"})
    known = Job(JOB.id, living=("1", "2", "3"), pages=1, long=True)

    for job in (JOB, known):
        assert isinstance(play(ESS.look(job), paused, page(item), EMPTY)[1], Observation | Answer)
    ours = give({**data, "requestId": int(JOB.id), "state": "PAUSED"})
    assert isinstance(play(ESS.look(JOB), ours, page({**data, "requestId": 1}), EMPTY)[1], Observation)
