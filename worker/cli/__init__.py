"""The command line: `canceller`, which is `python -m worker`."""

from __future__ import annotations

import sys
import traceback
from importlib.metadata import version
from typing import Annotated

import typer
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from ..errors import CancellerError, InvalidCommand, StoreUnavailable
from ..observability import logs, streams
from ..settings.environment import Settings, process_environment
from ..settings.errors import ConfigurationError
from ..settings.unread import unread_variables
from .commands import check, dead_letters, events, init, operate, send, show, simulator, up
from .demo import play
from .exits import Exit
from .output import Output
from .usage import Commands

app = typer.Typer(
    name="canceller",
    cls=Commands,
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
        Output().line(f"canceller {version('canceller')}")
        raise typer.Exit


def misplaced(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    """Say where an option of the commands belongs."""
    if asked:
        raise typer.BadParameter("it stands behind the command: canceller list --json")


@app.callback()
def options(
    *,
    _version: Annotated[
        bool, typer.Option("--version", "-V", callback=show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    _json: Annotated[bool, typer.Option("--json", callback=misplaced, hidden=True)] = False,
) -> None:
    """Take the options that stand before any command; what this is says the app's own help."""


JOBS, OPERATORS, RUNNING = "Jobs", "Operators", "Running it"
for panel, name, command in (
    (JOBS, "cancel", send.cancel),
    (JOBS, "delete", send.delete),
    (JOBS, "status", show.status),
    (JOBS, "wait", show.wait),
    (JOBS, "list", show.list_),
    (JOBS, "events", events.events),
    (OPERATORS, "abort", operate.abort),
    (OPERATORS, "attest", operate.attest),
    (OPERATORS, "check", check.check),
    (RUNNING, "demo", play.demo),
    (RUNNING, "init", init.init),
    (RUNNING, "up", up.up),
    (RUNNING, "simulator", simulator.simulator),
):
    app.command(name, rich_help_panel=panel)(command)
app.add_typer(
    dead_letters.app, name="dead-letters", rich_help_panel=OPERATORS, help="Show what was rejected, and try it again."
)


def main() -> None:
    """Run one command; an expected error is a line on standard error, never a traceback."""
    streams.escape_what_cannot_be_shown()
    logs.configure("auto", "warning")
    words = understood(sys.argv[1:])
    for problem in unread_variables(process_environment()):
        complain(problem)
    try:
        app(words, prog_name="canceller")
    except ConfigurationError as error:
        complain("the configuration has mistakes:", *error.problems)
        if "--json" in words:
            Output(as_json=True).object({"ok": False, "problems": list(error.problems)})
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
    except Exception:  # noqa: BLE001 - an error of ours, which may quote anything
        complain(*traceback.format_exc().rstrip().split("\n"))
        sys.exit(Exit.ERROR)


def understood(words: list[str]) -> list[str]:
    """Take `version` and `-o json` as other tools say them. Of a batch, `-o` names a file."""
    if words == ["version"]:
        return ["--version"]
    if words[:1] == ["batch"]:
        return words
    found: list[str] = []
    for word in words:
        if word == "json" and found[-1:] in (["-o"], ["--output"]):
            found[-1] = "--json"
        else:
            found.append("--json" if word in {"-ojson", "--output=json"} else word)
    return found


def complain(*lines: str) -> None:
    """Write an error."""
    first, *more = lines
    streams.complain(f"canceller: {first}", *more)


def way_to_redis() -> str:
    """Say what to do about a Redis that can't be reached."""
    settings = Settings.load()
    if settings.redis_url is not None:
        return "check REDIS_URL, and that this server runs"
    return f"the embedded server of {settings.data_dir} no longer runs: start it with `canceller up`, or set REDIS_URL"
