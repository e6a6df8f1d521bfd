from __future__ import annotations

import json
import math
import uuid
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.errors import InvalidCommand
from worker.protocol.envelope import plain
from worker.protocol.messages import Command, CommandFields, Event, ExpectedState, parse_command

BARE = {"verb": "cancel", "backend": "ess", "job_id": "1"}
DEEP: list[Any] = []
for _ in range(20_000):
    DEEP = [DEEP]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def command(**fields: Any) -> Command:
    return parse_command({**BARE, **fields})


def test_the_three_required_fields_are_enough() -> None:
    one = command()
    assert (one.lane, one.remote_stopped, one.labels, one.params, one.force) == ("interactive", False, {}, {}, None)


@pytest.mark.parametrize("name", list(BARE))
def test_each_required_field_is_named_when_it_is_missing(name: str) -> None:
    with pytest.raises(InvalidCommand, match=f"{name}: is required"):
        parse_command({key: value for key, value in BARE.items() if key != name})


@pytest.mark.parametrize("content", [None, 1, "cancel", [BARE], b"{}", 1.5, True], ids=repr)
def test_what_is_no_object_is_no_command(content: object) -> None:
    with pytest.raises(InvalidCommand, match="a command is a JSON object"):
        parse_command(content)


NO_SECONDS: tuple[Any, ...] = (-1, math.nan, math.inf, -math.inf, 10**400, True, "60", "30m", "", [], {})
BAD: dict[str, tuple[Any, ...]] = {
    "job_id": (
        *("", ".", "..", "\x00", "a\nb", "a\x7f", "\u200b", "\u2028", "\ud800", "x" * 513, "x" * 1_000_000),
        *(10**512, 10**5000, True, False, None, 1.5, 1e300, math.nan, math.inf, ["1"], {"id": 1}, DEEP),
    ),
    "backend": ("", "\x00", "e\ns", "\udfff", "x" * 65, 1, True, None, ["ess"]),
    "verb": ("", "CANCEL", "stop", 1, None, ["cancel"]),
    "command_id": ("", "x" * 129, "\x1b", 1, {}),
    "reason": ("x" * 1001, "x" * 1001 + "\x1b[0m", 1, []),
    "requested_by": ("x" * 129, "\x00", 1),
    "force": ("always", "", "AUTO", True, 1),
    "force_after": (*NO_SECONDS, 1e308),
    "give_up_after": (*NO_SECONDS, 0),
    "remote_stopped": (1, 0, "true", "yes"),
    "lane": ("fast", "", 1),
    "batch_id": ("x" * 129, "\x00", 7),
    "labels": (
        *({"x" * 65: ""}, {"a": "x" * 257}, {"": "a"}, {"a\x00": "b"}, {"a": 10**300}, {"a": None}, {"a": {}}),
        *({"a": math.nan}, {"a": math.inf}, {"a": [1]}, {1: "a"}),
        *({"\ud800": "a"}, {str(n): "" for n in range(17)}, [], "a=b", DEEP),
    ),
    "params": ({"a": "x" * 513}, {"a": 1}, {str(n): "" for n in range(33)}, {"a": "\x00"}, "a"),
    "traceparent": ("ü", "a b", "\u2028", "a\r\nHost: x", "x" * 129, 1),
    "token": ("x" * 8193, "\x00", 1, []),
    **dict.fromkeys(("jobid", "JOB_ID", "", "id", "\x00", "x" * 9999), ("x",)),
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name[:20]!a}-{number}")
        for name, values in BAD.items()
        for number, value in enumerate(values)
    ],
)
def test_a_bad_value_is_refused_and_its_field_named(name: str, value: object) -> None:
    with pytest.raises(InvalidCommand) as refused:
        command(**{name: value})
    assert name[:64] in str(refused.value)
    assert len(str(refused.value)) <= 1000


COMMENTS = {
    "a colour": ("\x1b[1;31mover budget\x1b[0m", "over budget"),
    "a colour by one byte": ("\x9b31mover budget\x9bm", "over budget"),
    "a title": ("\x1b]0;gotcha\x07over budget", "over budget"),
    "a link": ("\x1b]8;;http://x\x1b\\over budget\x1b]8;;\x1b\\", "over budget"),
    "a character set": ("\x1b(Bover budget\x1b=", "over budget"),
    "an escape that ends nowhere": ("over budget\x1b]0;", "over budget"),
    "a bell, a null, a backspace": ("over\x07 \x00bud\bget\x7f", "over budget"),
    "half a surrogate pair": ("over \ud83d budget", "over \ufffd budget"),
    "lines": ("over\r\n\tbudget", "over\r\n\tbudget"),
    "nothing but a colour": ("\x1b[31m", ""),
}


@pytest.mark.parametrize(("sent", "kept"), COMMENTS.values(), ids=COMMENTS)
def test_what_can_not_be_shown_is_left_out_of_a_comment(sent: str, kept: str) -> None:
    taken = command(reason=sent, labels={"why": sent})

    assert (kept, {"why": kept}) == (taken.reason, taken.labels)


def test_what_is_left_out_of_a_comment_does_not_count_for_its_length() -> None:
    assert "ü" * 1000 == command(reason=f"\x1b[31m{'ü' * 1000}\x1b[0m").reason


@pytest.mark.parametrize(
    ("sent", "kept"), [(4711, "4711"), (-1, "-1"), (0, "0"), (True, "true"), (False, "false"), (0.5, "0.5")]
)
def test_a_label_that_is_a_number_or_a_boolean_is_its_text(sent: object, kept: str) -> None:
    assert {"order": kept} == command(labels={"order": sent}).labels


def test_a_number_and_its_text_are_the_same_label() -> None:
    assert command(labels={"order": 4711}).digest == command(labels={"order": "4711"}).digest


GOOD: dict[str, tuple[Any, ...]] = {
    "job_id": ("x", "x" * 512, "...", "a b/../c?x=1#y", "%2e%2e", "ü漢😀", "'; DROP", 2**63 - 1, 0, -5),
    "backend": ("x" * 64,),
    "command_id": ("x" * 128,),
    "reason": ("ü" * 1000, "", "line 1\r\n\tline 2"),
    "requested_by": ("x" * 128,),
    "force": ("auto", "attested", "never", None),
    "force_after": (0, 0.25, 1800, 86400 * 365),
    "give_up_after": (0.001, 60, 1e12, 1e308),
    "remote_stopped": (True, False),
    "lane": ("interactive", "batch"),
    "labels": ({"l" * 62 + str(n): "x" * 256 for n in range(10, 26)}, {"a": ""}, {"a": "b\tc\n"}),
    "params": ({f"p{n}": "x" * 512 for n in range(32)},),
    "traceparent": ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "", None),
    "token": ("x" * 8192,),
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name}-{number}")
        for name, values in GOOD.items()
        for number, value in enumerate(values)
    ],
)
def test_a_value_within_the_contracts_limits_is_taken(name: str, value: object) -> None:
    expected = str(value) if name == "job_id" else value
    assert getattr(command(**{name: value}), name) == expected


@pytest.mark.parametrize("name", [name for name in GOOD if name not in BARE])
def test_null_is_the_same_as_nothing(name: str) -> None:
    assert command(**{name: None}) == command()
    assert command(**{name: None}).digest == command().digest


@pytest.mark.parametrize(
    "value", ["s3cr3t-value\x00" * 1000, {"s3cr3t-value": 1}, ["s3cr3t-value"]], ids=["a text", "a mapping", "a list"]
)
@pytest.mark.parametrize("name", ["token", "reason", "backend", "traceparent"])
def test_a_refusal_never_repeats_a_value(name: str, value: object) -> None:
    with pytest.raises(InvalidCommand) as refused:
        command(**{name: value})
    assert "s3cr3t" not in str(refused.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(InvalidCommand) as refused:
        parse_command({"verb": "stop", "job_id": ".", "lane": "x", "colour": "red"})
    told = str(refused.value)
    assert all(name in told for name in ("verb:", "backend:", "job_id:", "lane:", "colour: is not a known field"))


def test_a_token_is_never_shown() -> None:
    assert "s3cr3t" not in repr(command(token="s3cr3t"))


def test_a_command_does_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        command().backend = "mrs"  # type: ignore[misc]


@given(st.dictionaries(st.sampled_from([*Command.model_fields, "other"]), JSON, max_size=6))
def test_any_json_is_a_command_or_is_refused(content: dict[str, Any]) -> None:
    try:
        parse_command({**BARE, **content})
    except InvalidCommand as error:
        str(error).encode()


# The digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"job_id": 1}, {"job_id": "1"}, id="an-int-and-a-str-are-one-job"),
        pytest.param({}, {"lane": "interactive", "remote_stopped": False, "labels": {}}, id="defaults-spelled-out"),
        pytest.param({"reason": None}, {}, id="none-is-absent"),
        pytest.param({"force_after": 60}, {"force_after": 60.0}, id="60-is-60.0"),
        pytest.param({"labels": {"a": "1", "b": "2"}}, {"labels": {"b": "2", "a": "1"}}, id="the-order-of-labels"),
        pytest.param({"traceparent": "00-a"}, {"traceparent": "00-b"}, id="a-resend-has-a-trace-of-its-own"),
        pytest.param({"token": "a"}, {"token": "b"}, id="a-token-signed-again"),
        pytest.param({"command_id": "a"}, {"command_id": "b"}, id="the-id-itself"),
    ],
)
def test_the_same_content_has_one_digest(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert command(**one).digest == command(**other).digest


@pytest.mark.parametrize(
    "fields",
    [
        *({"verb": "delete"}, {"backend": "mrs"}, {"job_id": "2"}, {"job_id": "01"}, {"reason": "x"}),
        *(
            {"requested_by": "x"},
            {"force": "never"},
            {"force_after": 1},
            {"give_up_after": 1},
            {"remote_stopped": True},
        ),
        *({"reply_to": ["s"]}, {"lane": "batch"}, {"batch_id": "x"}, {"labels": {"a": "b"}}, {"params": {"a": "b"}}),
    ],
    ids=repr,
)
def test_another_content_has_another_digest(fields: dict[str, Any]) -> None:
    assert command(**fields).digest != command().digest


def test_a_digest_fits_its_column() -> None:
    assert len(command(reason="ü" * 1000).digest) == 16


# What a producer's type checker knows


def told(type_: Any) -> Any:
    """Return a type without None and without annotations that only pydantic reads."""
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is Annotated:
        return told(arguments[0])
    if origin in {Union, UnionType}:
        left = {told(one) for one in arguments if one is not NoneType}
        return left.pop() if len(left) == 1 else frozenset(left)
    if origin in {dict, Mapping}:
        return ("mapping", *(told(one) for one in arguments))
    return type_


def test_the_typed_fields_are_those_of_a_command() -> None:
    fields = get_type_hints(Command, include_extras=True)
    own = {name: told(fields[name]) for name in Command.model_fields.keys() - BARE.keys()}
    own["expect"] = ExpectedState  # pydantic parses it into an `Expectation`
    own["not_before"] = frozenset({own["not_before"], str})  # pydantic also parses a time from text
    own["reply_to"] = Sequence[str]

    assert {name: told(type_) for name, type_ in get_type_hints(CommandFields).items()} == own


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        pytest.param(uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001", id="uuid"),
        pytest.param(MappingProxyType({"team": "a"}), {"team": "a"}, id="read-only mapping"),
        pytest.param(OrderedDict(team="a"), {"team": "a"}, id="ordered mapping"),
        pytest.param(1, 1, id="number"),
        pytest.param(None, None, id="none"),
        pytest.param([1], [1], id="what a command can't be"),
    ],
)
def test_what_json_has_no_word_for_is_sent_as_what_it_has(given: object, sent: object) -> None:
    assert plain({"field": given}) == {"field": sent}
    assert json.dumps(plain({"field": given})["field"]) == json.dumps(sent)


# Events


def event(**fields: Any) -> Event:
    whole = {
        "id": "c1-7",
        "source": "/canceller/ess",
        "type": "canceller.cancellation.finished.v1",
        "time": "2026-01-02T03:04:05Z",
        "data": {},
    }
    return Event.model_validate_json(json.dumps({**whole, **fields}))


def test_an_events_name_is_the_middle_word_of_its_type() -> None:
    assert event().name == "finished"
    assert event(type="canceller.backend.paused.v1").name == "paused"


@pytest.mark.parametrize(
    ("data", "ids"),
    [
        pytest.param({"command_ids": ["a", "b"]}, ["a", "b"], id="of-a-cancellation"),
        pytest.param({"command_id": "a"}, ["a"], id="of-a-rejection"),
        pytest.param({}, [""], id="of-nobody"),
    ],
)
def test_an_event_names_the_commands_that_it_is_about(data: dict[str, Any], ids: list[str]) -> None:
    assert event(data=data).command_ids == ids


def test_an_attribute_of_a_later_version_is_kept() -> None:
    assert event(severity="high").model_dump()["severity"] == "high"
