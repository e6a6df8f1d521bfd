"""A client checks all commands of a batch before it sends the first part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from worker.client.batches import Parts
from worker.domain.errors import InvalidCommand
from worker.protocol.messages import Command

BARE = {"verb": "cancel", "backend": "ess"}


def commands(count: int) -> Iterator[Mapping[str, Any]]:
    return ({**BARE, "job_id": index} for index in range(count))


def test_commands_are_sent_in_parts_of_a_thousand() -> None:
    parts = Parts(commands(2001))
    try:
        assert parts.count == 3
        assert [len(part) for part in parts] == [1000, 1000, 1]
        assert [part[0]["job_id"] for part in parts] == ["0", "1000", "2000"]
    finally:
        parts.close()


def test_a_command_that_is_a_value_is_as_good_as_its_fields() -> None:
    parts = Parts([Command(verb="cancel", backend="ess", job_id="1", labels={"team": "a"})])
    try:
        assert list(parts) == [[{**BARE, "job_id": "1", "labels": {"team": "a"}}]]
    finally:
        parts.close()


def test_an_empty_selection_is_an_error() -> None:
    with pytest.raises(InvalidCommand, match="nothing is selected"):
        Parts([])


def test_the_first_wrong_command_is_named_by_its_index() -> None:
    with pytest.raises(InvalidCommand, match=r"^commands\.1: job_id: "):
        Parts([{**BARE, "job_id": "1"}, {**BARE, "job_id": ""}])
