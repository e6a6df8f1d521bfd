"""The files of the guide: its pages, and the published schemas, which `write_schemas.py` writes."""

from __future__ import annotations

from pathlib import Path

GUIDE = Path(__file__).resolve().parents[1] / "guide"
"""Where the pages lie, in a checkout as in an installed package."""
SCHEMAS = ("commands", "events", "config", "asyncapi")
"""The documents that there are."""


def schema_file(name: str) -> Path:
    """Return where the file of a document lies."""
    return GUIDE / "schemas" / f"{name}.json"
