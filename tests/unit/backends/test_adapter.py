"""What all adapters share: statuses, and the keys and names in bodies, have one meaning."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.backends.exchanges import play

from worker.backends.adapter import (
    Adapter,
    Reply,
    about_another,
    answer,
    call,
    common_answer,
    names,
    redirect,
    seen_nothing,
    taken,
    tells_error,
    unseen,
    unusable,
)
from worker.backends.mrs import Mrs
from worker.backends.oracle_ess import OracleEss
from worker.backends.oracle_ml import OracleMl
from worker.backends.sahara import Sahara
from worker.domain.model import Action, Answer, AnswerKind, Job, JobState, Observation, Source

DATE = "Tue, 18 Feb 2025 17:01:05 GMT"
THEN = datetime(2025, 2, 18, 17, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        pytest.param(400, AnswerKind.REJECTED, id="otherwise"),
        pytest.param(403, AnswerKind.REFUSED, id="forbidden"),
        pytest.param(404, AnswerKind.NOT_FOUND, id="not-found"),
        pytest.param(408, AnswerKind.UNANSWERED, id="request-timeout"),
        pytest.param(409, AnswerKind.BUSY, id="conflict"),
        pytest.param(410, AnswerKind.NOT_FOUND, id="gone"),
        pytest.param(429, AnswerKind.BUSY, id="throttled"),
        pytest.param(500, AnswerKind.UNANSWERED, id="error"),
        pytest.param(503, AnswerKind.UNANSWERED, id="unavailable"),
        pytest.param(504, AnswerKind.UNANSWERED, id="gateway-timeout"),
    ],
)
def test_a_status_has_one_common_meaning(status: int, kind: AnswerKind) -> None:
    told = common_answer(Reply(status, {"retry-after": "3"}, b"why"), AnswerKind.REJECTED, Source.OWN, code="C")

    assert told == Answer(kind, Source.OWN, status, "C", "why", 3.0)


@pytest.mark.parametrize("source", [Source.OWN, Source.UNSURE])
def test_a_401_is_a_refusal_of_the_credential_in_whatever_words(source: Source) -> None:
    told = common_answer(Reply(401), AnswerKind.REJECTED, source)

    assert (told.kind, told.source) == (AnswerKind.REFUSED, Source.CREDENTIAL)


@pytest.mark.parametrize(("kind", "source"), [("refused", Source.CREDENTIAL), ("not_found", Source.OWN)])
def test_what_an_api_says_beside_a_401_is_about_the_credential_only_if_it_refuses(kind: str, source: Source) -> None:
    assert answer(Reply(401), AnswerKind(kind), Source.OWN).source is source


@pytest.mark.parametrize("status", [200, 400, 403, 404, 429, 503])
def test_an_answer_keeps_retry_after_and_the_clock_of_any_status(status: int) -> None:
    reply = Reply(status, {"retry-after": "3", "date": DATE})
    told = answer(reply, AnswerKind.BUSY, Source.OWN)

    assert (told.retry_after, told.clock) == (3.0, THEN)


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 399])
@pytest.mark.parametrize(
    ("said", "told"),
    [("", "HTTP {} to login.example.com/sso"), ("moved", "HTTP {} to login.example.com/sso; moved")],
    ids=["alone", "with-the-apis-text"],
)
def test_a_3xx_is_unanswered_and_says_where_it_points(status: int, said: str, told: str) -> None:
    reply = Reply(status, {"location": "https://login.example.com/sso?ticket=hunter2"}, b"<html>Moved</html>")

    assert common_answer(reply, AnswerKind.REJECTED, Source.UNSURE, code="C", detail=said) == Answer(
        AnswerKind.UNANSWERED, Source.UNSURE, status, "C", told.format(status)
    )


UNREADABLE = "HTTP 302 to an address that can't be read"


@pytest.mark.parametrize(
    ("location", "told"),
    [
        pytest.param("https://login.example.com/sso?ticket=hunter2", "HTTP 302 to login.example.com/sso", id="query"),
        pytest.param("https://login.example.com/sso#hunter2", "HTTP 302 to login.example.com/sso", id="fragment"),
        pytest.param("https://scott:hunter2@h:8443/sso", "HTTP 302 to h:8443/sso", id="user"),
        pytest.param("https://scott:hunter2@h", "HTTP 302 to h", id="user-without-a-path"),
        pytest.param("//scott:hunter2@h/sso", "HTTP 302 to h/sso", id="no-scheme"),
        pytest.param("/\\scott:hunter2@h/sso", "HTTP 302 to h/sso", id="backslash"),
        pytest.param("https:/scott:hunter2@h/sso", "HTTP 302 to h/sso", id="one-slash"),
        pytest.param("https:scott:hunter2@h/sso", "HTTP 302 to h/sso", id="no-slash"),
        pytest.param("https://scott:hun/ter2@h/sso", UNREADABLE, id="slash-in-a-password"),
        pytest.param("https://scott:hunter2", UNREADABLE, id="password-without-a-host"),
        pytest.param("https://h/sso;jsessionid=hunter2", "HTTP 302 to h/sso", id="session-in-the-path"),
        pytest.param("https://h/sso%3Fticket=hunter2", "HTTP 302 to h/sso", id="encoded-query"),
        pytest.param("https://h/%3bhunter2", "HTTP 302 to h/", id="encoded-session"),
        pytest.param("https://h/to/scott:hunter2@x/sso", "HTTP 302 to h/to/", id="address-in-the-path"),
        pytest.param("https://h/to/scott%40x", "HTTP 302 to h/to/", id="encoded-address-in-the-path"),
        pytest.param("https://a/x, https://scott:hunter2@b/y", "HTTP 302 to a/x,", id="said-twice"),
        pytest.param("/sso?ticket=hunter2", "HTTP 302 to /sso", id="path"),
        pytest.param("sso/next", "HTTP 302 to sso/next", id="relative-path"),
        pytest.param("scott:hunter2@h/sso", "HTTP 302 to h/sso", id="user-without-a-scheme"),
        pytest.param("?ticket=hunter2", "HTTP 302", id="query-alone"),
        pytest.param("", "HTTP 302", id="empty"),
        pytest.param("http://[::1]:80/sso", "HTTP 302 to [::1]:80/sso", id="ipv6"),
        pytest.param("http://[", UNREADABLE, id="no-url"),
        pytest.param("https://", UNREADABLE, id="no-host"),
        pytest.param("javascript:alert(1)", UNREADABLE, id="script"),
        pytest.param("https://bücher.example/\x1b[31m", "HTTP 302 to bücher.example/ [31m", id="not-printable"),
        pytest.param("https://h/" + "x" * 70_000, "HTTP 302 to h/" + "x" * 185, id="long"),
    ],
)
def test_a_redirect_is_told_by_host_and_path_alone(location: str, told: str) -> None:
    assert redirect(Reply(302, {"location": location})) == told


@pytest.mark.parametrize("status", [302, 308])
@pytest.mark.parametrize(
    "adapter",
    [OracleEss(), OracleMl(), Mrs("P"), Mrs("P", "v2", "C"), Sahara("P")],
    ids=["ess", "oml", "v1", "v2", "sahara"],
)
def test_a_look_and_a_cancel_that_are_redirected_say_where_to(adapter: Adapter, status: int) -> None:
    reply = Reply(status, {"location": "https://login.example.com/sso?x=hunter2"})
    said = [play(exchange, reply)[1] for exchange in (adapter.look(Job("1")), adapter.change(Action.CANCEL, Job("1")))]

    assert [(one.kind, one.detail) for one in said] == [
        (AnswerKind.UNANSWERED, f"HTTP {status} to login.example.com/sso")
    ] * 2


def test_a_redirect_to_nowhere_is_told_by_its_status() -> None:
    assert redirect(Reply(304)) == "HTTP 304"


@given(location=st.text())
def test_where_a_redirect_points_is_a_short_printable_line(location: str) -> None:
    told = redirect(Reply(302, {"location": location}))

    assert told.isprintable()
    assert len(told) < 200


@pytest.mark.parametrize(
    ("fits", "kind", "source", "detail"),
    [
        pytest.param(True, AnswerKind.ACCEPTED, Source.OWN, "", id="what-the-api-gives"),
        pytest.param(False, AnswerKind.UNANSWERED, Source.NOBODY, "<html>", id="A12-anything-else"),
    ],
)
def test_a_success_of_a_changing_call_was_taken_only_if_its_body_is_the_apis(
    kind: AnswerKind, source: Source, detail: str, *, fits: bool
) -> None:
    assert taken(Reply(200, {}, b"<html>"), fits=fits) == Answer(kind, source, 200, "", detail)


@pytest.mark.parametrize(
    ("data", "tells"),
    [
        pytest.param({"title": "no", "status": 500, "errorCode": "ESS-1"}, True, id="A12-ess"),
        pytest.param({"error_code": "0160", "error_msg": "no"}, True, id="A12-mrs"),
        pytest.param({"error_name": "NOT_FOUND", "error_message": "no"}, True, id="A12-sahara"),
        pytest.param({"errorMessage": "no"}, True, id="oml"),
        pytest.param({"error": {"code": 500}}, True, id="A12-error"),
        pytest.param({"Errors": ["no"]}, True, id="in-capitals"),
        pytest.param({"fault": "no"}, True, id="fault"),
        pytest.param({"error": None, "errorCode": 0, "errors": [], "error_msg": ""}, False, id="keys-without-a-value"),
        pytest.param({"status": "job is still running"}, False, id="no-such-key"),
        pytest.param({}, False, id="empty"),
    ],
)
def test_a_body_tells_of_an_error_by_its_keys_whatever_the_status(data: dict[str, Any], *, tells: bool) -> None:
    assert tells_error(data) is tells


@pytest.mark.parametrize(
    ("named", "another"),
    [
        pytest.param(("J",), False, id="ours"),
        pytest.param((), False, id="none-is-asked-for"),
        pytest.param((None, ""), False, id="none-is-named"),
        pytest.param((["J"],), True, id="a-list"),
        pytest.param(({"id": "J"},), True, id="an-object"),
        pytest.param((True,), True, id="a-flag"),
        pytest.param((7.5,), True, id="a-fraction"),
        pytest.param(("OTHER",), True, id="A2-another"),
        pytest.param((None, "OTHER"), True, id="another-in-a-second-place"),
        pytest.param(("J", "OTHER"), True, id="ours-and-another"),
        pytest.param(("j",), True, id="in-another-case"),
        pytest.param(("J" + "x" * 600,), True, id="longer-than-an-id-can-be"),
    ],
)
def test_a_reply_that_names_a_job_must_name_ours(named: tuple[object, ...], *, another: bool) -> None:
    assert about_another(Job("J"), *named) is another


@pytest.mark.parametrize(("job_id", "named"), [("7", 7), (" J ", " J "), ("J" * 512, "J" * 512)], ids=str)
def test_an_id_is_ours_however_a_reply_writes_it(job_id: str, named: object) -> None:
    assert not about_another(Job(job_id), named)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        pytest.param("Job execution '2de7' not found", True, id="in-quotes"),
        pytest.param("2de7", True, id="alone"),
        pytest.param("no job 2de7.", True, id="before-a-stop"),
        pytest.param("no job 2de79", False, id="as-the-start-of-another"),
        pytest.param("no job 12de7", False, id="as-the-end-of-another"),
        pytest.param("no job 2de7-1", False, id="as-a-part-of-another"),
        pytest.param("no such job", False, id="not-at-all"),
    ],
)
def test_a_text_names_our_job_as_a_word_of_its_own(written: str, *, told: bool) -> None:
    assert names(Job("2de7"), written) is told


def test_an_id_is_no_pattern() -> None:
    assert not names(Job("J.1"), "no job Jx1")


@pytest.mark.parametrize(
    ("judged", "told"),
    [
        (AnswerKind.BUSY, AnswerKind.BUSY),
        (AnswerKind.REFUSED, AnswerKind.REFUSED),
        (AnswerKind.UNANSWERED, AnswerKind.UNANSWERED),
        (AnswerKind.ACCEPTED, AnswerKind.UNANSWERED),
        (AnswerKind.REJECTED, AnswerKind.UNANSWERED),
        (AnswerKind.NOT_FOUND, AnswerKind.UNANSWERED),
    ],
)
def test_a_look_that_shows_nothing_is_busy_refused_or_unanswered(judged: AnswerKind, told: AnswerKind) -> None:
    said = Answer(judged, Source.UNSURE, 200, "C", "d", 1.0)

    assert seen_nothing(said) == Answer(told, Source.UNSURE, 200, "C", "d", 1.0)


@pytest.mark.parametrize(("body", "detail"), [(b"", "why"), (b"Maintenance", "why: Maintenance")])
def test_a_success_that_can_not_be_used_says_why_and_keeps_retry_after(body: bytes, detail: str) -> None:
    told = unusable(Reply(200, {"retry-after": "120"}, body), "why")

    assert told == Answer(AnswerKind.UNANSWERED, Source.NOBODY, 200, "", detail, 120.0)


@pytest.mark.parametrize("source", [Source.OWN, Source.UNSURE])
def test_gone_keeps_whose_words_they_are_and_the_clock_and_says_why(source: Source) -> None:
    judged = Answer(AnswerKind.NOT_FOUND, source, 404, detail="no such job")
    seen = unseen(Reply(404, {"date": DATE}), Job("J"), judged, "404")

    assert isinstance(seen, Observation)
    assert (seen.state, seen.raw, seen.source, seen.job_id, seen.clock, seen.detail) == (
        JobState.GONE,
        "404",
        source,
        "J",
        THEN,
        "no such job",
    )


def test_a_force_that_does_not_exist_is_refused_without_a_call() -> None:
    exchange = call(OracleMl(), Action.FORCE, Job("J"))

    with pytest.raises(StopIteration) as end:
        next(exchange)

    assert (end.value.value.kind, end.value.value.source) == (AnswerKind.REFUSED, Source.OWN)


@pytest.mark.parametrize(
    ("action", "method", "last"),
    [(Action.CANCEL, "POST", "cancel"), (Action.FORCE, "POST", "forceCancel"), (Action.DELETE, "DELETE", "1")],
)
def test_an_action_names_its_exchange(action: Action, method: str, last: str) -> None:
    request = next(call(OracleEss(), action, Job("1")))

    assert (request.method, request.path[-1]) == (method, last)
