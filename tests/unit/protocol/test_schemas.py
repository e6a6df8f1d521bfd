"""The published schemas: they are valid, they accept the same commands as the product, and they cover every event."""

from __future__ import annotations

import gzip
import json
import string
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator
from support.schemas import check_event

from worker.domain.errors import InvalidCommand
from worker.intake.decoder import ActionRequest, Commands, read
from worker.protocol.batches import BATCH_TASKS, ORDERS, parse_order, parse_part
from worker.protocol.messages import Command, parse_command
from worker.protocol.operator_actions import ACTIONS, TASKS
from worker.protocol.schemas import commands, events
from worker.protocol.schemas.asyncapi import asyncapi
from worker.protocol.schemas.documents import tidied
from worker.views.summary import GISTS

META = Path(__file__).parent / "asyncapi" / "3.0.0.json.gz"
BARE = {"verb": "cancel", "backend": "ess", "job_id": "1"}
COMMANDS = commands.schema()
JUDGE = Draft202012Validator(COMMANDS)


def judge_of(task: str) -> Draft202012Validator:
    return Draft202012Validator({**COMMANDS, "$ref": f"#/$defs/{task}"})


@pytest.mark.parametrize(
    "schema", [COMMANDS, events.schema(), events.schema(closed=True)], ids=["commands", "events", "closed"]
)
def test_a_schema_is_a_schema(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


def test_the_asyncapi_document_is_one() -> None:
    meta = json.loads(gzip.decompress(META.read_bytes()))
    document = asyncapi("1.2.3")

    assert [error.message[:300] for error in Draft7Validator(meta).iter_errors(document)] == []
    assert document["info"]["version"] == "1.2.3"


def test_the_asyncapi_document_names_every_task_and_every_event() -> None:
    document = asyncapi("1")
    channels = document["channels"]

    assert channels["commands"]["messages"].keys() == commands.tasks().keys()
    assert channels["events"]["messages"].keys() == {one.name for one in events.TYPES}
    assert all(_resolves(document, reference) for reference in _references(document))


def _references(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
        return own + [one for value in schema.values() for one in _references(value)]
    return [one for value in schema for one in _references(value)] if isinstance(schema, list) else []


def _resolves(document: Any, reference: str) -> bool:
    for part in reference.removeprefix("#/").split("/"):
        if part not in document:
            return False
        document = document[part]
    return True


def test_every_field_of_a_command_has_its_meaning() -> None:
    assert commands.MEANINGS.keys() == Command.model_fields.keys()


def test_every_task_is_described() -> None:
    assert {
        "worker.cancel",
        "worker.delete",
        "worker.submit",
        *BATCH_TASKS,
        *TASKS,
    } <= commands.tasks().keys()


def test_every_event_that_can_be_told_in_a_line_is_described() -> None:
    assert {one.name.split(".")[-2] for one in events.TYPES} >= GISTS.keys()


def test_what_only_pydantic_knows_is_left_out_and_names_of_fields_stay() -> None:
    schema = {"title": "X", "properties": {"title": {"title": "T", "default": None, "anyOf": [{"title": "a"}]}}}
    assert tidied(schema) == {"properties": {"title": {"anyOf": [{}]}}}


SPICE = "\x00\n\t\x1b\x7f\x85\xa0\u200b\u2028\ud800.<é漢"
TEXTS = st.text(string.ascii_letters + SPICE, max_size=6) | st.integers(60, 70).map("x".__mul__)
LONG = st.sampled_from([120, 128, 129, 255, 256, 257, 300, 301, 511, 512, 513, 1000, 1001, 8192, 8193]).map("x".__mul__)
PLAIN = st.text(string.ascii_letters, max_size=6)
NUMBERS = (
    st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, 0.0, 1.0, 315360000, 315360001])
)
ANY: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | NUMBERS | TEXTS | LONG | st.just([]) | st.just({}) | st.just(["x"])
)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-11)), None])
MOMENTS = st.datetimes(datetime(1000, 1, 1), datetime(9000, 1, 1), timezones=ZONES).map(datetime.isoformat)  # noqa: DTZ001
ODD_MOMENTS = st.from_regex(
    r"\A(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9][T t][0-2][0-9]:[0-6][0-9]:[0-6][0-9]"
    r"(\.[0-9]{1,9})?(Z|z|[+-][0-2][0-9]:[0-6][0-9])\n?\Z"
)
SOME: dict[str, st.SearchStrategy[Any]] = {
    "verb": st.sampled_from(["cancel", "delete", "stop", "CANCEL"]),
    "force": st.sampled_from(["auto", "attested", "never", "AUTO"]),
    "lane": st.sampled_from(["interactive", "batch", "slow"]),
    "not_before": MOMENTS | ODD_MOMENTS,
    "labels": st.dictionaries(TEXTS, PLAIN | NUMBERS | st.booleans() | st.none(), max_size=3)
    | st.integers(15, 17).map(lambda many: {str(one): "" for one in range(many)}),
    "params": st.dictionaries(PLAIN, TEXTS | LONG | NUMBERS, max_size=3)
    | st.integers(31, 33).map(lambda many: {str(one): "" for one in range(many)}),
    "expect": st.fixed_dictionaries({"raw_state": TEXTS | LONG})
    | st.just({"raw_state": None})
    | st.just({"raw_state": "A", "state": "B"}),
    "reason": PLAIN | LONG,
    "job_id": TEXTS | LONG | st.integers() | st.sampled_from([".", "..", "...", 1.0, 2.5]),
    "no_field": st.none() | TEXTS,
}
"""Values that are interesting for a field, in addition to those that any field may get."""


@st.composite
def contents(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from([*Command.model_fields, "no_field"]), max_size=4, unique=True))
    fields = {name: draw(SOME.get(name, PLAIN | TEXTS) if draw(st.integers(0, 3)) else ANY) for name in names}
    left_out = draw(st.sets(st.sampled_from(list(BARE)), max_size=1)) if draw(st.integers(0, 9)) == 0 else set()
    return {**{name: value for name, value in BARE.items() if name not in left_out}, **fields}


def takes(content: object) -> bool:
    try:
        parse_command(content)
    except InvalidCommand:
        return False
    return True


def in_doubt(content: dict[str, Any]) -> bool:
    """Whether JSON Schema cannot express the rule: unprintable comments, and whole numbers too large to be exact."""
    reason, job_id = content.get("reason"), content.get("job_id")
    comments = (
        [reason, *(content.get("labels") or {}).values()] if isinstance(content.get("labels") or {}, dict) else [reason]
    )
    hidden = any(isinstance(one, str) and not one.isprintable() for one in comments)
    return hidden or (isinstance(job_id, float) and abs(job_id) > 2**53)


@given(contents())
@example({**BARE, "job_id": 1.0})
@example({**BARE, "job_id": -0.0})
@example({**BARE, "not_before": "2024-02-29T00:00:00Z"})
@example({**BARE, "not_before": "2023-02-29T00:00:00Z"})
@example({**BARE, "not_before": "2100-02-29T00:00:00Z"})
@example({**BARE, "not_before": "2000-02-29 23:59:59.123456789-11:30"})
@example({**BARE, "not_before": "2000-02-29T23:59:59Z\n"})
@example({**BARE, "not_before": "2000-02-29T23:59:59-00:60"})
@example({**BARE, "give_up_after": 10**400})
@example({**BARE, "traceparent": "a\n"})
@example({**BARE, "command_id": None, "no_field": None})
@example({**BARE, "backend": None})
def test_the_schema_takes_what_the_product_takes_and_nothing_else(content: dict[str, Any]) -> None:
    assume(not in_doubt(content))
    assert JUDGE.is_valid(content) is takes(content)


@pytest.mark.parametrize("content", [None, 1, "cancel", [BARE], True], ids=repr)
def test_what_is_no_object_is_no_command_by_the_schema_either(content: object) -> None:
    assert not JUDGE.is_valid(content)


def decoded(task: str, kwargs: dict[str, Any]) -> bool:
    item = read(task, "m-1", (), kwargs, {})
    if isinstance(item, Commands):
        return all(takes(content) for content, _ in item.contents)
    return isinstance(item, ActionRequest)


@given(task=st.sampled_from(["worker.cancel", "worker.delete"]), content=contents(), verb=st.booleans())
def test_a_task_takes_the_arguments_that_its_schema_takes(task: str, content: dict[str, Any], verb: bool) -> None:  # noqa: FBT001 - drawn
    assume(not in_doubt(content))
    kwargs = content if verb else {name: value for name, value in content.items() if name != "verb"}
    assert judge_of(task).is_valid(kwargs) is decoded(task, kwargs)


@given(st.lists(contents(), max_size=3), st.booleans())
def test_a_submit_takes_the_commands_that_its_schema_takes(some: list[dict[str, Any]], more: bool) -> None:  # noqa: FBT001 - drawn
    assume(not any(map(in_doubt, some)))
    kwargs = {"commands": some, **({"verb": "cancel"} if more else {})}
    assert judge_of("worker.submit").is_valid(kwargs) is decoded("worker.submit", kwargs)


@given(
    st.sampled_from(list(ACTIONS)),
    st.dictionaries(
        st.sampled_from(["id", "by", "reason", "for", "child", "token", "no_field"]),
        PLAIN | NUMBERS | st.none(),
        min_size=2,
    ),
)
def test_an_operator_action_takes_the_arguments_that_its_schema_takes(name: str, fields: dict[str, Any]) -> None:
    kwargs = {"id": "c1", "by": "ann", "reason": "x", **fields}
    child, token = kwargs.get("child"), kwargs.get("token")
    assume(not (isinstance(child, float) and abs(child) > 2**53) and not isinstance(token, int | float))
    assert judge_of(f"worker.{name}").is_valid(kwargs) is decoded(f"worker.{name}", kwargs)


SHARES = st.sampled_from(["10%", "0%", "100%", "100.0%", "100.1%", "0.5", ".5", "1", "1.5", "0", 0.1, 0, 1, 1.1])
OPTIONS = st.dictionaries(st.sampled_from(["rate", "canary", "max_open"]), NUMBERS | st.integers(-1, 3) | ANY)


@given(
    changes=st.dictionaries(st.sampled_from(["batch_id", "token", "no_field", "commands", "options"]), ANY, max_size=2),
    part=st.sampled_from([0, 1, 1.0, 2, 2.5, 10_000, 10_001, None, True]),
    options=st.none() | st.builds(lambda some, share: {**some, "stop_at": share}, OPTIONS, SHARES | ANY),
)
def test_a_batch_takes_the_parts_that_its_schema_takes(
    changes: dict[str, Any], part: Any, options: dict[str, Any] | None
) -> None:
    kwargs = {"batch_id": "b", "part": part, "parts": 10_000, "commands": [BARE], "options": options, **changes}
    try:
        parse_part(kwargs)
    except InvalidCommand:
        assert not judge_of("worker.batch").is_valid(kwargs)
    else:
        judge_of("worker.batch").validate(kwargs)


@given(
    st.sampled_from(list(ORDERS)),
    st.dictionaries(st.sampled_from(["id", "by", "reason", "hold", "token", "no_field"]), PLAIN | ANY, max_size=3),
)
def test_an_order_about_a_batch_takes_the_arguments_that_its_schema_takes(task: str, changes: dict[str, Any]) -> None:
    kwargs = {"id": "b", "by": "ann", "reason": "x", **changes}
    try:
        parse_order(task, kwargs)
    except InvalidCommand:
        assert not judge_of(task).is_valid(kwargs)
    else:
        judge_of(task).validate(kwargs)


EVENT = {
    "specversion": "1.0", "id": "c1-1", "source": "/canceller/ess", "type": "canceller.cancellation.released.v1",
    "subject": "1", "time": "2026-11-22T10:00:00.123Z", "datacontenttype": "application/json", "backend": "ess",
    "cancellationid": "c1", "sequence": "0000000001", "sequencetype": "Integer",
    "data": {
        "cancellation_id": "c1", "command_ids": ["k-1"], "backend": "ess", "job_id": "1", "verb": "cancel",
        "reason": None, "requested_by": None, "labels": {}, "batch_id": None,
        "action": {"name": "release", "by": "ann", "reason": "audited"},
    },
}  # fmt: skip


def test_an_event_of_a_known_type_is_taken() -> None:
    check_event(EVENT)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "canceller.cancellation.thought.v1"},
        {"sequence": "1"},
        {"time": "2026-11-22T10:00:00Z"},
        {"data": {**EVENT["data"], "verb": "stop"}},  # type: ignore[dict-item]
        {"data": {name: one for name, one in EVENT["data"].items() if name != "action"}},  # type: ignore[attr-defined]
    ],
    ids=["unknown-type", "unpadded", "no-milliseconds", "unknown-verb", "no-action"],
)
def test_an_event_that_is_wrong_is_not_taken(changes: dict[str, Any]) -> None:
    assert not Draft202012Validator(events.schema()).is_valid({**EVENT, **changes})


def test_readers_leave_alone_what_later_versions_add() -> None:
    later = {**EVENT, "later": 1, "data": {**EVENT["data"], "later": 1}}  # type: ignore[dict-item]

    assert Draft202012Validator(events.schema()).is_valid(later)
    with pytest.raises(AssertionError, match="later"):
        check_event(later)
