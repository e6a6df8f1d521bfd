"""The command line: `canceller`, which is `python -m worker`."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version


def main() -> None:
    """Run the command that was asked for.

    Its version, and what a shell asks to complete a line, are answered before the rest is loaded.
    """
    open_closed_streams()
    if sys.argv[1:] in (["--version"], ["-V"], ["version"]):
        sys.stdout.write(f"canceller {version('canceller')}\n")
        return
    if "_CANCELLER_COMPLETE" in os.environ:
        from .completing import complete  # noqa: PLC0415 - as below

        complete()
        return
    from .app import run  # noqa: PLC0415 - takes ten times as long as the version's own answer

    run()


def open_closed_streams() -> None:
    """Lead to nothing what whoever started this has closed, as `>&-` does: else the next file would take its place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free is this one
            setattr(sys, name, open(number, "r" if name == "stdin" else "w", encoding="utf-8", closefd=False))  # noqa: SIM115
