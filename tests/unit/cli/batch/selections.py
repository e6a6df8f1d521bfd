"""Reads a selection from bytes, as the tests of the formats do."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from typing import Any

import pytest

from worker.cli.batch.selection import SelectionMistakes, select
from worker.cli.batch.spool import spool

DEFAULTS = {"verb": "cancel", "backend": "ess"}


def selected(
    content: str | bytes,
    name: str = "jobs",
    defaults: Mapping[str, Any] = DEFAULTS,
    backends: Collection[str] = ("ess", "oml"),
) -> list[dict[str, Any]]:
    """Return the commands that a file selects."""
    return chosen(content, name, defaults, backends)[0]


def chosen(
    content: str | bytes,
    name: str = "jobs",
    defaults: Mapping[str, Any] = DEFAULTS,
    backends: Collection[str] = ("ess", "oml"),
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the commands that a file selects, and what is reported about omitted lines."""
    data = content.encode() if isinstance(content, str) else content
    with spool() as members:
        left_out = select(io.BytesIO(data), name, members, defaults, backends)
        assert len(members) == len([*members])
        return [*members], left_out


def mistakes(content: str | bytes, name: str = "jobs", defaults: Mapping[str, Any] = DEFAULTS) -> list[str]:
    """Return what is wrong with a file."""
    with pytest.raises(SelectionMistakes) as found:
        selected(content, name, defaults)
    return list(found.value.texts)


def ids(commands: list[dict[str, Any]]) -> list[object]:
    """Return the ids of the jobs."""
    return [command["job_id"] for command in commands]
