"""What a newer version may have written into a backends file: tables and keys that this version does not know.

They are left out before the rest is validated, so that old workers start with a new file during a rolling upgrade.
What this version knows is validated as usual.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from pydantic import BaseModel

from ..problems import suggestion
from .backend_table import Kinds
from .backends import AUTHS, TABLES_IN, TOP_LEVEL
from .producers import Producer
from .sinks import KINDS

WRITTEN_SECRETS: Final = frozenset({"key", "keys", "secret", "secrets", "public_key", "broker_url"})
"""Keys under which somebody wrote a secret, or meant to name one: these are still mistakes."""


def without_unknown(document: Mapping[str, Any], kinds: Kinds) -> tuple[dict[str, Any], list[str]]:
    """Return what this version knows of a backends file, and one text for each table or key that it leaves alone.

    Args:
        document: The file's content, read from TOML.
        kinds: The table of each kind of backend.

    """
    left: list[str] = []
    known = _known_keys("", document, TOP_LEVEL, left)
    for key, models in (("backends", kinds), ("sinks", KINDS)):
        if isinstance(tables := known.get(key), Mapping):
            known[key] = _known_kinds(key, tables, models, left)
    if isinstance(tables := known.get("producers"), Mapping):
        known["producers"] = {
            name: _known_fields(f"[producers.{name}] ", table, Producer, left) for name, table in tables.items()
        }
    return known, left


def _known_kinds(
    key: str, tables: Mapping[str, Any], models: Mapping[str, type[BaseModel]], left: list[str]
) -> dict[str, Any]:
    known = {}
    for name, table in tables.items():
        header = f"[{key}.{name}] "
        kind = table.get("kind") if isinstance(table, Mapping) else None
        if not isinstance(kind, str):
            known[name] = table
        elif kind in models:
            known[name] = _known_fields(header, table, models[kind], left)
        else:
            left.append(f"{header}kind: no such kind here, so the whole table is left alone{suggestion(kind, models)}")
    return known


def _known_fields(place: str, table: object, model: type[BaseModel], left: list[str]) -> object:
    """Return a table, and the tables in it, without the keys that its model does not have."""
    if not isinstance(table, Mapping):
        return table
    known = _known_keys(place, table, model.model_fields.keys(), left)
    for key, inner in known.items():
        if not isinstance(inner, Mapping):
            continue
        own = AUTHS.get(str(inner.get("type"))) if key == "auth" else TABLES_IN.get(key)
        if own is not None:  # else its keys are the operator's own, or its type is unknown
            known[key] = _known_fields(f"{place}{key}.", inner, own, left)
    return known


def _known_keys(place: str, table: Mapping[str, Any], known: Collection[str], left: list[str]) -> dict[str, Any]:
    found = {}
    for key, value in table.items():
        if key in known or f"{key}_env" in known or key in WRITTEN_SECRETS:
            found[key] = value
        else:
            left.append(f"{place}{key}: no such key or table here, so it is left alone{suggestion(key, known)}")
    return found
