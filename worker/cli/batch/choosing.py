"""The options that choose jobs, and the commands that result from them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ...domain.errors import InvalidCommand
from ...observability.outage import Seldom
from ...protocol.messages import parse_command
from ...settings.backends_file.backend_table import BackendConfig
from ...settings.problems import choices, suggestion
from ..checks.attendance import attendance
from ..configuration import configuration
from ..options import pairs
from ..output import Output
from ..session import Session
from ..usage import BadParameters
from .files import reading
from .listing import criteria_help, listed, where_problems
from .selection import SelectionMistakes, select
from .spool import Spool

BackendName = Annotated[
    str | None,
    typer.Option("--backend", metavar="NAME", help="A name in the backends file, for lines that name none."),
]
VerbName = Annotated[
    str | None, typer.Option("--verb", metavar="[cancel|delete]", help="For lines that name none. [default: cancel]")
]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept and shown in every event.")]
Asker = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who asks (`requested_by`).")]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="KEY=VALUE", help="Carried into every event; may be repeated."),
]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="KEY=VALUE", help="What the backend needs besides the id; may be repeated."),
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="KEY=VALUE",
        help=f"Select jobs that the backend lists, instead of a file; all conditions must hold. {criteria_help()}.",
    ),
]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a command line says about the jobs: fields that their lines leave out, and criteria for listing them."""

    defaults: Mapping[str, Any]
    where: Mapping[str, str]
    file: str = ""
    backends: Path | None = None


def fields_of(
    backend: str | None,
    verb: str | None,
    reason: str | None,
    by: str | None,
    label: Sequence[str] | None,
    param: Sequence[str] | None,
) -> dict[str, Any]:
    """Return the fields that options give every command; raises BadParameter if one is wrong."""
    fields = {
        "verb": verb or "cancel",
        "backend": backend,
        "reason": reason,
        "requested_by": by,
        "labels": pairs(label or (), "--label") or None,
        "params": pairs(param or (), "--param") or None,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        parse_command({"backend": "any", **given, "job_id": "any"})
    except InvalidCommand as error:
        raise typer.BadParameter(str(error)) from None
    return given


async def choose(choice: Choice, session: Session, members: Spool, output: Output) -> None:
    """Put the commands for all chosen jobs into `members`.

    Raises:
        BadParameters: lists every mistake, or says that no job is selected.

    """
    if choice.where:
        await _listed(choice, members, output)
        return
    known = (await attendance(session.settings)).backends
    with reading(choice.file) as (source, name):
        try:
            repeated = await asyncio.to_thread(select, source, name, members, choice.defaults, known)
        except SelectionMistakes as mistakes:
            raise BadParameters([*mistakes.texts, "nothing was sent"]) from None
    for text in repeated:
        output.note(text)


async def _listed(choice: Choice, members: Spool, output: Output) -> None:
    _, configs = configuration(choice.backends)
    name = str(choice.defaults.get("backend") or "")
    config = _config(configs, name)
    if problems := where_problems(config, name, choice.where):
        raise BadParameters(f"--where: {problem}" for problem in problems)
    seldom = Seldom()
    async for ids in listed(config, choice.where):
        for job_id in ids:
            members.add({**choice.defaults, "job_id": job_id})
        if seldom.due():
            output.note(f"reading the list of {name}: {len(members)} jobs so far")
    if not members:
        wanted = " ".join(f"{key}={value}" for key, value in choice.where.items())
        raise typer.BadParameter(f"{name} lists no job with {wanted}: there is nothing to do", param_hint="--where")


def _config(configs: Mapping[str, BackendConfig], name: str) -> BackendConfig:
    if not name:
        raise typer.BadParameter("--where lists the jobs of one backend: give --backend NAME", param_hint="--backend")
    if name not in configs:
        close = suggestion(name, configs)
        raise typer.BadParameter(
            f"no backend is called {name!r}; there are {choices(configs)}{close}", param_hint="--backend"
        )
    return configs[name]
