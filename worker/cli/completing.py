"""Completes what is typed in a shell: commands, backends, jobs that are being cancelled, options.

A shell starts the command line anew for each word, so as little as possible is loaded. What is offered becomes part of
a line that a shell runs, and comes from anyone who may send commands, so only text without any special meaning for a
shell is offered.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import typer

from ..settings.env_file import process_environment
from ..settings.errors import ConfigurationError
from ..settings.paths import EMBEDDED_URL_FILE, state_directory
from ..store.peek import Peek, peek
from .command_table import COMMANDS
from .guide_files import GUIDE

HARMLESS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,@%+/-]{0,511}")
"""Text that a shell takes literally, wherever it stands in a line."""
BACKEND = "--backend"
"""The only option whose value the stand-ins complete."""
MOST = 200
"""The most words that are offered."""
SHELLS = ("bash", "zsh", "fish")
LETTERS = ("list", "show", "replay", "drop")
"""The commands about dead letters."""
TYPED = ("backend", "job_id", "named", "words")
"""The parameters that hold what was typed before the word that is completed."""


def complete() -> None:
    """Answer the shell as the variables that its script sets ask for; if anything fails, write nothing."""
    line = os.environ.get("COMP_WORDS", "") + os.environ.get("_TYPER_COMPLETE_ARGS", "")
    words = line.split()
    with suppress(Exception), redirect_stderr(StringIO()):
        options = any(word.startswith("-") and word != BACKEND for word in words)
        (_with_options(words[1:2]) if options else _stand_ins())(prog_name="canceller")


def _with_options(words: Sequence[str]) -> typer.Typer:
    from .app import command_line  # noqa: PLC0415 - only the commands know their options, and they take long to load

    return command_line(words, completes=True)


def _stand_ins() -> typer.Typer:
    """Return the command line with a stand-in for each command, which takes any words and completes them."""
    app = typer.Typer(add_completion=True)
    for _, name, _, _ in COMMANDS:
        app.command(name)(_stand_in(WORDS.get(name)))
    return app


def _stand_in(offer: Any) -> Any:
    def command(
        words: list[str] = typer.Argument(None, autocompletion=offer),  # noqa: B008 - Typer's way
        in_: str = typer.Option("", BACKEND, autocompletion=backend_names),
    ) -> None:
        del words, in_

    return command


def backend_names(incomplete: str) -> list[str]:
    """Offer the backends of the backends file, and those that the deployment has or had."""
    return _offered([*_backends_of_file(), *_seen(Peek.backends)], incomplete)


def open_jobs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer a backend, and after it the jobs on it that are being cancelled."""
    before = _typed(ctx)
    if not before:
        return backend_names(incomplete)
    return _offered(_seen(lambda seen: seen.open_jobs(before[0], incomplete)), incomplete)


def open_ones(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer what names an open cancellation: a backend and its job, or an id once its first character is typed."""
    found = open_jobs(ctx, incomplete)
    if found or not incomplete or _typed(ctx):
        return found
    return _offered(_seen(lambda seen: [one for name in seen.backends() for one in seen.open_ids(name)]), incomplete)


def known_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the words that a command knows: what is done about dead letters, pages of the guide, shells."""
    known: Mapping[str | None, Sequence[str]] = {
        "dead-letters": () if _typed(ctx) else LETTERS,
        "guide": [page.stem for page in GUIDE.glob("*.md")],
        "completion": SHELLS,
    }
    return _offered(known[ctx.info_name], incomplete)


WORDS = {
    "cancel": open_jobs,
    "delete": open_jobs,
    "status": open_ones,
    "wait": open_ones,
    "abort": open_ones,
    "attest": open_ones,
    "hold": open_ones,
    "release": open_ones,
    "dead-letters": known_words,
    "guide": known_words,
    "completion": known_words,
}
"""What completes the words after a command; for other commands nothing is offered."""


def _offered(words: Sequence[str], incomplete: str) -> list[str]:
    return sorted({word for word in words if word.startswith(incomplete) and HARMLESS.fullmatch(word)})[:MOST]


def _typed(ctx: typer.Context) -> list[str]:
    given = [ctx.params.get(name) for name in TYPED]
    return [word for one in given if one for word in ([one] if isinstance(one, str) else one)]


def _seen(look: Any) -> list[str]:
    """Take a quick look at Redis; return nothing if it can't be reached."""
    with suppress(OSError, ValueError, ConfigurationError):
        environment = process_environment()
        url = environment.get("REDIS_URL")
        if not url:
            directory = environment.get("CANCELLER_DATA_DIR")
            place = Path(directory).expanduser() if directory else state_directory(environment)
            url = (place / EMBEDDED_URL_FILE).read_text(encoding="utf-8").strip() if place else ""
        with peek(url, environment.get("CANCELLER_PREFIX") or "canceller") as seen:
            return list(look(seen))
    return []


def _backends_of_file() -> Iterator[str]:
    with suppress(OSError, ValueError, RuntimeError, ConfigurationError):
        file = process_environment().get("CANCELLER_BACKENDS")
        if file:
            yield from tomllib.loads(Path(file).expanduser().read_text(encoding="utf-8-sig")).get("backends", {})
