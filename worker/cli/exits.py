"""PURE: exit codes, and which outcomes are what was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """The exit codes."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    NOT_AS_ASKED = 3
    NOT_ALLOWED = 4
    STILL_OPEN = 6


ENDED = frozenset({"cancelled", "force_cancelled", "deleted", "already_finished", "completed_anyway"})
"""The outcomes after which the job no longer runs: all that a cancel asks for."""

PLANNED = "planned"
"""The outcome of a dry run, which asks for nothing else."""

WANTED = {"cancel": ENDED, "delete": frozenset({"deleted"})}

SEVERITY = (Exit.ERROR, Exit.USAGE, Exit.NOT_ALLOWED, Exit.NOT_AS_ASKED, Exit.STILL_OPEN, Exit.DONE)
"""The order in which one code is chosen from several: the first one here wins."""


def exit_of(verb: str, outcome: str) -> Exit:
    """Judge an outcome by what was asked for."""
    if outcome == PLANNED or outcome in WANTED.get(verb, ENDED):
        return Exit.DONE
    return Exit.NOT_ALLOWED if outcome == "refused" else Exit.NOT_AS_ASKED


def most_severe(codes: Iterable[Exit]) -> Exit:
    """Return the most severe of several exit codes."""
    return min(codes, key=SEVERITY.index, default=Exit.DONE)
