"""PURE: the JSON Schema of commands, and of the keyword arguments of each task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, get_args

from ..batches import (
    OPEN_LIMIT,
    ORDERS,
    PART_LIMIT,
    PART_TASK,
    PARTS_LIMIT,
    RATE_LIMIT,
    SHARE_TEXT,
    OnChanged,
)
from ..json_types import Schema, clean
from ..messages import CHILD, HOLD_TIME, SUBMIT_LIMIT, Command
from ..operator_actions import TASKS, OperatorAction
from .documents import document, fields, one_of_or_null, tidied

MEANINGS: Final[Mapping[str, str]] = {
    "verb": "Stop the job, or stop it and remove its record.",
    "backend": "A name in the backends file.",
    "job_id": "The backend's own id; 1 and '1' are one job.",
    "command_id": "The producer's idempotency key; default: the id of the Celery task.",
    "reason": "Why; in every event. Control characters are left out.",
    "requested_by": "Who asks; in every event.",
    "force": "Can only be stricter than the backend's policy.",
    "force_after": "Seconds; can only be longer than the backend's.",
    "give_up_after": "Seconds; can only be shorter than the backend's.",
    "remote_stopped": "The producer's word that the remote process no longer runs.",
    "lane": "A batch never delays interactive work.",
    "batch_id": "In every event.",
    "labels": "In every event. A number or a boolean counts as its text.",
    "params": "What the backend needs beside the id, such as cluster_id.",
    "not_before": "No call is made before this time, 30 days ahead at most.",
    "dry_run": "Look, decide and change nothing.",
    "expect": "Send nothing unless the job is in this state.",
    "reply_to": "Sinks of the backends file that get its events, whatever their filters say.",
    "traceparent": "W3C trace context; default: that of the message's headers.",
    "token": "The producer's signature, a JWT.",
}
"""What each field of a command means."""

ACTION_FIELDS: Final[Mapping[str, Callable[[], Schema]]] = {
    "for": HOLD_TIME.json_schema,
    "child": CHILD.json_schema,
}
"""The arguments of operator actions besides who and why, by the names in `OperatorAction.fields`."""

NOTHING: Final[Schema] = {"type": "null"}
"""What a field that does not belong there may hold: null is as good as absent."""
WORDS: Final[Schema] = {"type": "string", "minLength": 1}
UNICODE: Final[Schema] = {"not": {"pattern": r"[\ud800-\udfff]"}}
"""No halves of surrogate pairs."""


def command() -> Schema:
    """Return the schema of one command."""
    whole = tidied(Command.model_json_schema(ref_template="#/$defs/{model}"))
    required = whole["required"]
    properties = {
        name: {**(schema if name in required else one_of_or_null(schema)), "description": MEANINGS[name]}
        for name, schema in whole["properties"].items()
    }
    return {**whole, "properties": properties, "additionalProperties": NOTHING}


def _task_of(verb: str) -> Schema:
    """Return the schema of a command whose verb is that of its task."""
    whole = command()
    properties = {**whole["properties"], "verb": {"const": verb}}
    required = [name for name in whole["required"] if name != "verb"]
    title = {"description": f"The keyword arguments of worker.{verb}."}
    return {**whole, **title, "properties": properties, "required": required}


def _action(task: str, action: OperatorAction) -> Schema:
    own = {name: one_of_or_null(ACTION_FIELDS[name]()) for name in action.fields}
    properties = {
        "id": {**WORDS, "description": "Of a cancellation or of a command."},
        "by": {**WORDS, "description": "Who."},
        "reason": {**WORDS, "description": "Why."},
        **own,
        "token": {**one_of_or_null({"type": "string"}), "description": MEANINGS["token"]},
    }
    about = f"The keyword arguments of {task}."
    return fields(properties, *own, "token", closed=True, description=about)


def _batch() -> Schema:
    share: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    percent = {"type": "string", "pattern": rf"^{SHARE_TEXT}(?!\n)$"}
    options: dict[str, Schema] = {
        "rate": {"type": "number", "exclusiveMinimum": 0, "maximum": RATE_LIMIT, "description": "Starts per second."},
        "canary": {
            "type": "integer",
            "minimum": 0,
            "description": "This many members must end without a failure first.",
        },
        "stop_at": {"anyOf": [share, percent], "description": "It pauses once the share of failures passes this."},
        "max_open": {
            "type": "integer",
            "minimum": 1,
            "maximum": OPEN_LIMIT,
            "description": "Members open at once.",
        },
        "on_changed": {"enum": list(get_args(OnChanged)), "description": "With `apply`, `expect` is ignored."},
    }
    either = {name: one_of_or_null(schema) for name, schema in options.items()}
    number = {"type": "integer", "minimum": 1, "maximum": PARTS_LIMIT}
    member = {"description": "A command; an invalid one is rejected on its own."}
    properties = {
        "batch_id": clean(128, 1),
        "part": {**number, "description": "Which part this is; not above `parts`."},
        "parts": number,
        "commands": {"type": "array", "items": member, "minItems": 1, "maxItems": PART_LIMIT},
        "options": one_of_or_null({**fields(either, *either), "additionalProperties": NOTHING}),
        "token": {**one_of_or_null(clean(8192)), "description": MEANINGS["token"]},
    }
    later: Schema = {"if": {"properties": {"part": {"minimum": 2}}}, "then": {"properties": {"options": NOTHING}}}
    about = f"The keyword arguments of {PART_TASK}; the options come with part 1."
    return {**fields(properties, "options", "token", description=about, **later), "additionalProperties": NOTHING}


def _batch_order(task: str) -> Schema:
    hold = {"hold": {**one_of_or_null({"type": "boolean"}), "description": "Hold what is open, too."}}
    properties = {
        "id": {**clean(128, 1), "description": "Of the batch."},
        "by": {**WORDS, **UNICODE, "description": "Who."},
        "reason": {**WORDS, **UNICODE, "description": "Why."},
        **(hold if ORDERS[task] == "batch_pause" else {}),
        "token": {**one_of_or_null(clean(8192)), "description": MEANINGS["token"]},
    }
    about = f"The keyword arguments of {task}."
    return {**fields(properties, "hold", "token", description=about), "additionalProperties": NOTHING}


def tasks() -> dict[str, Schema]:
    """Return the schema of the keyword arguments of each task."""
    commands = {"type": "array", "items": {"$ref": "#/$defs/command"}, "minItems": 1, "maxItems": SUBMIT_LIMIT}
    about = "The keyword arguments of worker.submit."
    return {
        "worker.cancel": _task_of("cancel"),
        "worker.delete": _task_of("delete"),
        "worker.submit": fields({"commands": commands}, closed=True, description=about),
        PART_TASK: _batch(),
        **{task: _batch_order(task) for task in ORDERS},
        **{task: _action(task, action) for task, action in TASKS.items()},
    }


def schema() -> Schema:
    """Return the published schema: a command, the keyword arguments of each task, and what these refer to."""
    one = command()
    parts = one.pop("$defs", {})
    of_tasks = {name: {key: value for key, value in task.items() if key != "$defs"} for name, task in tasks().items()}
    about = (
        "One command. The keyword arguments of each task are under $defs, by the task's name. "
        "A field that is null counts as absent."
    )
    return document(
        "commands", "Commands", about, {"$ref": "#/$defs/command", "$defs": {"command": one, **of_tasks, **parts}}
    )
