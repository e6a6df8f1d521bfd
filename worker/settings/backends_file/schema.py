"""PURE: the JSON Schema of the backends file, for editors.

It describes what the file may hold, not whether the files and variables that it names exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from ..environment import PRODUCER
from .auth import KeystoneAuth
from .backend_table import Kinds
from .backends import NAME
from .fields import Table
from .producers import Producer
from .sinks import KINDS as SINKS
from .sinks import WebhookSink

Schema = dict[str, Any]
SOURCES: Final = ("env", "file")
"""Where a secret may be: each is a pair of keys, such as `token_env` and `token_file`."""
KEYSTONE_USERS: Final = (
    ("username", "password"),
    ("application_credential_id", "application_credential_secret"),
)
"""The pairs of keys of which Keystone needs one: a user's, or an application credential's."""
NULL: Final = {"type": "null"}


def _of_kinds(models: Mapping[str, type[Table]]) -> Schema:
    """Return the schema of a table whose `kind` decides what else it holds."""
    chosen = [
        {"if": {"properties": {"kind": {"const": kind}}}, "then": {"$ref": f"#/$defs/{model.__name__}"}}
        for kind, model in models.items()
    ]
    return {"type": "object", "properties": {"kind": {"enum": list(models)}}, "required": ["kind"], "allOf": chosen}


def _tables(about: str, pattern: str, table: Schema, **more: Any) -> Schema:
    return {
        "type": "object",
        "description": about,
        "propertyNames": {"pattern": pattern},
        "additionalProperties": table,
        **more,
    }


def _with_single_texts(table: Schema) -> Schema:
    """Allow a single text in place of a list with only that text."""
    properties = {
        name: {"anyOf": [one, one["items"]]} if one.get("type") == "array" else one
        for name, one in table["properties"].items()
    }
    return {**table, "properties": properties}


def schema(kinds: Kinds) -> Schema:
    """Return the schema of a backends file with these kinds of backends; the caller adds its id and title."""
    models: list[type[Table]] = [*kinds.values(), *SINKS.values(), Producer]
    _, found = models_json_schema([(one, "validation") for one in models], ref_template="#/$defs/{model}")
    schemas = {name: _table(name, one) for name, one in found["$defs"].items()}
    producer = _with_single_texts(schemas[Producer.__name__])
    properties = {
        "backends": _tables(
            "The remote systems whose jobs are to be stopped.", f"^{NAME.pattern}$", _of_kinds(kinds), minProperties=1
        ),
        "producers": _tables("Who may send signed commands.", f"^{PRODUCER.pattern}$", producer),
        "sinks": _tables("Where events are delivered to.", f"^{NAME.pattern}$", _of_kinds(SINKS)),
        "require_signed": {"type": "boolean", "description": "Must each command be signed by a producer?"},
    }
    whole = {"type": "object", "properties": properties, "required": ["backends"], "additionalProperties": False}
    return {**whole, "$defs": {name: one for name, one in schemas.items() if name != Producer.__name__}}


def _table(name: str, found: Schema) -> Schema:
    table = _without_null(found)
    if name in {model.__name__ for model in SINKS.values()}:
        table = _with_single_texts(table)
    if name == WebhookSink.__name__:
        return {**table, "anyOf": [{"required": [f"secret_{source}"]} for source in SOURCES]}
    properties = table.get("properties", {})
    variables = [key for key in properties if key.endswith("_env") and key != "keys_env"]
    stems = [stem for key in variables if f"{(stem := key.removesuffix('_env'))}_file" in properties]
    one_source = {stem: {"oneOf": [{"required": [f"{stem}_{source}"]} for source in SOURCES]} for stem in stems}
    if name == KeystoneAuth.__name__:
        return {**table, "oneOf": [{"allOf": [one_source[stem] for stem in user]} for user in KEYSTONE_USERS]}
    return {**table, "allOf": list(one_source.values())} if one_source else table


def _without_null(schema: Any) -> Any:
    """Remove null, which TOML does not have: a key that may be None may be left out."""
    if isinstance(schema, list):
        return [_without_null(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if NULL in schema.get("anyOf", ()):
        (one,) = (one for one in schema["anyOf"] if one != NULL)
        rest = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
        return _without_null({**one, **rest})
    about = {"description": schema["description"].partition("\n")[0]} if "description" in schema else {}
    return {**{key: _without_null(value) for key, value in schema.items()}, **about}
