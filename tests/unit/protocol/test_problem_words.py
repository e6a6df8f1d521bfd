"""What a sender is told about an invalid message."""

from __future__ import annotations

from typing import Any

import pytest

from worker.domain.errors import InvalidCommand
from worker.protocol.messages import parse_command

BARE = {"verb": "cancel", "backend": "ess", "job_id": "1"}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a field is missing": ({"backend": None}, "backend: is required but missing"),
    "a long reason": ({"reason": "x" * 1001}, "reason: has more than 1000 characters"),
    "a long name": ({"requested_by": "x" * 129}, "requested_by: has more than 128 characters"),
    "an empty id": ({"job_id": ""}, "job_id: must not be empty"),
    "an empty command id": ({"command_id": ""}, "command_id: must not be empty"),
    "a long job id": ({"job_id": "x" * 513}, "job_id: has more than 512 characters"),
    "many labels": ({"labels": {str(one): "" for one in range(17)}}, "labels: has more than 16 entries"),
    "a long label": ({"labels": {"a": "x" * 257}}, "labels.a: has more than 256 characters"),
    "a long name of a label": ({"labels": {"x" * 65: ""}}, "a name in labels: has more than 64 characters"),
    "a label without a name": ({"labels": {"": ""}}, "a name in labels: must not be empty"),
    "labels that are a text": ({"labels": "a=b"}, "labels: must be an object"),
    "an expectation that is a text": ({"expect": "RUNNING"}, "expect: must be an object"),
    "sinks that are a text": ({"reply_to": "billing"}, "reply_to: must be a list"),
    "many sinks": ({"reply_to": ["a"] * 17}, "reply_to: has more than 16 entries"),
    "a sink that is a number": ({"reply_to": [1]}, "reply_to.0: must be a string"),
    "another word": ({"force": "maybe"}, "force: must be 'auto', 'attested' or 'never'"),
    "a text for a flag": ({"dry_run": "yes"}, "dry_run: must be true or false"),
    "no time": ({"give_up_after": 0}, "give_up_after: must be more than 0"),
    "a time before": ({"force_after": -1}, "force_after: must be 0 or more"),
    "a time too long": ({"force_after": 1e300}, "force_after: must be 315360000 or less"),
    "a text for seconds": ({"force_after": "30m"}, "force_after: is not a number of seconds"),
    "a field mistyped": ({"resaon": "x"}, "resaon: is not a known field; did you mean reason?"),
    "a field of nothing": ({"zzz": "x"}, "zzz: is not a known field"),
}


@pytest.mark.parametrize(("fields", "told"), WRONG.values(), ids=WRONG)
def test_a_sender_is_told_the_field_and_the_rule_in_its_own_terms(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidCommand) as rejected:
        parse_command({**BARE, **fields})

    assert str(rejected.value) == told


@pytest.mark.parametrize(
    ("content", "kind"),
    [(None, "null"), (True, "a boolean"), (1, "a number"), ("x", "a string"), ([], "a list"), (b"", "something else")],
    ids=repr,
)
def test_what_is_no_object_is_named_as_json_names_it(content: object, kind: str) -> None:
    with pytest.raises(InvalidCommand, match=f"this is {kind}$"):
        parse_command(content)


def test_of_many_problems_the_first_are_told() -> None:
    with pytest.raises(InvalidCommand) as rejected:
        parse_command({**BARE, **{f"field_{number}": 1 for number in range(100_000)}})

    assert str(rejected.value).startswith("field_0: is not a known field; field_1: is not a known field")
    assert len(str(rejected.value)) <= 1000
