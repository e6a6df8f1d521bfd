"""The commands of `batch`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import typer

from ..coroutines import runnable
from . import orders, showing
from .apply import apply
from .plan import plan

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Clean up many jobs: plan, apply, watch, pause, abort. `canceller guide clean-ups` shows how.",
)
COMMANDS: Final[Mapping[str, Callable[..., Any]]] = {
    "plan": plan,
    "apply": apply,
    "list": showing.list_,
    "status": showing.status,
    "watch": showing.watch,
    "pause": orders.pause,
    "resume": orders.resume,
    "abort": orders.abort,
    "report": showing.report,
}
for name, command in COMMANDS.items():
    app.command(name)(runnable(command))
