"""The command line: `canceller`, which is `python -m worker`."""

from __future__ import annotations

import sys
from importlib.metadata import version


def main() -> None:
    """Run the command that was asked for. Its version alone is answered before anything else is loaded."""
    if sys.argv[1:] in (["--version"], ["-V"], ["version"]):
        sys.stdout.write(f"canceller {version('canceller')}\n")
        return
    from .app import run  # noqa: PLC0415 - takes ten times as long as the version's own answer

    run()
