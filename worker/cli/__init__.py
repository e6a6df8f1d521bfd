"""The command line: `canceller`, which is `python -m worker`."""

from __future__ import annotations

import os
import sys

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells give it: 128 and the signal's number."""


def main() -> None:
    """Run the command that was asked for; Ctrl-C ends it silently, also while its modules are being loaded."""
    try:
        open_closed_streams()
        from ..observability import streams  # noqa: PLC0415 - an interrupt may come while it is loaded

        streams.guard_standard_output()
        code: int | str | None = None
        try:
            try:
                answer()
            except SystemExit as ended:
                code = ended.code
            sys.stdout.flush()
        except streams.Unwritable as error:
            from .unwritten import end_unwritten  # noqa: PLC0415 - seldom needed

            streams.discard(sys.stdout)  # else Python tries once more at its exit to write what is left
            code = end_unwritten(sys.argv[1:], error, code)
        sys.exit(code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def answer() -> None:
    """Run what was typed; for the version and for a shell's completion the other commands are not loaded."""
    if sys.argv[1:] in (["--version"], ["-V"], ["version"]):
        from importlib.metadata import version  # noqa: PLC0415 - nothing else needs it so early

        sys.stdout.write(f"canceller {version('canceller')}\n")
        return
    if "_CANCELLER_COMPLETE" in os.environ:
        from .completing import complete  # noqa: PLC0415 - as below

        complete()
        return
    from .app import run  # noqa: PLC0415 - takes ten times as long as the version's own answer

    run()


def open_closed_streams() -> None:
    """Open `/dev/null` for standard streams that are closed, as by `>&-`: else the next file would take their place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # this is the lowest free number
            setattr(sys, name, open(number, "r" if name == "stdin" else "w", encoding="utf-8", closefd=False))  # noqa: SIM115
