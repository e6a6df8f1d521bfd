"""What a rejection keeps and shows of a message, and whose message it was."""

from __future__ import annotations

import base64
import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.intake.admission import LETTER_LIMIT, Admission, reject
from worker.intake.decoder import ActionRequest, Commands, Malformed, read
from worker.protocol.envelope import BARE as BARE_ENVELOPE
from worker.protocol.envelope import Envelope
from worker.protocol.signing import NOT_ALLOWED, Producer, Signatures, sign
from worker.store.codec import fragment
from worker.store.transitions import Rejection

BARE = {"verb": "cancel", "backend": "ess", "job_id": "1"}
NOBODYS = Admission({})
"""Rejects every command, since it has no backends."""


def rejected(content: Any) -> Rejection:
    one = NOBODYS.take(content, "task-1")
    assert isinstance(one, Rejection)
    return one


def written(one: Rejection) -> dict[str, Any]:
    """Return the data of the event as a JSON parser reads it."""
    return dict(json.loads("{" + fragment(one.data) + "}"))


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        pytest.param(None, {"token": "secret"}, id="keyword-arguments-beside-no-list"),
        pytest.param([{"token": "secret"}], None, id="arguments-without-keywords"),
        pytest.param([{"token": "secret"}], {}, id="positional"),
        pytest.param([[{"token": "secret"}]], {}, id="a-positional-list"),
        pytest.param([], {"commands": {"token": "secret"}}, id="one-command-for-a-list"),
        pytest.param([], {"command": {"token": "secret"}}, id="a-command-in-an-unknown-field"),
    ],
)
def test_a_rejected_message_is_kept_without_its_signature(args: Any, kwargs: Any) -> None:
    refused = read("worker.submit", "m-1", args, kwargs, {})
    assert isinstance(refused, Malformed)
    letter = reject(refused.content, "m-1", refused.reason)

    assert "secret" not in letter.raw


NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = "2026-11-22T13:00:00+00:00"


@pytest.mark.parametrize(
    ("own", "kept"),
    [
        pytest.param({}, "2026-11-22T12:00:00+00:00", id="none-of-its-own"),
        pytest.param({"not_before": LATER}, LATER, id="a-later-one-of-its-own"),
        pytest.param({"not_before": "2026-11-22T11:00:00Z"}, "2026-11-22T12:00:00+00:00", id="an-earlier-one"),
        pytest.param({"not_before": "noon"}, "noon", id="one-that-is-no-time"),
        pytest.param({"not_before": None}, "2026-11-22T12:00:00+00:00", id="null"),
    ],
)
def test_a_rejected_command_is_kept_with_its_messages_eta(own: dict[str, Any], kept: str) -> None:
    one = NOBODYS.take({**BARE, **own}, "task-1", envelope=Envelope(eta=NOON))

    assert isinstance(one, Rejection)
    assert json.loads(one.raw)["not_before"] == kept


def test_a_message_that_is_no_object_and_has_an_eta_is_rejected() -> None:
    one = NOBODYS.take([1], "task-1", envelope=Envelope(eta=NOON))

    assert isinstance(one, Rejection)
    assert one.raw == "[1]"


@pytest.mark.parametrize("verb", ["abort", "attest", "hold", "release", "batch_pause", "batch_resume", "batch_abort"])
def test_a_rejected_order_says_what_it_was_about_who_gave_it_and_why(verb: str) -> None:
    one = reject({"id": "c-1", "by": "ann", "reason": "INC-1", "verb": verb}, "m-1", "it has ended already")

    assert (one.data["id"], one.data["action"]) == ("c-1", {"name": verb, "by": "ann", "reason": "INC-1"})


def test_a_rejected_order_of_nobody_says_so() -> None:
    action = reject({"verb": "hold"}, "m-1", "it needs the keyword arguments").data["action"]

    assert action == {"name": "hold", "by": None, "reason": None}


@pytest.mark.parametrize("verb", ["cancel", ["hold"], None], ids=repr)
def test_a_rejected_command_has_no_action(verb: object) -> None:
    assert "action" not in reject({**BARE, "verb": verb}, "m-1", "why").data


def test_a_submit_without_a_command_is_rejected() -> None:
    refused = read("worker.submit", "m-1", [], {"commands": []}, {})

    assert isinstance(refused, Malformed)
    assert refused.reason == "commands: is empty; a worker.submit holds at least one command"


def test_the_beginning_of_a_large_message_is_kept() -> None:
    content = {"reason": "x" * 3 * LETTER_LIMIT}
    one = rejected(content)
    whole = json.dumps(content)

    assert json.loads(one.raw) == {
        "bytes": len(whole),
        "sha256": hashlib.sha256(whole.encode()).hexdigest(),
        "beginning": whole[:LETTER_LIMIT],
    }


OPS = Producer("ops", "HS256", ("a-shared-secret-of-at-least-32-bytes",))
GUARDED = Signatures({"ops": OPS}, required=True)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
TOKEN = sign(BARE, producer="ops", key=OPS.keys[0], algorithm="HS256", now=NOW)
FORGED = sign(BARE, producer="ops", key="another-secret-of-at-least-32-bytes!", algorithm="HS256", now=NOW)
ENVELOPE = Envelope(expires=datetime(2020, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("content", "now", "around", "unverified"),
    [
        pytest.param(BARE, NOW, BARE_ENVELOPE, True, id="C5-unsigned"),
        pytest.param({**BARE, "token": FORGED}, NOW, BARE_ENVELOPE, True, id="C5-forged"),
        pytest.param({**BARE, "token": TOKEN, "job_id": "2"}, NOW, BARE_ENVELOPE, True, id="C5-changed"),
        pytest.param({**BARE, "token": TOKEN}, NOW, ENVELOPE, True, id="C5-late-and-not-looked-at"),
        pytest.param({**BARE, "token": TOKEN}, NOW + timedelta(days=1), BARE_ENVELOPE, False, id="C5-signed-too-early"),
        pytest.param({**BARE, "token": TOKEN}, NOW, BARE_ENVELOPE, False, id="C5-signed-and-wrong"),
    ],
)
def test_a_sender_without_a_valid_signature_is_a_stranger(
    content: Any, now: datetime, around: Envelope, unverified: bool,  # noqa: FBT001
) -> None:  # fmt: skip
    one = Admission({}, signatures=GUARDED).take(content, "task-1", now, around)

    assert isinstance(one, Rejection)
    assert one.unverified is unverified


def test_a_producer_without_the_right_is_no_stranger() -> None:
    bounded = Signatures({"ops": replace(OPS, verbs=frozenset({"delete"}))}, required=True)
    one = Admission({}, signatures=bounded).take({**BARE, "token": TOKEN}, "task-1", NOW)

    assert isinstance(one, Rejection)
    assert (one.reason, one.unverified) == (NOT_ALLOWED, False)


def test_nobody_is_a_stranger_if_signing_is_off() -> None:
    assert not rejected({}).unverified


def test_little_is_kept_of_a_strangers_message() -> None:
    one = Admission({}, signatures=GUARDED).take({**BARE, "reason": "x" * 900_000}, "task-1", NOW)

    assert isinstance(one, Rejection)
    assert len(one.raw) < 8192
    assert json.loads(one.raw)["bytes"] > 900_000
    assert json.loads(one.raw)["beginning"].startswith('{"verb": "cancel"')


def test_most_of_a_strangers_commands_are_kept_whole() -> None:
    content = {**BARE, "reason": "budget", "labels": {"team": "pay"}}
    one = Admission({}, signatures=GUARDED).take(content, "task-1", NOW)

    assert isinstance(one, Rejection)
    assert json.loads(one.raw) == content


PLACES: dict[str, tuple[Any, Any]] = {
    "C2-token": ([], {"token": TOKEN}),
    "C2-another-spelling": ([], {"Token": TOKEN, "jwt": TOKEN}),
    "C2-positional": ([{"token": TOKEN}], {}),
    "C2-positional-text": ([TOKEN, f"Bearer {TOKEN}"], {}),
    "C2-command": ([], {"command": {"token": TOKEN}}),
    "C2-commands": ([], {"cmds": [{"Token": TOKEN}], "commands": {"token": TOKEN}}),
    "C2-deep": ([[[[[[[[[[[[{"token": TOKEN}]]]]]]]]]]]], {}),
    "C2-json-in-a-text": ([], {"body": json.dumps({"token": TOKEN})}),
    "C2-base64-in-a-text": ([], {"body": base64.b64encode(json.dumps({"token": TOKEN}).encode()).decode()}),
    "C2-a-name": ([], {TOKEN: 1}),
    "C2-readable-fields": ([], dict.fromkeys(("backend", "job_id", "reason", "requested_by", "command_id"), TOKEN)),
    "C2-labels": ([], {"labels": {"token": TOKEN, TOKEN: "x"}, "params": {"a": TOKEN}}),
    "C2-an-object-for-a-text": ([], {"reason": {"token": "a.plain.word", "b": TOKEN}, "job_id": [TOKEN]}),
    "C2-no-arguments": (None, {"token": TOKEN}),
    "C2-no-keywords": ([], [{"token": TOKEN}]),
}  # fmt: skip


@pytest.mark.parametrize(("args", "kwargs"), PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize("task", ["worker.cancel", "worker.submit", "worker.abort", TOKEN])
def test_no_token_is_kept_or_shown_wherever_a_message_has_it(task: str, args: Any, kwargs: Any) -> None:
    item = read(task, "m-1", args, kwargs, {})
    if isinstance(item, Malformed):
        letter = reject(item.content, "m-1", item.reason)
    elif isinstance(item, ActionRequest):
        letter = reject(item.content, "m-1", f"no cancellation or command is known as {item.reference!r}")
    else:
        assert isinstance(item, Commands)
        taken = Admission({}).take(*item.contents[0])
        assert isinstance(taken, Rejection)
        letter = taken
    said = f"{letter.raw} {letter.mark} {letter.reason} {letter.backend} {letter.subject} {written(letter)}"

    for secret in (TOKEN.split(".")[2], base64.b64encode(TOKEN.encode()).decode()[-40:], "a.plain.word"):
        assert secret not in said
    json.loads(letter.raw)


def test_a_dotted_word_is_no_token() -> None:
    content = {**BARE, "backend": "ess.eu.example", "job_id": "a.b.c", "reason": "see a.b.c.d"}
    one = rejected(content)

    assert json.loads(one.raw) == content
    assert (one.backend, one.subject, one.data["reason"]) == ("ess.eu.example", "a.b.c", "see a.b.c.d")


HOSTILE_TEXT = "a\x1b[2J\x1b]0;t\x07b\nfinished\tcancelled\r\x00\x7f\x85\x9b1m\u2028\u2029\u202e\u2066\ud800"


@pytest.mark.parametrize("name", ["backend", "job_id", "reason", "requested_by", "command_id", "batch_id", "verb", "x"])
@pytest.mark.parametrize("shape", [lambda text: text, lambda text: {text: text}, lambda text: [text]], ids=range(3))
def test_a_hostile_text_is_shown_as_one_line_of_plain_characters(name: str, shape: Callable[[str], Any]) -> None:
    one = rejected({**BARE, "force": "x", name: shape(HOSTILE_TEXT), f"x{HOSTILE_TEXT}": 1})
    data = written(one)
    texts = [one.reason, one.raw, one.backend, one.subject, data["error"], data["command_id"], *values(data)]

    for text in texts:
        assert not [char for char in text if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]


def values(data: Any) -> Iterator[str]:
    """Yield all texts of an event's data, names included."""
    for name, value in data.items():
        yield name
        yield from values(value) if isinstance(value, dict) else [str(value)]


def test_an_id_with_a_control_character_is_not_used() -> None:
    one = rejected({**BARE, "command_id": "a\nb"})

    assert (one.command_id, one.data["command_id"]) == ("task-1", "task-1")


def test_a_rejection_is_found_by_the_id_that_its_sender_knows() -> None:
    """An id may contain a character that changes the writing direction; it is shown escaped."""
    one = rejected({**BARE, "command_id": "a\u202eb", "force": "x"})

    assert (one.command_id, one.data["command_id"]) == ("a\u202eb", r"a\u202eb")


def test_the_texts_of_a_rejection_are_short() -> None:
    long = dict.fromkeys(("backend", "job_id", "reason", "requested_by", "batch_id", "verb"), "x" * 10000)
    labels = {f"{number}{'x' * 1000}": "x" * 1000 for number in range(100)}
    names = {f"{number}{'x' * 1000}": 1 for number in range(100)}
    one = rejected({**long, **names, "labels": labels})

    assert len(one.reason) <= 1000
    assert one.reason.count(";") > 8  # a long name does not crowd out other problems
    assert len(json.dumps(written(one))) < 13_000


def test_the_reason_of_a_rejection_is_short() -> None:
    assert len(reject({}, "m-1", "x" * 100_000).reason) == 1000
