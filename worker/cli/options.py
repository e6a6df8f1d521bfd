"""The options that commands share, and how their texts are read."""

from __future__ import annotations

import codecs
import io
import re
import sys
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ..settings.problems import choices, suggestion
from ..settings.quantities import seconds
from .completing import backend_names, open_ones

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
POSITION = re.compile(r"\d{1,20}(-\d{1,20})?")


def duration(text: str) -> float:
    """Read a duration such as `90`, `2s` or `30m` as seconds."""
    try:
        return seconds(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}") from None


def one_of(kind: type[StrEnum]) -> Any:
    """Return an option whose value is a member of an enum."""

    def read(text: str) -> StrEnum:
        try:
            return kind(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not {choices(kind)}{suggestion(text, kind)}") from None

    return partial(typer.Option, parser=read, metavar=f"[{'|'.join(kind)}]")


class Seconds(float):
    """A default that help texts show as people write it, with its unit."""

    def __str__(self) -> str:
        return f"{self:g}s"


def position(text: str) -> str:
    """Read a position in the event stream."""
    if not POSITION.fullmatch(text):
        raise typer.BadParameter(
            f"{text!r} is not a position: one looks like 1763899200000-0, as `events --json` shows it"
        )
    return text


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """Read repeated `key=value` texts."""
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{text!r} is not key=value", param_hint=option)
        if key in found:
            raise typer.BadParameter(f"{key!r} is given twice", param_hint=option)
        found[key] = value
    return found


def job_ids(arguments: Sequence[str]) -> list[str]:
    """Return the job ids of a command line; `-` stands for those on standard input, one on each line."""
    found: list[str] = []
    for argument in arguments:
        if argument == "-":
            found += [line.strip() for line in io.StringIO(standard_input(), newline=None) if line.strip()]
        else:
            found.append(argument)
    if not found:
        raise typer.BadParameter("standard input holds no job id", param_hint="JOB_ID...")
    return found


def standard_input() -> str:
    """Read all of standard input; a byte order mark, which some editors and shells write first, names its encoding."""
    data = sys.stdin.buffer.read() if sys.stdin else b""
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), sys.stdin and sys.stdin.encoding)
    try:
        return data.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        raise typer.BadParameter(f"standard input is not {encoding} text", param_hint="JOB_ID...") from None


JOB_WORDS = 2
"""A backend and its job's id."""


def one_named(words: Sequence[str]) -> None:
    """Check that words can name one cancellation."""
    if len(words) > JOB_WORDS:
        raise typer.BadParameter("give one ID, or a BACKEND and a JOB_ID")


One = Annotated[
    list[str],
    typer.Argument(
        metavar="ID | BACKEND JOB_ID",
        help="The id of a cancellation or of a command; or a backend and its job's id.",
        autocompletion=open_ones,
    ),
]
SeveralOpen = Annotated[
    list[str],
    typer.Argument(
        metavar="ID... | BACKEND JOB_ID",
        help="Ids of cancellations or of commands; or a backend and its job's id.",
        autocompletion=open_ones,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON: one object per line.")]
BackendsFile = Annotated[
    Path | None, typer.Option("--backends", metavar="FILE", help="The backends file, instead of CANCELLER_BACKENDS.")
]


def check_who_and_why(by: str, reason: str) -> None:
    """Check that an order says by whom it is given and why."""
    for option, text in (("--by", by), ("--reason", reason)):
        if not text.strip():
            raise typer.BadParameter("it is kept with the order and can't be empty", param_hint=option)


Timeout = Annotated[
    float | None,
    typer.Option("--timeout", parser=duration, metavar="DURATION", help="Wait at most this long, then exit 6."),
]
ORDER_PATIENCE = Seconds(15)
"""Seconds for a worker to take an order in."""
OrderTimeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        parser=duration,
        metavar="DURATION",
        help="Wait at most this long for a worker to take it in, then exit 6.",
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="Sign with the key in this file, instead of CANCELLER_KEY_FILE."),
]
Producer = Annotated[
    str | None,
    typer.Option(
        "--producer", metavar="NAME", help="Who signs: a producer of the backends file, instead of CANCELLER_PRODUCER."
    ),
]
OnlyBackend = Annotated[
    str, typer.Option("--backend", metavar="NAME", help="Only this backend.", autocompletion=backend_names)
]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who gives the order; kept with it.")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept with it.")]
