"""Where this package is, and its name: `worker` in a checkout, `canceller` when installed."""

from __future__ import annotations

from pathlib import Path

PACKAGE = __name__.partition(".")[0]
FOLDER = Path(__file__).resolve().parents[2]
"""The folder that holds the package. Child processes start there: Celery imports from the working directory first."""


def shipped(name: str) -> Path:
    """Return the path of an operator's file that ships with the package: inside it, or beside it in a checkout."""
    installed = FOLDER / PACKAGE / "config" / name
    return installed if installed.exists() else FOLDER / "config" / name
