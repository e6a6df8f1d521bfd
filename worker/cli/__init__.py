"""The command line: `canceller`, which is `python -m worker`."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from config import logs
from config.errors import ConfigurationError
from config.settings import Settings
from config.streams import escape_what_cannot_be_shown
from worker.cli import check, demo, events, letters, orders, reading, sending, simulator, up
from worker.cli.exits import Exit
from worker.errors import CancellerError, InvalidCommand, StoreUnavailable

app = typer.Typer(
    name="canceller",
    help="Makes sure that jobs on remote systems really stop, and proves what it saw.",
    epilog="Exit codes: 0 done, 1 error, 2 usage or configuration, 3 the outcome is not what was asked for, "
    "4 not allowed, 6 still open when the wait ended.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    """Write which version this is, and end."""
    if asked:
        typer.echo(f"canceller {version('canceller')}")
        raise typer.Exit


@app.callback()
def options(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before any command; what this is says the app's own help."""


JOBS, OPERATORS, RUNNING = "Jobs", "Operators", "Running it"
for panel, name, command in (
    (JOBS, "cancel", sending.cancel),
    (JOBS, "delete", sending.delete),
    (JOBS, "status", reading.status),
    (JOBS, "wait", reading.wait),
    (JOBS, "list", reading.list_),
    (JOBS, "events", events.events),
    (OPERATORS, "abort", orders.abort),
    (OPERATORS, "attest", orders.attest),
    (OPERATORS, "check", check.check),
    (RUNNING, "demo", demo.demo),
    (RUNNING, "up", up.up),
    (RUNNING, "simulator", simulator.simulator),
):
    app.command(name, rich_help_panel=panel)(command)
app.add_typer(
    letters.app, name="dead-letters", rich_help_panel=OPERATORS, help="Show what was refused, and try it again."
)


def main() -> None:
    """Run one command; an expected error is a line on standard error, never a traceback."""
    escape_what_cannot_be_shown()
    logs.configure("auto", "warning")
    try:
        app(prog_name="canceller")
    except ConfigurationError as error:
        complain("the configuration has mistakes:", *error.problems)
        sys.exit(Exit.USAGE)
    except InvalidCommand as error:
        complain(str(error))
        sys.exit(Exit.USAGE)
    except (StoreUnavailable, RedisError) as error:
        complain(f"{error}; {way_to_redis()}")
        sys.exit(Exit.ERROR)
    except OperationalError as error:
        complain(f"the broker can't be reached: {error}; check CELERY_BROKER_URL or REDIS_URL")
        sys.exit(Exit.ERROR)
    except CancellerError as error:
        complain(str(error))
        sys.exit(Exit.ERROR)


def complain(*lines: str) -> None:
    """Write an error."""
    sys.stderr.write("canceller: " + "\n  ".join(lines) + "\n")


def way_to_redis() -> str:
    """Say what to do about a Redis that can't be reached."""
    settings = Settings.load()
    if settings.redis_url is not None:
        return "check REDIS_URL, and that this server runs"
    return f"the embedded server of {settings.data_dir} no longer runs: start it with `canceller up`, or set REDIS_URL"
