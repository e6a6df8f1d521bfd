"""What Celery's own options, and kombu's encoding of values, mean for a command."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from kombu.utils.json import dumps

from worker.domain.errors import InvalidCommand
from worker.protocol.envelope import BARE, envelope_of, plain, untagged

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NEXT = {"task": "next", "args": [], "kwargs": {}, "options": {}}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="none"),
        pytest.param(dict.fromkeys(("callbacks", "errbacks", "chain", "chord", "group", "eta", "expires")), id="null"),
        pytest.param({"callbacks": [], "chain": [], "eta": "", "expires": ""}, id="empty"),
        pytest.param({"root_id": "another", "parent_id": "another", "group_index": 0}, id="sent-from-a-task"),
        pytest.param({"retries": 3, "timelimit": [1, 2], "reply_to": "x", "ignore_result": True}, id="of-no-meaning"),
    ],
)
def test_a_message_without_wishes_says_nothing(options: dict[str, Any]) -> None:
    assert envelope_of(options) == BARE


@pytest.mark.parametrize(
    ("options", "named"),
    [
        pytest.param({"callbacks": [NEXT]}, "link", id="link"),
        pytest.param({"errbacks": [NEXT]}, "link_error", id="link_error"),
        pytest.param({"chain": [NEXT]}, "chain", id="chain"),
        pytest.param({"chord": NEXT}, "chord", id="chord"),
        pytest.param({"group": "g-1"}, "group", id="group"),
        pytest.param({"group": "g-1", "chord": NEXT}, "chord, group", id="two"),
    ],
)
def test_what_would_follow_a_command_is_refused_with_the_way_out(options: dict[str, Any], named: str) -> None:
    with pytest.raises(
        InvalidCommand,
        match=rf"^{named}: .*wait for its end \(`result\.get\(\)` or `Client\.wait`\) or follow the events",
    ):
        envelope_of(options)


@pytest.mark.parametrize("name", ["eta", "expires"])
@pytest.mark.parametrize(
    "value",
    [
        pytest.param("2026-11-22T12:00:00+00:00", id="celery"),
        pytest.param("2026-11-22T12:00:00Z", id="zulu"),
        pytest.param("2026-11-22T13:00:00.000000+01:00", id="another-zone"),
        pytest.param("2026-11-22T12:00:00", id="naive-is-utc"),
        pytest.param("2026-11-22T12:00:00.000000000Z", id="nanoseconds"),
        pytest.param(NOON, id="a-time"),
        pytest.param(NOON.replace(tzinfo=None), id="a-naive-time"),
    ],
)
def test_a_time_of_celerys_is_read(name: str, value: object) -> None:
    assert getattr(envelope_of({name: value}), name) == NOON


@pytest.mark.parametrize(
    "value", ["soon", 5, -1.5, {}, ["x"], "0001-01-01T00:00:00+14:00", "2026-13-01T00:00:00Z"], ids=repr
)
def test_a_time_that_is_none_is_refused_and_named(value: object) -> None:
    with pytest.raises(InvalidCommand, match=r"^expires: can't be read as a time$"):
        envelope_of({"expires": value})


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        pytest.param(TRACE, TRACE, id="w3c"),
        pytest.param(
            f"cc{TRACE[2:]}-what-the-future-brings", f"cc{TRACE[2:]}-what-the-future-brings", id="later-version"
        ),
        pytest.param(TRACE.upper(), None, id="capitals"),
        pytest.param("00-ab", None, id="short"),
        pytest.param(f"{TRACE}\r\nHost: x", None, id="two-lines"),
        pytest.param(7, None, id="a-number"),
        pytest.param(None, None, id="none"),
    ],
)
def test_a_trace_context_is_taken_only_if_it_is_one(value: object, taken: str | None) -> None:
    assert envelope_of({"traceparent": value}).traceparent == taken


UUID_7 = UUID("0198f0a0-0000-7000-8000-000000000000")
VALUES: dict[str, tuple[object, object]] = {
    "a UUID": (UUID_7, str(UUID_7)),
    "a time": (NOON, "2026-11-22T12:00:00+00:00"),
    "a naive time": (NOON.replace(tzinfo=None), "2026-11-22T12:00:00"),
    "a date": (date(2026, 11, 22), "2026-11-22"),
    "a time of day": (time(12), "12:00:00"),
    "a decimal": (Decimal("1.5"), 1.5),
    "one within others": (
        {"labels": {"run": UUID_7}, "all": [UUID_7, 1]},
        {"labels": {"run": str(UUID_7)}, "all": [str(UUID_7), 1]},
    ),
    "what JSON has": ({"a": [1, 2.5, None, True, "x"]}, {"a": [1, 2.5, None, True, "x"]}),
}


@pytest.mark.parametrize(("value", "text"), VALUES.values(), ids=VALUES.keys())
def test_what_kombu_writes_is_read_as_its_text_or_number(value: object, text: object) -> None:
    assert json.loads(dumps(value), object_hook=untagged) == text
    assert plain(value) == text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param({"__type__": "uuid", "__value__": UUID_7.hex}, str(UUID_7), id="a-uuid-as-its-text"),
        pytest.param({"__type__": "bytes", "__value__": "300100"}, "300100", id="bytes-that-are-text"),
        *(
            pytest.param(value, value, id=name)
            for name, value in {
                "no-uuid": {"__type__": "uuid", "__value__": "x"},
                "no-hex": {"__type__": "uuid", "__value__": {"int": 1}},
                "no-decimal": {"__type__": "decimal", "__value__": "x"},
                "an-unknown-type": {"__type__": "base64", "__value__": "eA=="},
                "a-type-that-is-none": {"__type__": [], "__value__": "x"},
                "more-than-both": {"__type__": "uuid", "__value__": UUID_7.hex, "x": 1},
                "one-of-both": {"__type__": "uuid"},
            }.items()
        ),
    ],
)
def test_what_is_no_value_of_kombus_stays_as_it_is(written: object, read: object) -> None:
    assert json.loads(json.dumps(written), object_hook=untagged) == read
