"""The same message means the same, whichever transport of kombu's has carried it."""

from __future__ import annotations

import base64
import json
import zlib
from struct import pack
from typing import Any

import pytest
from amqp.serialization import PROPERTY_CLASSES
from amqp.spec import Basic

from worker.inbox import Commands, Item, Parcel, Refusal, decode, open_parcel
from worker.patches import bounded

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
    properties, _ = bounded(PROPERTY_CLASSES[Basic.CLASS_ID])(pack(">H", 1 << 13) + pack(">I", len(table)) + table, 0)

    assert properties["content_type"].startswith("unreadable headers")
