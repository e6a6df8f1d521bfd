"""A message decodes to the same item, whichever of kombu's transports carried it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from datetime import UTC, datetime, timedelta
from struct import pack
from typing import Any
from uuid import UUID

import pytest
from amqp.serialization import PROPERTY_CLASSES
from amqp.spec import Basic
from kombu.utils.json import dumps

from worker.celery.patches import bounded
from worker.intake.admission import reject
from worker.intake.decoder import ActionRequest, Commands, Item, Malformed, RawMessage, decode, read, read_raw
from worker.protocol.envelope import Envelope
from worker.protocol.message_ids import kept_id
from worker.protocol.signing import sign

COMMAND = {"backend": "ess", "job_id": "1"}
BODY = json.dumps([[], COMMAND, {}]).encode()
HEADERS = {"task": "worker.cancel", "id": "m-1"}
LONG_ID = "x" * 129
MEANT = Commands((({**COMMAND, "verb": "cancel"}, "m-1"),))
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
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
    "a pickle": (BODY, HEADERS, "application/x-python-serialize", "only JSON is accepted"),
    "of no type": (BODY, HEADERS, None, "only JSON is accepted"),
    "no JSON": (b"\xff", HEADERS, "application/json", "UnicodeDecodeError"),
    "no task": (b"7", HEADERS, "application/json", "TypeError"),
}


def told_twice(body: bytes, headers: dict[str, Any], kind: str | None) -> tuple[Item, Item]:
    """Decode a message as it arrives from Redis and from RabbitMQ."""
    envelope = {
        "body": base64.b64encode(body).decode(),
        "headers": headers,
        "content-type": kind,
        "content-encoding": "utf-8",
        "properties": {"body_encoding": "base64"},
    }
    return decode(json.dumps(envelope).encode()), read_raw(RawMessage(body, headers, kind, "utf-8"))


@pytest.mark.parametrize(("body", "headers", "kind", "meant"), SHAPES.values(), ids=SHAPES.keys())
def test_both_transports_decode_to_the_same_item(
    body: bytes, headers: dict[str, Any], kind: str | None, meant: Item | str
) -> None:
    for item in told_twice(body, headers, kind):
        if isinstance(meant, str):
            assert isinstance(item, Malformed)
            assert meant in item.reason
        else:
            assert item == meant


ORDER = {"id": "c-1", "by": "ann", "reason": "dead"}


@pytest.mark.parametrize(
    ("task", "more", "read_as"),
    [
        pytest.param("worker.attest", {}, {}, id="the-family"),
        pytest.param("worker.attest", {"child": None}, {}, id="null-is-none"),
        pytest.param("worker.attest", {"child": "300101"}, {"child": "300101"}, id="a-child"),
        pytest.param("worker.attest", {"child": 300101}, {"child": "300101"}, id="a-number"),
        pytest.param("worker.abort", {"token": "t"}, {}, id="abort"),
        pytest.param("worker.hold", {}, {}, id="hold"),
        pytest.param("worker.hold", {"for": 90}, {"for": 90_000}, id="hold-for-some-seconds"),
        pytest.param("worker.hold", {"for": 0.0001}, {"for": 1}, id="hold-for-a-moment"),
        pytest.param("worker.release", {}, {}, id="release"),
    ],
)
def test_an_action_says_who_and_why_and_has_its_own_arguments(
    task: str, more: dict[str, Any], read_as: dict[str, Any]
) -> None:
    item = read(task, "m-1", [], {**ORDER, **more}, {})

    assert isinstance(item, ActionRequest)
    assert (item.reference, item.by, item.reason, item.more) == ("c-1", "ann", "dead", read_as)
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
        pytest.param("worker.hold", {"for": 0}, "hold: for: ", id="no-time"),
        pytest.param("worker.hold", {"for": "2h"}, "hold: for: is not a number of seconds", id="a-text"),
        pytest.param("worker.hold", {"for": True}, "hold: for: is not a number of seconds", id="a-yes"),
        pytest.param("worker.hold", {"for": float("nan")}, "hold: for: ", id="nan"),
        pytest.param("worker.hold", {"for": 1e12}, "hold: for: ", id="for-ever"),
        pytest.param("worker.release", {"for": 1}, "release: needs", id="release-has-no-time"),
        pytest.param("worker.attest", {"by": ""}, "attest: needs the keyword arguments", id="nobody"),
        pytest.param("worker.attest", {"x": 1}, "and may have child", id="unknown-field"),
        pytest.param("worker.abort", {"child": "1"}, "abort: needs the keyword arguments", id="abort-has-no-child"),
    ],
)
def test_a_bad_action_is_rejected_with_its_field_and_the_reason(task: str, more: dict[str, Any], problem: str) -> None:
    item = read(task, "m-1", [], {**ORDER, **more}, {})

    assert isinstance(item, Malformed)
    assert problem in item.reason


def test_an_argument_that_an_action_does_not_have_is_named() -> None:
    item = read("worker.hold", "m-1", [], {**ORDER, "fro": 1}, {})

    assert isinstance(item, Malformed)
    assert "may have for; it has no 'fro'" in item.reason


def test_a_task_that_does_not_exist_is_answered_with_those_that_do() -> None:
    item = read("worker.stop", "m-1", [], {}, {})

    assert isinstance(item, Malformed)
    assert "no task is called 'worker.stop'; there are worker.cancel, worker.delete, worker.submit" in item.reason


@pytest.mark.parametrize("raw", [b"{}", b"null", b"[]", b'"x"', b'{"task": "worker.cancel"}'], ids=repr)
def test_json_that_is_no_message_of_celerys_says_what_one_is(raw: bytes) -> None:
    item = decode(raw)

    assert isinstance(item, Malformed)
    assert "an object with body, headers, properties; `send_task` writes one" in item.reason


def test_an_actions_reason_is_kept_without_unprintable_characters() -> None:
    item = read("worker.abort", "m-1", [], {**ORDER, "reason": "\x1b[31mover\x1b[0m \x00budget"}, {})

    assert isinstance(item, ActionRequest)
    assert "over budget" == item.reason


def test_half_a_surrogate_pair_in_an_action_can_be_stored() -> None:
    item = read("worker.attest", "m-1", [], {**ORDER, "by": "\ud800", "id": "\udfff"}, {})

    assert isinstance(item, ActionRequest)
    assert (item.by, item.reference) == ("?", "?")


NAMES = {
    "no JSON": (b"\xff", HEADERS, "application/json", "m-1"),
    "a pickle": (BODY, HEADERS, "application/x-python-serialize", "m-1"),
    "cut off": (BODY[:-3], HEADERS, "application/json", "m-1"),
    "no task": (b"7", HEADERS, "application/json", "m-1"),
    "an unknown compression": (BODY, {**HEADERS, "compression": "x"}, "application/json", "m-1"),
    "without an id": (b"\xff", {"task": "worker.cancel"}, "application/json", ""),
    "an id that can't be a command's": (b"\xff", {**HEADERS, "id": LONG_ID}, "application/json", kept_id(LONG_ID)),
    "an id that is no text": (b"\xff", {**HEADERS, "id": ["m-1"]}, "application/json", ""),
}


@pytest.mark.parametrize(("body", "headers", "kind", "name"), NAMES.values(), ids=NAMES.keys())
def test_an_unreadable_message_is_named_by_the_id_in_its_headers(
    body: bytes, headers: dict[str, Any], kind: str, name: str
) -> None:
    for item in told_twice(body, headers, kind):
        assert isinstance(item, Malformed)
        assert item.message_id == name or (not name and len(item.message_id) == 32)


@pytest.mark.parametrize("headers", [None, 7, "id", ["id"]], ids=repr)
def test_headers_of_a_wrong_type_stop_nothing(headers: Any) -> None:
    refused = decode(json.dumps({"body": "x", "headers": headers, "properties": {}}).encode())

    assert isinstance(refused, Malformed)
    assert len(refused.message_id) == 32


FOLLOWED = {
    "in protocol 2": ([[], COMMAND, {"callbacks": [{"task": "next"}]}], HEADERS),
    "in protocol 1": ({**HEADERS, "args": [], "kwargs": COMMAND, "callbacks": [{"task": "next"}]}, {}),
    "by a header": ([[], COMMAND, {}], {**HEADERS, "group": "g-1"}),
}


@pytest.mark.parametrize(("content", "headers"), FOLLOWED.values(), ids=FOLLOWED.keys())
def test_a_message_with_follow_up_tasks_is_rejected(content: object, headers: dict[str, Any]) -> None:
    for item in told_twice(json.dumps(content).encode(), headers, "application/json"):
        assert isinstance(item, Malformed)
        assert (item.message_id, "follow the events" in item.reason) == ("m-1", True)


TIMES = {"eta": "2026-11-22T12:00:00+00:00", "expires": "2026-11-22T13:00:00"}


def test_a_messages_options_become_the_envelope_of_its_commands() -> None:
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    around = Envelope(noon, noon + timedelta(hours=1), TRACE)
    for item in told_twice(BODY, {**HEADERS, **TIMES, "traceparent": TRACE}, "application/json"):
        assert item == Commands(MEANT.contents, around)
    old = {**HEADERS, **TIMES, "args": [], "kwargs": COMMAND}
    for item in told_twice(json.dumps(old).encode(), {"traceparent": TRACE}, "application/json"):
        assert item == Commands(MEANT.contents, around)


def test_an_action_with_an_eta_is_rejected() -> None:
    order = {"id": "c-1", "by": "ann", "reason": "x"}
    body = json.dumps([[], order, {}]).encode()
    for item in told_twice(body, {"task": "worker.abort", "id": "m-1", **TIMES}, "application/json"):
        assert isinstance(item, Malformed)
        assert item.reason.startswith("eta: abort takes effect at once")


def test_an_uuid_is_read_as_its_text() -> None:
    run = UUID("0198f0a0-0000-7000-8000-000000000000")
    body = dumps([[], {**COMMAND, "job_id": run}, {}]).encode()
    for item in told_twice(body, HEADERS, "application/json"):
        assert item == Commands((({**COMMAND, "job_id": str(run), "verb": "cancel"}, "m-1"),))


def test_a_redelivered_message_has_the_same_id() -> None:
    first = read_raw(RawMessage(b"garbage", {}))
    again = read_raw(RawMessage(b"garbage", {"x-delivery-count": 3}))

    assert isinstance(first, Malformed)
    assert first == again


def test_headers_that_no_json_can_hold_are_marked_unreadable() -> None:
    table: dict[str, Any] = {}
    table["itself"] = table
    refused = read_raw(RawMessage(b"garbage", table))

    assert isinstance(refused, Malformed)
    assert json.loads(str(refused.content))["headers"] == "unreadable: ValueError"


def test_unreadable_properties_end_no_worker() -> None:
    table = b"\x01a?"  # a field of an unknown type
    properties, _ = bounded(PROPERTY_CLASSES[Basic.CLASS_ID])(pack(">H", 1 << 13) + pack(">I", len(table)) + table, 0)

    assert properties["content_type"].startswith("unreadable headers")


KEY = "a-shared-secret-of-at-least-32-bytes"
TOKEN = sign({"verb": "cancel"}, producer="ops", key=KEY, algorithm="HS256", now=datetime(2026, 11, 22, tzinfo=UTC))
SIGNED = json.dumps([[], {**COMMAND, "token": TOKEN}, {}])
REPR = {**HEADERS, "kwargsrepr": repr({"token": TOKEN})}
UNREADABLE: dict[str, tuple[bytes, dict[str, Any], str | None]] = {
    "C2-wrong-content-type": (SIGNED.encode(), REPR, "application/x-yaml"),
    "C2-no-content-type": (SIGNED.encode(), HEADERS, None),
    "C2-cut": (SIGNED[:-3].encode(), HEADERS, "application/json"),
    "C2-compressed": (zlib.compress(SIGNED.encode()), HEADERS, "application/json"),
    "C2-compressed-otherwise": (SIGNED.encode(), {**HEADERS, "compression": "application/x-br"}, "application/json"),
    "C2-pickled": (b"\x80\x05" + SIGNED.encode(), HEADERS, "application/x-python-serialize"),
    "C2-utf-16": (SIGNED.encode("utf-16"), HEADERS, "application/json"),
    "C2-utf-16-without-a-mark": (SIGNED.encode("utf-16-be"), HEADERS, "application/json"),
    "C2-base64-in-base64": (base64.b64encode(SIGNED.encode()), HEADERS, "application/json"),
    "C2-long": ((SIGNED + "x" * 500_000).encode(), HEADERS, "application/json"),
    "C2-token-behind-the-cut": ((" " * 2000 + SIGNED + "x").encode(), HEADERS, "application/json"),
}  # fmt: skip


def letter_of(item: Item) -> str:
    """Return what is kept of a refused message."""
    assert isinstance(item, Malformed)
    return reject(item.content, item.message_id, item.reason).raw


@pytest.mark.parametrize(("body", "headers", "kind"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_no_token_is_kept_of_an_unreadable_message(body: bytes, headers: dict[str, Any], kind: str | None) -> None:
    squeezed = base64.b64encode(zlib.compress(SIGNED.encode())).decode()
    for item in told_twice(body, headers, kind):
        letter = letter_of(item)
        runs = re.findall("[A-Za-z0-9+/]{8,}", letter)
        decoded = "".join(base64.b64decode(run[: len(run) // 4 * 4]).decode("latin-1") for run in runs)

        assert TOKEN[40:100] not in letter + decoded
        assert squeezed[20:60] not in letter
        assert len(letter) < 8192


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(SIGNED.encode(), id="C2-json"),
        pytest.param(b"\xff" + SIGNED.encode(), id="C2-garbage"),
        pytest.param(SIGNED.encode("utf-16"), id="C2-utf-16"),
        pytest.param(base64.b64encode(SIGNED.encode()), id="C2-base64"),
        pytest.param(json.dumps({"body": SIGNED, "headers": 1, "properties": {}}).encode(), id="C2-envelope"),
        pytest.param(SIGNED.encode() + b"x" * 900_000, id="C2-long"),
    ],
)
def test_no_token_is_kept_of_what_is_no_message(raw: bytes) -> None:
    letter = letter_of(decode(raw))

    assert TOKEN.split(".")[2] not in letter
    assert base64.b64encode(TOKEN.encode()).decode()[60:90] not in letter


def test_a_body_in_base64_is_kept_as_its_text() -> None:
    letter = letter_of(told_twice(b'[[], {"backend": "ess"}', HEADERS, "application/json")[0])

    assert json.loads(json.loads(letter))["body"] == '[[], {"backend": "ess"}'


def test_the_beginning_of_a_long_unreadable_message_is_kept() -> None:
    raw = b"garbage " * 100_000
    kept = json.loads(letter_of(decode(raw)))

    assert (kept["bytes"], kept["sha256"]) == (800_000, hashlib.sha256(raw).hexdigest())
    assert kept["beginning"] == "garbage " * 256


def test_the_headers_of_a_long_message_are_kept() -> None:
    redis, amqp = told_twice(b"[" * 500_000, HEADERS, "application/json")

    assert "worker.cancel" in letter_of(redis)
    assert "worker.cancel" in letter_of(amqp)


def test_two_bodies_that_are_no_text_are_two_messages() -> None:
    one, other = (read_raw(RawMessage(body, {}, "application/json")) for body in (b"\xff1", b"\xff2"))

    assert isinstance(one, Malformed)
    assert isinstance(other, Malformed)
    assert one.message_id != other.message_id


def test_an_actions_texts_hold_no_escapes() -> None:
    order = read("worker.abort", "m-1", [], {"id": "c-1", "by": "a\x1b[2Jnn", "reason": "x\x1b[1my"}, {})

    assert isinstance(order, ActionRequest)
    assert (order.by, order.reason) == ("ann", "xy")
