"""The files of the guide: its pages, and the published schemas, which `write_schemas.py` writes."""

from __future__ import annotations

from pathlib import Path

GUIDE = Path(__file__).resolve().parents[1] / "guide"
"""Where the pages are, both in a checkout and in an installed package."""
SCHEMAS = {name: GUIDE / "schemas" / f"{name}.json" for name in ("commands", "events", "config", "asyncapi")}
"""The published documents, and the file of each."""
