"""The options that commands share, and how their texts are read."""

from __future__ import annotations

import codecs
import functools
import inspect
import io
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from ..domain.model import Force, Lane
from ..settings.problems import choices, suggestion
from ..settings.quantities import seconds

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
POSITION = re.compile(r"\d{1,20}(-\d{1,20})?")


def duration(text: str) -> float:
    """Read a duration such as `90`, `2s` or `30m` as seconds."""
    try:
        return seconds(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}") from None


def one_of(kind: type[StrEnum]) -> Any:
    """Give an option of a few words."""

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
        raise typer.BadParameter(f"{text!r} is no position: it looks like 1763899200000-0, as `events --json` shows it")
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
        found += _lines(standard_input()) if argument == "-" else [argument]
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
        raise typer.BadParameter(f"standard input is no {encoding} text", param_hint="JOB_ID...") from None


def _lines(text: str) -> list[str]:
    return [line.strip() for line in io.StringIO(text, newline=None) if line.strip()]


JOB_WORDS = 2
"""A backend and its job's id."""


def one_named(words: Sequence[str]) -> None:
    """Check that words can name one cancellation."""
    if len(words) > JOB_WORDS:
        raise typer.BadParameter("give one ID, or a BACKEND and a JOB_ID")


One = Annotated[
    list[str],
    typer.Argument(
        metavar="ID | BACKEND JOB_ID", help="The id of a cancellation or of a command; or a backend and its job's id."
    ),
]
SeveralOpen = Annotated[
    list[str],
    typer.Argument(
        metavar="ID... | BACKEND JOB_ID",
        help="Ids of cancellations or of commands; or a backend and its job's id.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON: one object on each line.")]
BackendsFile = Annotated[
    Path | None, typer.Option("--backends", metavar="FILE", help="The backends file, instead of CANCELLER_BACKENDS.")
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", parser=duration, metavar="DURATION", help="Wait so long at most; then exit 6."),
]
ORDER_PATIENCE = Seconds(15)
"""Seconds for a worker to take an order in."""
OrderTimeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        parser=duration,
        metavar="DURATION",
        help="Wait so long at most for a worker to take it in; then exit 6.",
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
OnlyBackend = Annotated[str, typer.Option("--backend", metavar="NAME", help="Only this backend.")]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who gives the word; kept with it.")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, or from where it is known; kept with it.")]


@dataclass(frozen=True, slots=True)
class Wishes:
    """The fields of a command beside its backend and job id, as options."""

    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why; kept and shown in every event.")] = None
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who asks (`requested_by`).")] = None
    command_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Your idempotency key; only for a single job.")
    ] = None
    force: Annotated[
        Force | None, one_of(Force)(help="When the force step may be taken; only stricter than the backend's.")
    ] = None
    force_after: Annotated[
        float | None, typer.Option(parser=duration, metavar="DURATION", help="Wait longer before the force step.")
    ] = None
    give_up_after: Annotated[
        float | None, typer.Option(parser=duration, metavar="DURATION", help="Then the outcome is timed_out.")
    ] = None
    remote_stopped: Annotated[
        bool, typer.Option("--remote-stopped", help="Your word that the remote process no longer runs.")
    ] = False
    lane: Annotated[Lane, one_of(Lane)(help="`batch` never delays `interactive`.")] = Lane.INTERACTIVE
    batch_id: Annotated[str | None, typer.Option(metavar="ID", help="Carried into every event.")] = None
    label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Carried into every event; may be repeated.")
    ] = None
    param: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="What the backend needs beside the id, e.g. cluster_id; may be repeated."
        ),
    ] = None
    not_before: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="No call is made before it; RFC 3339, e.g. 2026-11-22T10:00:00Z."),
    ] = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Send nothing: look, and tell what would be sent and why; implies --wait.")
    ] = False
    expect: Annotated[
        str | None,
        typer.Option(metavar="raw_state=TEXT", help="Send nothing unless the backend shows this state, in its words."),
    ] = None
    expect_state: Annotated[str | None, typer.Option(metavar="TEXT", help="The same as --expect raw_state=TEXT.")] = (
        None
    )
    traceparent: Annotated[str | None, typer.Option(metavar="TEXT", help="W3C trace context.")] = None

    def command(self) -> dict[str, Any]:
        """Return the fields of a command that were given."""
        values = {
            "reason": self.reason,
            "requested_by": self.by,
            "command_id": self.command_id,
            "force": self.force and str(self.force),
            "force_after": self.force_after,
            "give_up_after": self.give_up_after,
            "remote_stopped": self.remote_stopped or None,
            "lane": str(self.lane),
            "batch_id": self.batch_id,
            "labels": pairs(self.label or (), "--label") or None,
            "params": pairs(self.param or (), "--param") or None,
            "not_before": self.not_before,
            "dry_run": self.dry_run or None,
            "expect": self._expected(),
            "traceparent": self.traceparent,
        }
        return {name: value for name, value in values.items() if value is not None}

    def _expected(self) -> dict[str, str] | None:
        if self.expect is None:
            return None if self.expect_state is None else {"raw_state": self.expect_state}
        if self.expect_state is not None:
            raise typer.BadParameter("it says the same as --expect: give one of them", param_hint="--expect-state")
        return pairs([self.expect], "--expect")


def with_wishes(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the fields of `Wishes` as options of its own, in place of its parameter `wishes`."""
    hints = get_type_hints(command, include_extras=True)
    own = [parameter for name, parameter in inspect.signature(command).parameters.items() if name != "wishes"]
    shared = get_type_hints(Wishes, include_extras=True)

    @functools.wraps(command)
    def flat(**values: Any) -> None:
        wishes = Wishes(**{item.name: values.pop(item.name) for item in fields(Wishes)})
        command(wishes=wishes, **values)

    parameters = [parameter.replace(annotation=hints[parameter.name]) for parameter in own] + [
        inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=item.default, annotation=shared[item.name])
        for item in fields(Wishes)
    ]
    # Typer reads the signature and the annotations of what it is given, not those of what that wraps.
    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return flat
