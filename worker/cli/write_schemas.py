"""Makes the published schemas from the code: `python -m worker.cli.write_schemas` writes their files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, Final

from ..backends.registry import TABLES
from ..protocol.schemas import commands, events
from ..protocol.schemas.asyncapi import asyncapi
from ..protocol.schemas.documents import document, tidied
from ..settings.backends_file import schema as backends_file
from .guide_files import SCHEMAS

ABOUT_CONFIG = "The backends file (TOML): one table for each remote system, and who may send commands."

MAKERS: Final[Mapping[str, Callable[[], Mapping[str, Any]]]] = {
    "commands": commands.schema,
    "events": events.schema,
    "config": lambda: document("config", "Backends file", ABOUT_CONFIG, tidied(backends_file.schema(TABLES))),
    "asyncapi": lambda: asyncapi(version("canceller")),
}
"""What makes each document."""


def written(name: str) -> str:
    """Return a document as it is written to its file; only ASCII, so that no editor or terminal changes it."""
    return json.dumps(MAKERS[name](), indent=2) + "\n"


if __name__ == "__main__":
    for made, file in SCHEMAS.items():
        file.write_text(written(made), encoding="utf-8")
