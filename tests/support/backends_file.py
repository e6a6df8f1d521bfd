"""Reads the backends from the text of a backends file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from worker.backends.registry import TABLES
from worker.settings.backends_file.backends import BackendConfig, backends_in, document_of


def parse_backends(
    text: str, *, source: str = "backends file", environ: Mapping[str, str] | None = None, directory: Path | None = None
) -> Mapping[str, BackendConfig]:
    """Read and validate a text as the backends of a whole file; raises ConfigurationError."""
    return backends_in(document_of(text, source), TABLES, source=source, environ=environ, directory=directory)
