from __future__ import annotations

import base64
import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.envelope import BARE as BARE_ENVELOPE
from worker.envelope import Envelope
from worker.inbox import Commands, Order, Refusal, read
from worker.intake import LETTER_LIMIT, Door, Intake, new_id, reject
from worker.model import Force, Lane
from worker.records import fragment
from worker.signing import NOT_ALLOWED, Producer, Signatures, sign
from worker.transitions import Acceptance, Rejection

BARE = {"verb": "cancel", "backend": "ess", "job_id": "1"}
DEEP: list[Any] = []
for _ in range(20_000):
    DEEP = [DEEP]


@pytest.fixture(scope="module")
def intake(build: Any) -> Intake:
    """A backend that takes everything, one that requires who and why, and one that takes digits and a cluster id."""

    def adapter(params: frozenset[str] = frozenset(), problem: str = "") -> Any:
        return SimpleNamespace(
            params=params,
            problem=lambda job: "" if job.id.isdecimal() else problem,
            address=lambda job: job.params.get("cluster_id", ""),
        )

    return Intake(
        {
            "ess": Door(adapter(), build.policy()),
            "strict": Door(adapter(), build.policy(), frozenset({"reason", "requested_by"})),
            "mrs": Door(
                adapter(frozenset({"cluster_id"}), "job_id: is no number"), build.policy("mrs", force=Force.NEVER)
            ),
        },
        make_id=lambda: "new",
    )


def accepted(intake: Intake, **fields: Any) -> Acceptance:
    one = intake.take({**BARE, **fields}, "task-1")
    assert isinstance(one, Acceptance)
    return one


def rejected(intake: Intake, content: Any) -> Rejection:
    one = intake.take(content, "task-1")
    assert isinstance(one, Rejection)
    return one


def written(one: Rejection) -> dict[str, Any]:
    """The data of the event, as any strict JSON reader takes it."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = ("{" + fragment(one.data) + "}").encode()
    return dict(json.loads(text, parse_constant=refuse))


def test_a_command_without_an_id_has_the_tasks(intake: Intake) -> None:
    assert accepted(intake).command_id == "task-1"


def test_a_commands_own_id_counts(intake: Intake) -> None:
    assert accepted(intake, command_id="mine").command_id == "mine"


def test_an_int_and_a_text_are_one_job(intake: Intake) -> None:
    one, other = accepted(intake, job_id=1), accepted(intake, job_id="1")
    assert (one.job_id, one.digest) == (other.job_id, other.digest)


@pytest.mark.parametrize(
    ("wish", "force", "force_after", "give_up_after"),
    [
        pytest.param({}, "attested", 1800, 86400, id="the-backends-own"),
        pytest.param({"force": "auto"}, "attested", 1800, 86400, id="a-looser-force-is-no-error"),
        pytest.param({"force": "never"}, "never", 1800, 86400, id="a-stricter-force"),
        pytest.param({"force_after": 60}, "attested", 1800, 86400, id="a-shorter-wait-is-no-error"),
        pytest.param({"force_after": 0}, "attested", 1800, 86400, id="no-wait-is-no-error"),
        pytest.param({"force_after": 7200}, "attested", 7200, 86400, id="a-longer-wait"),
        pytest.param({"give_up_after": 60}, "attested", 1800, 60, id="an-earlier-end"),
        pytest.param({"give_up_after": 1e12}, "attested", 1800, 86400, id="a-later-end-is-no-error"),
    ],
)
def test_wishes_are_only_ever_stricter_and_what_holds_is_told(
    intake: Intake, wish: dict[str, Any], force: str, force_after: float, give_up_after: float
) -> None:
    one = accepted(intake, **wish)
    assert (one.force, one.force_after, one.give_up_after) == (force, force_after, give_up_after)
    effective = {"force": force, "force_after": force_after, "give_up_after": give_up_after}
    assert one.effective == {"effective": effective}


def test_what_the_producer_said_is_kept_for_the_events(intake: Intake) -> None:
    one = accepted(intake, reason="budget", requested_by="billing", labels={"a": "b"}, batch_id="b1")
    assert one.said == {"reason": "budget", "requested_by": "billing", "labels": {"a": "b"}, "batch_id": "b1"}


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        pytest.param({}, "", id="nobody"),
        pytest.param({"remote_stopped": True}, "a producer (command task-1)", id="an-unnamed-producer"),
        pytest.param({"remote_stopped": True, "requested_by": "ann"}, "ann (command task-1)", id="ann"),
    ],
)
def test_the_word_that_the_remote_process_stopped_is_attributed(
    intake: Intake, fields: dict[str, Any], word: str
) -> None:
    assert accepted(intake, **fields).remote_stopped == word


def test_the_rest_is_handed_on(intake: Intake) -> None:
    one = accepted(intake, backend="mrs", lane="batch", params={"cluster_id": "c"}, traceparent="00-ab")
    assert (one.lane, one.params, one.traceparent, one.cancellation_id) == (
        Lane.BATCH,
        {"cluster_id": "c"},
        "00-ab",
        "new",
    )


def test_what_beside_the_id_addresses_a_job_is_the_adapters_word(intake: Intake) -> None:
    assert accepted(intake, backend="mrs", params={"cluster_id": "c"}).address == "c"


def test_a_token_goes_no_further(intake: Intake) -> None:
    assert "s3cr3t" not in repr(accepted(intake, token="s3cr3t"))


# Refusals


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"backend": "nope"}, "backend: no backend has this name; known: ess, mrs, strict", id="backend"),
        pytest.param({"backend": "strict"}, "reason, requested_by: this backend requires it", id="required"),
        pytest.param({"backend": "strict", "reason": "x", "requested_by": ""}, "requested_by: this", id="empty"),
        pytest.param({"params": {"a": "b"}}, "params: this backend has no parameter a; known: none", id="no-params"),
        pytest.param({"backend": "mrs", "params": {"b": ""}}, "parameter b; known: cluster_id", id="unknown-param"),
        pytest.param({"backend": "mrs", "job_id": "x"}, "job_id: is no number", id="the-adapters-own-problem"),
        pytest.param({"job_id": ".."}, "job_id: '.' and '..' are no job ids", id="a-bad-value"),
        pytest.param({"jobid": "x"}, "jobid: is no field of a command", id="an-unknown-field"),
    ],
)
def test_a_bad_command_is_refused_with_what_and_why(intake: Intake, fields: dict[str, Any], reason: str) -> None:
    one = rejected(intake, {**BARE, **fields})
    assert reason in one.reason
    assert written(one)["error"] == one.reason


def test_no_backend_at_all_is_said_so() -> None:
    assert "known: none" in rejected(Intake({}), BARE).reason


HOSTILE: list[Any] = [
    None, 1, "text", [], [BARE], {}, DEEP, {"backend": DEEP, "job_id": DEEP, "labels": DEEP}, {"job_id": 10**5000},
    {"backend": "\ud800", "job_id": "\udfff", "reason": "\x00\ud800", "command_id": "\ud800"}, {"\ud800": "\ud800"},
    {"backend": "x" * 10**6, "job_id": "x" * 10**6, "reason": "x" * 10**6}, {"job_id": float("nan"), "backend": 1},
    {"reason": float("inf"), "labels": {"a": float("nan")}, "batch_id": -float("inf"), "verb": True},
    {"job_id": True, "backend": False, "command_id": True}, {"command_id": "x" * 10**6}, {"command_id": {"a": 1}},
    {(1, 2): 3}, {"job_id": b"\xff"}, {"reason": object()},
]  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_came_is_refused_with_an_event_that_any_reader_takes(intake: Intake, content: Any) -> None:
    one = rejected(intake, content)
    data = written(one)
    assert data["error"]
    assert data["command_id"]
    assert len(json.dumps(data)) < 50_000
    for text in (one.mark, one.reason, one.raw, one.backend, one.subject):
        text.encode()


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["backend", "job_id", "verb", "reason", "labels", "command_id", "token", "x"]),
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(), max_size=8) | st.just([{}]),
    )
)
def test_no_content_ever_breaks_a_refusal(content: dict[str, Any]) -> None:
    assert written(reject(content, "task-1", "why"))["error"] == "why"


def test_a_command_that_we_fail_on_is_refused_by_itself(build: Any) -> None:
    def fails(_: Any) -> str:
        raise LookupError("a bug")

    intake = Intake({"ess": Door(cast("Any", SimpleNamespace(params=frozenset(), problem=fails)), build.policy())})

    assert rejected(intake, BARE).reason == "LookupError while it was taken in"


def test_a_refusal_echoes_what_could_be_read(intake: Intake) -> None:
    data = written(rejected(intake, {**BARE, "job_id": 7, "reason": "budget", "command_id": "mine", "force": "x"}))
    assert (data["command_id"], data["job_id"], data["backend"], data["reason"]) == ("mine", "7", "ess", "budget")


def test_a_refusal_is_addressed_to_its_backend_and_job(intake: Intake) -> None:
    one = rejected(intake, {**BARE, "job_id": 7, "force": "x"})
    assert (one.backend, one.subject) == ("ess", "7")


@pytest.mark.parametrize("token", ["s3cr3t", "s3cr3t\x00", ["s3cr3t"], {"s3cr3t": "s3cr3t"}], ids=repr)
def test_a_refusal_never_carries_the_token_into_its_event(intake: Intake, token: Any) -> None:
    one = rejected(intake, {**BARE, "token": token, "force": "x"})
    assert "s3cr3t" not in json.dumps(written(one)) + one.reason


def test_the_raw_message_is_kept_as_it_came(intake: Intake) -> None:
    content = {**BARE, "force": "x", "reason": "ü"}
    assert json.loads(rejected(intake, content).raw) == content


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
    assert isinstance(refused, Refusal)
    letter = reject(refused.content, "m-1", refused.reason)

    assert "secret" not in letter.raw


def test_of_a_large_message_the_beginning_is_kept(intake: Intake) -> None:
    content = {"reason": "x" * 3 * LETTER_LIMIT}
    one = rejected(intake, content)
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
    ("content", "now", "around", "stranger"),
    [
        pytest.param(BARE, NOW, BARE_ENVELOPE, True, id="C5-unsigned"),
        pytest.param({**BARE, "token": FORGED}, NOW, BARE_ENVELOPE, True, id="C5-forged"),
        pytest.param({**BARE, "token": TOKEN, "job_id": "2"}, NOW, BARE_ENVELOPE, True, id="C5-changed"),
        pytest.param({**BARE, "token": TOKEN}, NOW, ENVELOPE, True, id="C5-late-and-not-looked-at"),
        pytest.param({**BARE, "token": TOKEN}, NOW + timedelta(days=1), BARE_ENVELOPE, False, id="C5-signed-too-early"),
        pytest.param({**BARE, "token": TOKEN}, NOW, BARE_ENVELOPE, False, id="C5-signed-and-wrong"),
    ],
)
def test_a_stranger_is_who_has_signed_nothing_that_holds(
    content: Any, now: datetime, around: Envelope, stranger: bool,  # noqa: FBT001
) -> None:  # fmt: skip
    one = Intake({}, signatures=GUARDED).take(content, "task-1", now, around)

    assert isinstance(one, Rejection)
    assert one.stranger is stranger


def test_a_producer_without_the_right_is_no_stranger() -> None:
    bounded = Signatures({"ops": replace(OPS, verbs=frozenset({"delete"}))}, required=True)
    one = Intake({}, signatures=bounded).take({**BARE, "token": TOKEN}, "task-1", NOW)

    assert isinstance(one, Rejection)
    assert (one.reason, one.stranger) == (NOT_ALLOWED, False)


def test_nobody_is_a_stranger_where_nobody_signs(intake: Intake) -> None:
    assert not rejected(intake, {}).stranger


def test_of_a_strangers_message_little_is_kept() -> None:
    one = Intake({}, signatures=GUARDED).take({**BARE, "reason": "x" * 900_000}, "task-1", NOW)

    assert isinstance(one, Rejection)
    assert len(one.raw) < 8192
    assert json.loads(one.raw)["bytes"] > 900_000
    assert json.loads(one.raw)["beginning"].startswith('{"verb": "cancel"')


def test_most_of_a_strangers_commands_are_kept_whole() -> None:
    content = {**BARE, "reason": "budget", "labels": {"team": "pay"}}
    one = Intake({}, signatures=GUARDED).take(content, "task-1", NOW)

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
def test_no_token_is_kept_or_told_wherever_a_message_has_it(task: str, args: Any, kwargs: Any) -> None:
    item = read(task, "m-1", args, kwargs, {})
    if isinstance(item, Refusal):
        letter = reject(item.content, "m-1", item.reason)
    elif isinstance(item, Order):
        letter = reject(item.content, "m-1", f"no cancellation or command is known as {item.reference!r}")
    else:
        assert isinstance(item, Commands)
        taken = Intake({}).take(*item.contents[0])
        assert isinstance(taken, Rejection)
        letter = taken
    said = f"{letter.raw} {letter.mark} {letter.reason} {letter.backend} {letter.subject} {written(letter)}"

    for secret in (TOKEN.split(".")[2], base64.b64encode(TOKEN.encode()).decode()[-40:], "a.plain.word"):
        assert secret not in said
    json.loads(letter.raw)


def test_a_dotted_word_is_no_token(intake: Intake) -> None:
    content = {**BARE, "backend": "ess.eu.example", "job_id": "a.b.c", "reason": "see a.b.c.d"}
    one = rejected(intake, content)

    assert json.loads(one.raw) == content
    assert (one.backend, one.subject, one.data["reason"]) == ("ess.eu.example", "a.b.c", "see a.b.c.d")


HOSTILE_TEXT = "a\x1b[2J\x1b]0;t\x07b\nfinished\tcancelled\r\x00\x7f\x85\x9b1m\u2028\u2029\u202e\u2066\ud800"


@pytest.mark.parametrize("name", ["backend", "job_id", "reason", "requested_by", "command_id", "batch_id", "verb", "x"])
@pytest.mark.parametrize("shape", [lambda text: text, lambda text: {text: text}, lambda text: [text]], ids=range(3))
def test_what_is_told_of_a_hostile_text_is_one_line_of_plain_characters(
    intake: Intake, name: str, shape: Callable[[str], Any]
) -> None:
    one = rejected(intake, {**BARE, "force": "x", name: shape(HOSTILE_TEXT), f"x{HOSTILE_TEXT}": 1})
    data = written(one)
    texts = [one.reason, one.raw, one.backend, one.subject, data["error"], data["command_id"], *values(data)]

    for text in texts:
        assert not [char for char in text if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]


def values(data: Any) -> Iterator[str]:
    """Yield all texts of an event's data, names included."""
    for name, value in data.items():
        yield name
        yield from values(value) if isinstance(value, dict) else [str(value)]


def test_an_id_with_a_control_character_is_none(intake: Intake) -> None:
    one = rejected(intake, {**BARE, "command_id": "a\nb"})

    assert (one.command_id, one.data["command_id"]) == ("task-1", "task-1")


def test_a_refusal_is_found_by_the_id_that_its_sender_knows(intake: Intake) -> None:
    """Some turn the direction of writing, and are told as what they are."""
    one = rejected(intake, {**BARE, "command_id": "a\u202eb", "force": "x"})

    assert (one.command_id, one.data["command_id"]) == ("a\u202eb", r"a\u202eb")


def test_what_is_told_is_short(intake: Intake) -> None:
    long = dict.fromkeys(("backend", "job_id", "reason", "requested_by", "batch_id", "verb"), "x" * 10000)
    labels = {f"{number}{'x' * 1000}": "x" * 1000 for number in range(100)}
    names = {f"{number}{'x' * 1000}": 1 for number in range(100)}
    one = rejected(intake, {**long, **names, "labels": labels})

    assert len(one.reason) <= 1000
    assert one.reason.count(";") > 8  # a long name hides no other problem
    assert len(json.dumps(written(one))) < 13_000


def test_the_reason_of_a_refusal_is_short() -> None:
    assert len(reject({}, "m-1", "x" * 100_000).reason) == 1000


def test_the_same_refusal_has_the_same_mark_and_no_other_has(intake: Intake) -> None:
    contents = [{"a": 1}, {"a": 2}, {"a": 1, "command_id": "b"}]
    marks = [rejected(intake, content).mark for content in contents]
    assert len(set(marks)) == 3
    assert marks == [rejected(intake, content).mark for content in contents]


def test_the_same_bad_content_of_two_tasks_is_refused_twice(intake: Intake) -> None:
    assert {intake.take({}, name).mark for name in ("t1", "t2")} == {reject({}, name, "").mark for name in ("t1", "t2")}
    assert reject({}, "t1", "").mark != reject({}, "t2", "").mark


# Ids


def test_ids_are_unique_and_sort_by_time() -> None:
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [one[:12] for one in ids] == sorted(one[:12] for one in ids)


def test_an_id_is_a_uuid_of_version_7() -> None:
    one = new_id()
    assert (len(one), one[12], one[16] in "89ab") == (32, "7", True)
    int(one, 16)


def test_what_could_be_read_of_the_labels_stays_an_object(intake: Intake) -> None:
    content = {"verb": "cancel", "backend": "ess", "job_id": "1", "labels": {"team": "pay", "n": 1}, "foo": 1}
    refused = intake.take(content, "task-1")

    assert isinstance(refused, Rejection)
    assert refused.data["labels"] == {"team": "pay", "n": "1"}
