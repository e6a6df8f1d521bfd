"""All commands, and the texts of the errors that end one early."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from inspect import cleandoc
from pathlib import Path
from typing import Annotated

import typer
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from ..domain.errors import CancellerError, InvalidCommand, StoreUnavailable
from ..observability import logs, streams
from ..protocol.operator_actions import ACTIONS
from ..settings.env_file import ENV_FILE, process_environment
from ..settings.environment import Settings
from ..settings.errors import ConfigurationError
from ..settings.unread import unread_variables
from .command_table import COMMANDS
from .coroutines import runnable
from .exits import Exit
from .output import Output
from .usage import Commands


def show_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    """Write which version this is, and end."""
    if asked:
        Output().line(f"canceller {version('canceller')}")
        raise typer.Exit


def misplaced(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    """Say that an option of the commands belongs after the command."""
    if asked:
        raise typer.BadParameter("put it after the command: canceller list --json")


def options(
    *,
    _version: Annotated[
        bool, typer.Option("--version", "-V", callback=show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    _env_file: Annotated[
        Path | None,
        typer.Option(
            "--env-file", metavar="FILE", help="Read variables from FILE first, instead of CANCELLER_ENV_FILE."
        ),
    ] = None,
    _json: Annotated[bool, typer.Option("--json", callback=misplaced, hidden=True)] = False,
) -> None:
    """Take the options that stand before any command; the help shown is the app's own."""


def command_line(words: Sequence[str] = (), *, completes: bool = False) -> typer.Typer:
    """Return the command that was typed, or all if the help or an error needs them: each takes a while to load.

    With `completes` it answers a shell that completes a line.
    """
    app = typer.Typer(
        name="canceller",
        cls=Commands,
        help="Makes sure that jobs on remote systems really stop, and proves what it saw.",
        epilog="Exit codes: 0 done, 1 error, 2 usage or configuration, 3 the outcome is not what was asked for, "
        "4 not allowed, 6 still open when the wait ended.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
        add_completion=completes,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(options)
    typed = [row for row in COMMANDS if row[1] == next(iter(words), "")]
    for panel, name, module, member in typed or COMMANDS:
        command = getattr(import_module(f".{module}", __package__), member)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=panel)
        else:
            text = cleandoc(ACTIONS[name].help) if name in ACTIONS else None
            app.command(name, rich_help_panel=panel, help=text)(runnable(command))
    return app


def run() -> None:
    """Run one command; an expected error is a line on standard error, never a traceback."""
    streams.escape_what_cannot_be_shown()
    logs.configure("auto", "warning")
    words = without_env_file(understood(sys.argv[1:]))
    try:
        for problem in unread_variables(process_environment()):
            complain(problem)
        command_line(words)(words, prog_name="canceller")
    except ConfigurationError as error:
        complain("the configuration has mistakes:", *error.problems)
        if "--json" in words:
            with suppress(streams.Unwritable):  # the exit code says it, too
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
    except streams.Unwritable:
        raise
    except Exception:  # noqa: BLE001 - a bug; its text may quote anything
        complain(*traceback.format_exc().rstrip().split("\n"))
        sys.exit(Exit.ERROR)


def understood(words: list[str]) -> list[str]:
    """Accept `version` and `-o json`, as other tools spell them. In the `batch` commands `-o` names a file."""
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


def without_env_file(words: list[str]) -> list[str]:
    """Remove `--env-file FILE`, before or after the command, and set it for this process and its children."""
    found: list[str] = []
    rest = iter(words)
    for word in rest:
        name, _, value = word.partition("=")
        if name != "--env-file":
            found.append(word)
        elif file := value or next(rest, ""):
            os.environ[ENV_FILE] = str(Path(file).absolute())
        else:
            complain("--env-file: name the file after it")
            sys.exit(Exit.USAGE)
    return found


def complain(*lines: str) -> None:
    """Write an error."""
    first, *more = lines
    streams.complain(f"canceller: {first}", *more)


def way_to_redis() -> str:
    """Say what to do about a Redis that can't be reached."""
    settings = Settings.load()
    if settings.redis_url is not None:
        return "check REDIS_URL, and that this server is running"
    ended = f"the embedded server of {settings.data_dir} is no longer running"
    return f"{ended}: start it with `canceller up`, or set REDIS_URL"
