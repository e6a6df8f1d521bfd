"""Batches as they cross the wire: what is accepted, and what is wrong with the rest."""

from __future__ import annotations

from typing import Any

import pytest

from worker.domain.errors import InvalidCommand
from worker.protocol.batches import (
    EMPTY,
    ORDERS,
    BatchOptions,
    BatchState,
    member_id,
    parse_options,
    parse_order,
    parse_part,
)

PART: dict[str, Any] = {"batch_id": "b", "part": 1, "parts": 2, "commands": [{"verb": "cancel"}, 7]}
ORDER = {"id": "b", "by": "ann", "reason": "because"}


def test_a_part_keeps_its_commands_as_they_are() -> None:
    part = parse_part({**PART, "options": {"rate": 5, "canary": None}, "token": None})

    assert part.commands == PART["commands"]
    assert part.options == BatchOptions(rate=5.0)


WRONG = {
    "no id": ({"batch_id": None}, "batch_id: is required"),
    "a control character in its id": ({"batch_id": "a\nb"}, "batch_id: holds a control character"),
    "a long id": ({"batch_id": "x" * 129}, "batch_id: has more than 128"),
    "no part": ({"part": 0}, "part: must be 1 or more"),
    "a part that is a text": ({"part": "1"}, "part: must be a whole number"),
    "a part behind the last": ({"part": 3}, "part: is 3 of 2"),
    "too many parts": ({"parts": 10_001}, "parts: must be 10000 or less"),
    "no commands": ({"commands": []}, EMPTY),
    "too many commands": ({"commands": [1] * 1001}, "commands: has more than 1000 entries"),
    "commands that are no list": ({"commands": {}}, "commands: must be a list"),
    "an unknown field": ({"colour": 1}, "colour: "),
    "options of a later part": ({"part": 2, "options": {}}, "options: come with part 1 only"),
    "an unknown option": ({"options": {"colour": 1}}, "options.colour: "),
    "options that are no object": ({"options": 7}, "options: "),
}


@pytest.mark.parametrize(("changes", "why"), WRONG.values(), ids=list(WRONG))
def test_a_part_that_is_wrong_says_where(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidCommand) as caught:
        parse_part({**PART, **changes})
    assert str(caught.value).startswith(why)


def test_the_digest_of_a_part_names_its_content_and_not_its_signature() -> None:
    part = parse_part(PART)

    assert parse_part({**PART, "token": "t"}).digest == part.digest
    assert parse_part({**PART, "commands": [7]}).digest != part.digest
    assert parse_part({**PART, "options": {"rate": 1}}).digest != part.digest


SHARES = {"percent": ("10%", 0.1), "a number": (0.25, 0.25), "its text": (" 0.5 ", 0.5), "all": ("100%", 1.0)}


@pytest.mark.parametrize(("given", "share"), SHARES.values(), ids=list(SHARES))
def test_a_share_is_a_number_or_percent(given: object, share: float) -> None:
    assert parse_options({"stop_at": given}).stop_at == share


OPTIONS = {
    "no object": ([], "options: must be an object"),
    "a canary of more than a batch can hold": ({"canary": 10**400}, "canary: must be"),
    "no share": ({"stop_at": "often"}, "stop_at: is not a share such as '10%' or 0.1"),
    "a share that is true": ({"stop_at": True}, "stop_at: is not a share"),
    "nothing of a share": ({"stop_at": "0%"}, "stop_at: must be more than 0"),
    "more than all": ({"stop_at": "101%"}, "stop_at: must be 1 or less"),
    "a rate of nothing": ({"rate": 0}, "rate: must be more than 0"),
    "a rate that is a text": ({"rate": "5"}, "rate: is not a number"),
    "a rate without end": ({"rate": float("inf")}, "rate: "),
    "half a canary": ({"canary": 1.5}, "canary: must be a whole number"),
    "nothing open": ({"max_open": 0}, "max_open: must be 1 or more"),
}


@pytest.mark.parametrize(("options", "why"), OPTIONS.values(), ids=list(OPTIONS))
def test_an_option_that_is_wrong_says_which(options: object, why: str) -> None:
    with pytest.raises(InvalidCommand) as caught:
        parse_options(options)
    assert str(caught.value).startswith(why)


@pytest.mark.parametrize("task", ORDERS)
def test_an_order_names_who_and_why(task: str) -> None:
    order = parse_order(task, {**ORDER, "by": "ann\x1b[31m"})

    assert (order.action, order.batch_id, order.by, order.reason) == (ORDERS[task], "b", "ann", "because")
    assert not order.hold


def test_only_a_pause_holds() -> None:
    assert parse_order("worker.batch_pause", {**ORDER, "hold": True}).hold
    with pytest.raises(InvalidCommand, match=r"^batch_abort: hold: "):
        parse_order("worker.batch_abort", {**ORDER, "hold": True})


@pytest.mark.parametrize("missing", ["id", "by", "reason"])
def test_an_order_without_who_why_or_what_is_wrong(missing: str) -> None:
    with pytest.raises(InvalidCommand, match=f"batch_resume: {missing}: is required"):
        parse_order("worker.batch_resume", {**ORDER, missing: None})


MEMBERS = {
    "its own": ({"command_id": "own"}, "own"),
    "none": ({}, "b:7"),
    "an empty one": ({"command_id": ""}, "b:7"),
    "one that is no text": ({"command_id": 5}, "b:7"),
    "no object": (5, "b:7"),
}


@pytest.mark.parametrize(("content", "named"), MEMBERS.values(), ids=list(MEMBERS))
def test_a_member_is_named_by_its_place_unless_it_has_an_id(content: object, named: str) -> None:
    assert member_id("b", 7, content) == named


def test_only_two_states_are_final() -> None:
    assert [one for one in BatchState if one.final] == [BatchState.FINISHED, BatchState.INCOMPLETE]
