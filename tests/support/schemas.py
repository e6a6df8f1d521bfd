"""Checks events against the published schemas."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from worker.protocol.schemas import events


@cache
def judge_of_events() -> Draft202012Validator:
    """Return a validator of events that allows no field that the schema does not name."""
    return Draft202012Validator(events.schema(closed=True))


def check_event(event: Mapping[str, Any]) -> None:
    """Check one event, down to the last field."""
    wrong = [f"{error.json_path}: {error.message:.300}" for error in judge_of_events().iter_errors(event)]
    assert not wrong, (event.get("type"), wrong)
