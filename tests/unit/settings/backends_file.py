"""Reads a backends file, or returns its mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from support.backends_file import parse_backends

from worker.settings.backends_file.backends import BackendConfig
from worker.settings.errors import ConfigurationError

ENVIRON: Mapping[str, str] = {
    "USER_NAME": "u",
    "ID": "id",
    "PASS": "hunter2",
    "TOKEN": "hunter2\n",
    "KEY": "hunter2",
    "EMPTY": "",
    "LINES": "hunter2\r\nX: 1",
    "UMLAUT": "hünter2",
    "FILED": "k\n",
}


def parse(
    text: str, environ: Mapping[str, str] = ENVIRON, directory: Path | None = None
) -> Mapping[str, BackendConfig]:
    return parse_backends(text, source="b.toml", environ=environ, directory=directory)


def one(table: str, environ: Mapping[str, str] = ENVIRON, directory: Path | None = None) -> BackendConfig:
    """Read the content of one backend's table."""
    return parse(f"[backends.x]\n{table}", environ, directory)["x"]


def problems(text: str, environ: Mapping[str, str] = ENVIRON) -> tuple[str, ...]:
    """Return the mistakes in a whole file."""
    with pytest.raises(ConfigurationError) as caught:
        parse(text, environ)
    return caught.value.problems
