"""PURE: what all published schemas share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..json_types import Schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SILENT = frozenset({"title", "discriminator"})
"""What pydantic writes but JSON Schema does not know, or nobody needs."""


def document(name: str, title: str, description: str, body: Mapping[str, Any]) -> Schema:
    """Return a whole schema; `name` is the last part of its identifier."""
    head = {"$schema": DIALECT, "$id": f"urn:canceller:schema:{name}", "title": title, "description": description}
    return {**head, **body}


def tidied(schema: Any) -> Any:
    """Leave out what a schema of pydantic's has besides JSON Schema's own keywords; names of properties stay."""
    if isinstance(schema, list):
        return [tidied(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: tidied(one) for name, one in value.items()} if key in {"properties", "$defs"} else tidied(value)
        for key, value in schema.items()
        if key not in SILENT and not (key == "default" and value is None)
    }


def one_of_or_null(schema: Mapping[str, Any]) -> Schema:
    """Allow null in place of a value."""
    if {"type": "null"} in schema.get("anyOf", ()):
        return dict(schema)
    default = {name: schema[name] for name in ("default", "description") if name in schema}
    return {"anyOf": [{key: one for key, one in schema.items() if key not in default}, {"type": "null"}], **default}


def fields(properties: Mapping[str, Schema], *optional: str, closed: bool = False, **more: Any) -> Schema:
    """Describe an object in which all properties are required except the optional ones.

    It may have others, unless it is `closed`: what we write only grows.
    """
    required = [name for name in properties if name not in optional]
    shut = {"additionalProperties": False} if closed else {}
    return {"type": "object", "properties": dict(properties), "required": required, **shut, **more}
