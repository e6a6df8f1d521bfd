"""The command line: `canceller`, which is `python -m worker`."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version


def main() -> None:
    """Run the command that was asked for.

    Its version, and what a shell asks to complete a line, are answered before the rest is loaded.
    """
    if sys.argv[1:] in (["--version"], ["-V"], ["version"]):
        if sys.stdout is None:  # it was closed by whoever started this
            sys.exit(1)
        sys.stdout.write(f"canceller {version('canceller')}\n")
        return
    if "_CANCELLER_COMPLETE" in os.environ:
        from .completing import complete  # noqa: PLC0415 - as below

        complete()
        return
    from .app import run  # noqa: PLC0415 - takes ten times as long as the version's own answer

    run()
