"""The files of the published schemas; `write_schemas.py` writes them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from ..guide import schemas

SCHEMAS = ("commands", "events", "config", "asyncapi")
"""The documents that there are."""


def schema_file(name: str) -> Path:
    """Return where the file of a document lies."""
    return Path(str(files(schemas).joinpath(f"{name}.json")))
