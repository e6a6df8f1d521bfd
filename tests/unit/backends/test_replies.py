"""Replies are not trusted: their bodies, their clock, and their `Retry-After`."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.backends.adapter import Reply, answer, facts, silent, text
from worker.backends.times import EARLIEST, LATEST, LONGEST_RETRY_AFTER
from worker.domain.model import AnswerKind, Source

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
        pytest.param(b'{"message": null}', True, id="an-object-of-nothing"),
        pytest.param(b'{"message": "scheduled maintenance"}', False, id="maintenance"),
        pytest.param(b'{"success": false}', False, id="a-flag"),
        pytest.param(b'{"result": []}', False, id="a-result"),
        pytest.param(b'{"error": "no"}', False, id="error"),
        pytest.param(b"<html>", False, id="html"),
        pytest.param(b"[]", False, id="list"),
    ],
)
def test_a_silent_success_is_empty_or_an_object_that_says_nothing(body: bytes, *, fits: bool) -> None:
    assert silent(Reply(200, {}, body)) is fits


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
        pytest.param("Tue, 18 Feb 2025 17:01:05 -0000", THEN, id="utc-of-no-place"),
        pytest.param("Tue, 18 Feb 2025 17:01:05 UTC", THEN, id="utc"),
        pytest.param("Tue, 18 Feb 2025 17:01:05 UT", THEN, id="ut"),
        pytest.param("Tue, 18 Feb 2025 17:01:05 Z", THEN, id="z"),
        pytest.param("Tue, 18 Feb 2025 18:01:05 +0100", THEN, id="numeric-zone"),
        pytest.param("Tuesday, 18-Feb-25 17:01:05 GMT", THEN, id="rfc-850"),
        pytest.param("2025-02-18T17:01:05Z", THEN, id="iso"),
        pytest.param("2025-02-18T18:01:05+01:00", THEN, id="iso-with-an-offset"),
        pytest.param("Tue, 18 Feb 2025 17:01:05 CET", None, id="F12-cet-is-not-read-as-utc"),
        pytest.param("Tue, 18 Feb 2025 17:01:05 EST", None, id="another-word-for-a-zone"),
        pytest.param("Tue, 18 Feb 2025 17:01:05 CET +0100", None, id="a-zone-behind-another"),
        pytest.param("Tue, 18 Feb 2025 17:01:05 GMT+0100", None, id="two-zones-in-one"),
        pytest.param("Tue, 18 Feb 2025 17:01:05 XGMT", None, id="a-zone-that-ends-in-gmt"),
        pytest.param("Tue, 18 Feb 2025 17:01:05", None, id="no-zone"),
        pytest.param("Tue Feb 18 17:01:05 2025", None, id="asctime-has-no-zone"),
        pytest.param("2025-02-18T17:01:05", None, id="iso-without-a-zone"),
        pytest.param(f"{DATE}, {DATE}", None, id="two-headers"),
        pytest.param("", None, id="absent"),
        pytest.param("yesterday", None, id="no-date"),
        pytest.param("Mon, 01 Jan 99999999999999 00:00:00 GMT", None, id="year-out-of-range"),
    ],
)
def test_the_backends_clock_is_its_date_header(header: str, moment: datetime | None) -> None:
    assert Reply(200, {"date": header}).date == moment


def test_a_reply_that_a_cache_has_kept_shows_no_clock() -> None:
    assert Reply(200, {"date": DATE, "age": "0"}).date is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="absent"),
        pytest.param({"retry-after": "7"}, 7.0, id="seconds"),
        pytest.param({"retry-after": "0"}, 0.0, id="F10-zero"),
        pytest.param({"retry-after": "4.0"}, 4.0, id="F10-decimals"),
        pytest.param({"retry-after": "4.2"}, 5.0, id="F10-decimals-are-rounded-up"),
        pytest.param({"retry-after": "4s"}, 4.0, id="F10-a-unit"),
        pytest.param({"retry-after": "4.2 s"}, 5.0, id="decimals-and-a-unit"),
        pytest.param({"retry-after": "4m"}, None, id="another-unit"),
        pytest.param({"retry-after": "4, 4"}, 4.0, id="F10-two-headers"),
        pytest.param({"retry-after": "4, 7"}, 7.0, id="F10-the-larger-of-two"),
        pytest.param({"retry-after": "7, 4"}, 7.0, id="the-larger-first"),
        pytest.param({"retry-after": "4s, soon"}, 4.0, id="garbage-beside-seconds"),
        pytest.param({"retry-after": "Tue, 18 Feb 2025 17:02:05 GMT, 7", "date": DATE}, 60.0, id="a-date-and-seconds"),
        pytest.param(
            {"retry-after": "7, Tuesday, 18-Feb-25 17:02:05 GMT", "date": DATE}, 60.0, id="seconds-and-a-date"
        ),
        pytest.param({"retry-after": "2025-02-18T17:02:05Z", "date": DATE}, 60.0, id="F10-iso"),
        pytest.param({"retry-after": "2025-02-18T18:02:05+01:00", "date": DATE}, 60.0, id="iso-with-an-offset"),
        pytest.param({"retry-after": "2025-02-18T17:02:05", "date": DATE}, None, id="iso-without-a-zone"),
        pytest.param({"retry-after": "9" * 400}, LONGEST_RETRY_AFTER, id="seconds-out-of-range"),
        pytest.param({"retry-after": "-1"}, None, id="negative"),
        pytest.param({"retry-after": "\u00b2"}, None, id="a-digit-that-is-no-number"),
        pytest.param({"retry-after": "soon"}, None, id="no-date"),
        pytest.param({"retry-after": "Mon, 01 Jan 99999999999999 00:00:00 GMT"}, None, id="year-out-of-range"),
        pytest.param({"retry-after": "Tue, 18 Feb 2025 17:02:05 GMT", "date": DATE}, 60.0, id="date"),
        pytest.param({"retry-after": "Tue, 18 Feb 2025 17:00:05 GMT", "date": DATE}, 0.0, id="date-in-the-past"),
        pytest.param({"retry-after": "Tue, 18 Feb 2035 17:00:05 GMT", "date": DATE}, LONGEST_RETRY_AFTER, id="far"),
        pytest.param({"retry-after": "Tue, 18 Feb 2025 17:02:05 -0000", "date": DATE}, 60.0, id="utc-of-no-place"),
        pytest.param({"retry-after": "Tue, 18 Feb 2025 17:02:05", "date": DATE}, None, id="date-without-a-zone"),
        pytest.param({"retry-after": "Tue, 18 Feb 2025 17:02:05 CET", "date": DATE}, None, id="date-in-another-zone"),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert Reply(429, headers).retry_after == seconds


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="F10-no-date"),
        pytest.param({"date": "Tue, 18 Feb 2025 17:00:05 CET"}, id="a-date-that-does-not-count"),
        pytest.param({"date": "Tue, 18 Feb 2025 16:00:05 GMT", "age": "3660"}, id="the-date-of-a-cache"),
    ],
)
def test_a_time_to_come_back_counts_from_when_the_reply_came_where_it_has_no_clock(headers: dict[str, str]) -> None:
    told = {"retry-after": "Tue, 18 Feb 2025 17:02:05 GMT", **headers}

    assert Reply(429, told, received=THEN + timedelta(seconds=20)).retry_after == 40.0


def test_a_time_to_come_back_is_not_known_where_nobody_knows_when_the_reply_came() -> None:
    assert Reply(429, {"retry-after": "Tue, 18 Feb 2025 17:02:05 GMT"}).retry_after is None


@pytest.mark.parametrize(
    "date",
    [
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", id="for-ever"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 -1200", id="beyond-the-last-day"),
        pytest.param("0001-01-01T00:00:00+14:00", id="before-the-first-day"),
        pytest.param("Mon, 01 Jan 1601 00:00:00 GMT", id="none"),
    ],
)
def test_a_time_that_stands_in_for_none_or_for_ever_is_no_clock(date: str) -> None:
    assert Reply(200, {"date": date}).date is None


@given(header=st.text() | st.text("0123456789.:,-+ sZGMTue"))
def test_no_header_breaks_a_reply(header: str) -> None:
    reply = Reply(429, {"date": header, "retry-after": header}, received=THEN)

    assert reply.date is None or EARLIEST <= reply.date < LATEST
    assert reply.retry_after is None or 0 <= reply.retry_after <= LONGEST_RETRY_AFTER


def test_an_excerpt_is_one_short_printable_line() -> None:
    reply = Reply(500, {}, b" bad\r\n\x1b[31mgateway\xff" + b"x" * 1000)
    detail = answer(reply, AnswerKind.UNANSWERED, Source.UNSURE).detail

    assert (len(detail), detail[:19]) == (199, "bad   [31mgateway\ufffdx")


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
