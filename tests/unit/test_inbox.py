"""The same message means the same, whichever transport of kombu's has carried it."""

from __future__ import annotations

import base64
import json
import zlib
from struct import pack
from typing import Any

import pytest

from worker.consumer import read_properties
from worker.inbox import Commands, Item, Order, Parcel, Refusal, decode, open_parcel, read

COMMAND = {"backend": "ess", "job_id": "1"}
BODY = json.dumps([[], COMMAND, {}]).encode()
HEADERS = {"task": "worker.cancel", "id": "m-1"}
MEANT = Commands((({**COMMAND, "verb": "cancel"}, "m-1"),))
SQUEEZED = "application/x-gzip"
SHAPES: dict[str, tuple[bytes, dict[str, Any], str | None, Item | str]] = {
    "as it comes": (BODY, HEADERS, "application/json", MEANT),
    "compressed": (zlib.compress(BODY), {**HEADERS, "compression": SQUEEZED}, "application/json", MEANT),
    "in protocol 1": (
        json.dumps({"task": "worker.cancel", "id": "m-1", "args": [], "kwargs": COMMAND}).encode(),
        {},
        "application/json",
        MEANT,
    ),
    "a pickle": (BODY, HEADERS, "application/x-python-serialize", "only JSON is taken"),
    "of no type": (BODY, HEADERS, None, "only JSON is taken"),
    "no JSON": (b"\xff", HEADERS, "application/json", "UnicodeDecodeError"),
    "no task": (b"7", HEADERS, "application/json", "TypeError"),
}


@pytest.mark.parametrize(("body", "headers", "kind", "meant"), SHAPES.values(), ids=SHAPES.keys())
def test_both_transports_say_the_same(
    body: bytes, headers: dict[str, Any], kind: str | None, meant: Item | str
) -> None:
    envelope = {
        "body": base64.b64encode(body).decode(),
        "headers": headers,
        "content-type": kind,
        "content-encoding": "utf-8",
        "properties": {"body_encoding": "base64"},
    }
    for item in (decode(json.dumps(envelope).encode()), open_parcel(Parcel(body, headers, kind, "utf-8"))):
        if isinstance(meant, str):
            assert isinstance(item, Refusal)
            assert meant in item.reason
        else:
            assert item == meant


ORDER = {"id": "c-1", "by": "ann", "reason": "dead"}


@pytest.mark.parametrize(
    ("task", "more", "child"),
    [
        pytest.param("worker.attest", {}, "", id="the-family"),
        pytest.param("worker.attest", {"child": None}, "", id="null-is-none"),
        pytest.param("worker.attest", {"child": "300101"}, "300101", id="a-child"),
        pytest.param("worker.attest", {"child": 300101}, "300101", id="a-number"),
        pytest.param("worker.abort", {"token": "t"}, "", id="abort"),
    ],
)
def test_an_order_says_who_why_and_about_which_child(task: str, more: dict[str, Any], child: str) -> None:
    item = read(task, "m-1", [], {**ORDER, **more})

    assert isinstance(item, Order)
    assert (item.reference, item.by, item.reason, item.child, item.word) == ("c-1", "ann", "dead", child, "ann: dead")
    assert item.content == {**ORDER, **more, "verb": task.partition(".")[2]}


@pytest.mark.parametrize(
    ("task", "more", "problem"),
    [
        pytest.param("worker.attest", {"child": ""}, "attest: child: ", id="empty"),
        pytest.param("worker.attest", {"child": ".."}, "attest: child: '.' and '..'", id="dots"),
        pytest.param("worker.attest", {"child": "a\nb"}, "attest: child: holds a character", id="unprintable"),
        pytest.param("worker.attest", {"child": "x" * 513}, "attest: child: ", id="too-long"),
        pytest.param("worker.attest", {"child": True}, "attest: child: ", id="a-flag"),
        pytest.param("worker.attest", {"child": ["1"]}, "attest: child: ", id="a-list"),
        pytest.param("worker.attest", {"by": ""}, "attest: needs the keyword arguments", id="nobody"),
        pytest.param("worker.attest", {"x": 1}, "and may have child", id="unknown-field"),
        pytest.param("worker.abort", {"child": "1"}, "abort: needs the keyword arguments", id="abort-has-no-child"),
    ],
)
def test_an_order_that_is_wrong_is_refused_with_what_and_why(task: str, more: dict[str, Any], problem: str) -> None:
    item = read(task, "m-1", [], {**ORDER, **more})

    assert isinstance(item, Refusal)
    assert problem in item.reason


def test_half_a_surrogate_pair_in_an_order_can_be_stored() -> None:
    item = read("worker.attest", "m-1", [], {**ORDER, "by": "\ud800", "id": "\udfff"})

    assert isinstance(item, Order)
    assert (item.by, item.reference) == ("?", "?")


def test_a_message_that_comes_back_has_the_same_name() -> None:
    first = open_parcel(Parcel(b"garbage", {}))
    again = open_parcel(Parcel(b"garbage", {"x-delivery-count": 3}))

    assert isinstance(first, Refusal)
    assert first == again


def test_headers_that_no_json_can_hold_are_told_as_such() -> None:
    table: dict[str, Any] = {}
    table["itself"] = table
    refused = open_parcel(Parcel(b"garbage", table))

    assert isinstance(refused, Refusal)
    assert json.loads(str(refused.content))["headers"] == "unreadable: ValueError"


def test_properties_that_cannot_be_read_end_nothing() -> None:
    table = b"\x01a?"  # a field of a type that there is not
    properties, _ = read_properties(pack(">H", 1 << 13) + pack(">I", len(table)) + table, 0)

    assert properties["content_type"].startswith("unreadable headers")
