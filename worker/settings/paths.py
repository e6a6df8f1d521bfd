"""Paths as people write them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

EMBEDDED_URL_FILE: Final = "redis.url"
"""Where a running embedded Redis leaves its address, in the data directory."""


def expanded(path: str | Path) -> Path:
    """Replace a leading `~` by the home directory.

    Raises:
        ValueError: No home directory is known: not every user has one, or even a name.

    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ValueError("~ stands for a home directory, and none is known here: write the whole path") from None


def state_directory(environ: Mapping[str, str]) -> Path | None:
    """Return where our state is kept unless a setting says otherwise; None if no home directory is known."""
    state = environ.get("XDG_STATE_HOME", "")
    if state.startswith("/"):
        return Path(state) / "canceller"
    home = os.path.expanduser("~")  # noqa: PTH111 - pathlib raises if no home is known, this does not
    return Path(home) / ".local/state/canceller" if home.startswith("/") else None
