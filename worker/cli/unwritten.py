"""How a command ends whose standard output can't be written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ..observability import streams
from .exits import Exit

SHOWING: Final = frozenset(
    {
        ("status",),
        ("list",),
        ("why",),
        ("events",),
        ("sinks",),
        ("guide",),
        ("completion",),
        ("batch", "list"),
        ("batch", "status"),
        ("batch", "report"),
        ("dead-letters", "list"),
        ("dead-letters", "show"),
    }
)
"""The commands that only show something."""
HELP: Final = frozenset({"--help", "-h", "--version", "-V"})


def end_unwritten(words: Sequence[str], error: streams.Unwritable, code: int | str | None) -> int | str:
    """Report that standard output can't be written, and return the exit code; `code` is the command's own, if it ended.

    If the command only shows something, a reader that has left, such as `head`, has got what it wanted.
    """
    if error.reader_left and (code or only_shows(words)):
        return code or Exit.DONE
    streams.complain(f"canceller: standard output can't be written: {error}")
    return Exit.ERROR


def only_shows(words: Sequence[str]) -> bool:
    """Whether a command line has no other effect than what it writes."""
    if HELP.intersection(words):
        return True
    command = [*_behind_env_file(words)]
    return not command or tuple(command[:1]) in SHOWING or tuple(command[:2]) in SHOWING


def _behind_env_file(words: Sequence[str]) -> Iterator[str]:
    rest = iter(words)
    for word in rest:
        if word == "--env-file":
            next(rest, None)
        elif not word.startswith("--env-file="):
            yield word
