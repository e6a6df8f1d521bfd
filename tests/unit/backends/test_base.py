"""What all adapters share: replies are read without trust, statuses have one meaning."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.backends.exchanges import play

from worker.backends.base import (
    LONGEST_RETRY_AFTER,
    Adapter,
    Reply,
    call,
    common_answer,
    facts,
    gone,
    no_force,
    redirect,
    seen_nothing,
    text,
)
from worker.backends.mrs import Mrs
from worker.backends.oracle_ess import OracleEss
from worker.backends.oracle_ml import OracleMl
from worker.backends.sahara import Sahara
from worker.model import Action, Answer, AnswerKind, Job, JobState

DATE = "Tue, 18 Feb 2025 17:01:05 GMT"
THEN = datetime(2025, 2, 18, 17, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "data"),
    [
        pytest.param(b'{"a": 1}', {"a": 1}, id="object"),
        pytest.param(b"[1]", None, id="list"),
        pytest.param(b"", None, id="empty"),
        pytest.param(b"<html>", None, id="html"),
        pytest.param(b'{"a": ', None, id="truncated"),
        pytest.param(b"\xff\xfe", None, id="not-text"),
        pytest.param(b"[" * 100_000, None, id="nested-too-deep"),
        pytest.param(b'{"a":' + b"9" * 5000 + b', "b": 1}', {"a": math.inf, "b": 1}, id="number-too-long"),
        pytest.param(b'{"a": "caf\xe9"}', {"a": "caf\ufffd"}, id="another-charset"),
    ],
)
def test_data_is_a_json_object_or_nothing(body: bytes, data: dict[str, Any] | None) -> None:
    assert Reply(200, {}, body).data == data


def test_data_is_read_in_the_charset_that_is_named() -> None:
    headers = {"content-type": "application/json; charset=ISO-8859-1"}

    assert Reply(200, headers, b'{"a": "caf\xe9"}').data == {"a": "café"}


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        pytest.param(b"", True, id="empty"),
        pytest.param(b" \r\n", True, id="blank"),
        pytest.param(b"{}", True, id="object"),
        pytest.param(b"<html>", False, id="html"),
        pytest.param(b"[]", False, id="list"),
    ],
)
def test_a_silent_success_is_empty_or_an_object(body: bytes, *, fits: bool) -> None:
    assert Reply(200, {}, body).empty_or_data is fits


@pytest.mark.parametrize(
    ("headers", "body", "html"),
    [
        pytest.param({"content-type": "text/HTML; charset=utf-8"}, b"", True, id="by-type"),
        pytest.param({}, b"\n <!doctype html>", True, id="by-body"),
        pytest.param({"content-type": "application/json"}, b"{}", False, id="json"),
        pytest.param({}, b"404: Not Found", False, id="plain"),
    ],
)
def test_html_is_told_from_the_api(headers: dict[str, str], body: bytes, *, html: bool) -> None:
    assert Reply(404, headers, body).html is html


@pytest.mark.parametrize(
    ("status", "ok"), [(199, False), (200, True), (202, True), (299, True), (300, False), (404, False)]
)
def test_ok_is_a_2xx(status: int, *, ok: bool) -> None:
    assert Reply(status).ok is ok


@pytest.mark.parametrize(
    ("header", "moment"),
    [
        pytest.param(DATE, THEN, id="plain"),
        pytest.param(DATE + " GMT", THEN, id="zone-twice-as-in-the-seed"),
        pytest.param("Tue, 18 Feb 2025 17:01:05 -0000", THEN, id="no-zone"),
        pytest.param("", None, id="absent"),
        pytest.param("yesterday", None, id="no-date"),
        pytest.param("Mon, 01 Jan 99999999999999 00:00:00 GMT", None, id="year-out-of-range"),
    ],
)
def test_the_backends_clock_is_its_date_header(header: str, moment: datetime | None) -> None:
    assert Reply(200, {"date": header}).date == moment


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="absent"),
        pytest.param({"retry-after": "7"}, 7.0, id="seconds"),
        pytest.param({"retry-after": "9" * 400}, LONGEST_RETRY_AFTER, id="seconds-out-of-range"),
        pytest.param({"retry-after": "-1"}, None, id="negative"),
        pytest.param({"retry-after": "\u00b2"}, None, id="a-digit-that-is-no-number"),
        pytest.param({"retry-after": "soon"}, None, id="no-date"),
        pytest.param({"retry-after": "Mon, 01 Jan 99999999999999 00:00:00 GMT"}, None, id="year-out-of-range"),
        pytest.param({"retry-after": "Tue, 18 Feb 2025 17:02:05 GMT", "date": DATE}, 60.0, id="date"),
        pytest.param({"retry-after": "Tue, 18 Feb 2025 17:00:05 GMT", "date": DATE}, 0.0, id="date-in-the-past"),
        pytest.param({"retry-after": "Tue, 18 Feb 2035 17:00:05 GMT", "date": DATE}, LONGEST_RETRY_AFTER, id="far"),
        pytest.param({"retry-after": "Tue, 18 Feb 2025 17:02:05 GMT"}, None, id="date-without-a-clock"),
        pytest.param({"retry-after": "Tue, 18 Feb 2025 17:02:05 -0000", "date": DATE}, None, id="date-without-zone"),
    ],
)
def test_retry_after_is_read_in_either_form(headers: dict[str, str], seconds: float | None) -> None:
    assert Reply(429, headers).retry_after == seconds


@given(header=st.text())
def test_no_header_breaks_a_reply(header: str) -> None:
    reply = Reply(429, {"date": header, "retry-after": header})

    assert reply.date is None or reply.date.tzinfo
    assert reply.retry_after is None or 0 <= reply.retry_after <= LONGEST_RETRY_AFTER


def test_an_excerpt_is_one_short_printable_line() -> None:
    reply = Reply(500, {}, b" bad\r\n\x1b[31mgateway\xff" + b"x" * 1000)

    assert len(reply.excerpt()) <= 200
    assert reply.excerpt(20) == "bad   [31mgateway\ufffdx"


@pytest.mark.parametrize(
    ("value", "line"),
    [
        pytest.param(" a\nb ", "a b", id="text"),
        pytest.param(2**63, "9223372036854775808", id="number"),
        pytest.param("\ud800", "", id="lone-surrogate"),
        pytest.param("x" * 300, "x" * 200, id="long"),
        pytest.param(True, "", id="flag"),
        pytest.param(1.5, "", id="fraction"),
        pytest.param(None, "", id="null"),
        pytest.param(["a"], "", id="list"),
    ],
)
def test_text_is_one_printable_line_or_nothing(value: object, line: str) -> None:
    assert text(value) == line


def test_facts_are_the_listed_fields_that_have_a_value() -> None:
    assert facts({"a": 0, "b": None, "c": "x", "d": "y"}, ("a", "b", "c", "e")) == {"a": "0", "c": "x"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        pytest.param(400, AnswerKind.REJECTED, id="otherwise"),
        pytest.param(401, AnswerKind.REFUSED, id="unauthorised-after-renewal"),
        pytest.param(403, AnswerKind.REFUSED, id="forbidden"),
        pytest.param(404, AnswerKind.NOT_FOUND, id="not-found"),
        pytest.param(408, AnswerKind.UNANSWERED, id="request-timeout"),
        pytest.param(409, AnswerKind.BUSY, id="conflict"),
        pytest.param(429, AnswerKind.BUSY, id="throttled"),
        pytest.param(500, AnswerKind.UNANSWERED, id="error"),
        pytest.param(503, AnswerKind.UNANSWERED, id="unavailable"),
        pytest.param(504, AnswerKind.UNANSWERED, id="gateway-timeout"),
    ],
)
def test_a_status_has_one_common_meaning(status: int, kind: AnswerKind) -> None:
    answer = common_answer(Reply(status, {"retry-after": "3"}, b"why"), AnswerKind.REJECTED, code="C")

    assert answer == Answer(kind, status, "C", "why", 3.0)


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 399])
@pytest.mark.parametrize(
    ("said", "told"),
    [("", "HTTP {} to login.example.com/sso"), ("moved", "HTTP {} to login.example.com/sso; moved")],
    ids=["alone", "with-the-apis-text"],
)
def test_a_3xx_is_unanswered_and_says_where_it_points(status: int, said: str, told: str) -> None:
    reply = Reply(status, {"location": "https://login.example.com/sso?ticket=hunter2"}, b"<html>Moved</html>")

    assert common_answer(reply, AnswerKind.REJECTED, code="C", detail=said) == Answer(
        AnswerKind.UNANSWERED, status, "C", told.format(status)
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
    said = [play(exchange, reply)[1] for exchange in (adapter.look(Job("1")), adapter.cancel(Job("1")))]

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


def test_a_proxys_own_404_page_is_no_word_on_the_job() -> None:
    assert common_answer(Reply(404, {}, b"<html>"), AnswerKind.REFUSED).kind is AnswerKind.UNANSWERED


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
    assert seen_nothing(Answer(judged, 200, "C", "d", 1.0)) == Answer(told, 200, "C", "d", 1.0)


def test_gone_keeps_the_clock_and_says_why() -> None:
    seen = gone(Reply(404, {"date": DATE}, b"no such job"), Job("J"), "404")

    assert (seen.state, seen.raw, seen.job_id, seen.clock, seen.detail) == (
        JobState.GONE,
        "404",
        "J",
        THEN,
        "no such job",
    )


def test_a_force_that_does_not_exist_is_refused_without_a_call() -> None:
    exchange = no_force(Job("J"))

    with pytest.raises(StopIteration) as end:
        next(exchange)

    assert end.value.value.kind is AnswerKind.REFUSED


@pytest.mark.parametrize(
    ("action", "method", "last"),
    [(Action.CANCEL, "POST", "cancel"), (Action.FORCE, "POST", "forceCancel"), (Action.DELETE, "DELETE", "1")],
)
def test_an_action_names_its_exchange(action: Action, method: str, last: str) -> None:
    request = next(call(OracleEss(), action, Job("1")))

    assert (request.method, request.path[-1]) == (method, last)
