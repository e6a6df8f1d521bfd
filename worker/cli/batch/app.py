"""The commands of `batch`."""

from __future__ import annotations

import typer

from . import orders, showing
from .apply import apply
from .plan import plan

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Clean up many jobs: plan, apply, watch, pause, abort. `canceller guide clean-ups` shows how.",
)
app.command("plan")(plan)
app.command("apply")(apply)
app.command("list")(showing.list_)
app.command("status")(showing.status)
app.command("watch")(showing.watch)
app.command("pause")(orders.pause)
app.command("resume")(orders.resume)
app.command("abort")(orders.abort)
app.command("report")(showing.report)
