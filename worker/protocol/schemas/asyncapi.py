"""PURE: the AsyncAPI 3 document: commands come in through a queue, events go out through a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..json_types import Schema
from . import commands, events

OURS: Final = "#/$defs/"
THEIRS: Final = "#/components/schemas/"


def asyncapi(version: str) -> Schema:
    """Return the document of a version of this package."""
    tasks = {name: _message_of_task(name, one["description"]) for name, one in commands.tasks().items()}
    types = {one.name: _message_of_event(one) for one in events.TYPES}
    return {
        "asyncapi": "3.0.0",
        "id": "urn:canceller",
        "info": {
            "title": "Canceller",
            "version": version,
            "description": "Makes sure that a job on a remote system really stops, escalates when it does not, and "
            "proves what it saw.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "commands": {
                "address": "commands",
                "title": "The queue of commands",
                "description": "A Celery queue (CANCELLER_QUEUE) on the broker. Each message is one of Celery's, in "
                "protocol 2 and JSON; the payloads here are its keyword arguments.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in tasks},
            },
            "events": {
                "address": "{prefix}:events",
                "title": "The stream of events",
                "description": "A Redis stream. Each entry has one field, `event`, which holds the payload.",
                "parameters": {
                    "prefix": {
                        "default": "{canceller}",
                        "description": "CANCELLER_PREFIX in braces, which are part of the key.",
                    }
                },
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in types},
            },
        },
        "operations": {
            "takeCommands": {"action": "receive", "channel": {"$ref": "#/channels/commands"}},
            "emitEvents": {"action": "send", "channel": {"$ref": "#/channels/events"}},
        },
        "components": {
            "messages": {**tasks, **types},
            "schemas": relocated({**commands.schema()["$defs"], **events.schema()["$defs"]}),
        },
    }


def _message_of_task(name: str, about: str) -> Schema:
    headers = {
        "type": "object",
        "properties": {
            "task": {"const": name},
            "id": {"type": "string", "description": "The command's id, unless it brings its own."},
        },
        "required": ["task", "id"],
    }
    return {"name": name, "summary": about, "headers": headers, "payload": {"$ref": THEIRS + name}}


def _message_of_event(one: events.Type) -> Schema:
    return {
        "name": one.name,
        "summary": one.about,
        "contentType": "application/cloudevents+json",
        "payload": {"$ref": THEIRS + one.name},
    }


def relocated(schema: Any) -> Any:
    """Point references to where the schemas are in this document."""
    if isinstance(schema, Mapping):
        return {
            key: THEIRS + one.removeprefix(OURS) if key == "$ref" and isinstance(one, str) else relocated(one)
            for key, one in schema.items()
        }
    return [relocated(one) for one in schema] if isinstance(schema, list) else schema
