"""`init`: a backends file to begin with."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ...backends.registry import KINDS, TABLES
from ...domain.errors import CancellerError
from ...settings.backends_file.backends import AUTHS
from ...settings.env_file import process_environment
from ...settings.errors import ConfigurationError
from ...settings.place import shipped
from ...settings.problems import choices, suggestion
from ..backends_draft import Draft, value_of
from ..guide_files import SCHEMAS
from ..options import Json, pairs
from ..output import Output
from ..usage import BadParameters

EXAMPLE = "example"
"""The answer, in place of a kind, that asks for all backends as the simulator plays them."""
NAMES = {"kind": "--kind", "base_url": "--base-url", "auth.type": "--auth"}
"""The options for keys that each backend has."""

SCHEMA_LINE = re.compile(r"\A#:schema .*\n")
"""The line by which editors find the schema of a TOML file; the shipped one's path is relative to a checkout."""
File = Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; an existing file is not changed.")]


class InitError(CancellerError):
    """The file can't be written; the text says why."""


def init(
    file: File = Path("backends.toml"),
    *,
    kind: Annotated[str, typer.Option(metavar=f"[{'|'.join(TABLES)}]", help="What the backend is.")] = "",
    name: Annotated[str, typer.Option(metavar="NAME", help="What producers call it. [default: from the kind]")] = "",
    base_url: Annotated[str, typer.Option(metavar="URL", help="Scheme, host, port, and a prefix if it has one.")] = "",
    auth: Annotated[str, typer.Option(metavar=f"[{'|'.join(AUTHS)}]", help="How calls are authorised.")] = "",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Any other key, or auth.KEY, e.g. auth.token_env=TOKEN; may be repeated."
        ),
    ] = None,
    example: Annotated[
        bool, typer.Option("--example", help="Write the backends that `canceller simulator` plays, and ask nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a commented backends file: from options, or by asking for what they leave open.

    Secrets are never asked for: the file names the variables that hold them. Without options, and without a terminal to
    ask on, it holds the backends that `canceller simulator` plays.

    canceller init --example sim.toml

    canceller init --kind oracle-ess --base-url https://ess.example.com --auth bearer
    """
    output = Output(as_json=json)
    if file.exists():
        raise InitError(f"{file} already exists, and is left as it is: name another file")
    given = {"kind": kind, "name": name, "base_url": base_url, "auth.type": auth, **pairs(set_ or (), "--set")}
    given = {key: text for key, text in given.items() if text}
    asks = not json and sys.stdin is not None and sys.stdin.isatty()
    schema = f"#:schema {SCHEMAS['config'].as_uri()}\n"
    shipped_text = SCHEMA_LINE.sub(lambda _: schema, shipped("backends.toml").read_text(encoding="utf-8"))
    draft = None if example or not (given or asks) else _draft(given, asks=asks)
    _write(file, shipped_text if draft is None else draft.text(shipped_text))
    _report(file, draft, output)


def _draft(given: dict[str, str], *, asks: bool) -> Draft | None:
    """Make a backend from what is given and answered; None if the example is asked for.

    Raises:
        BadParameters: something is missing, and there is nobody to ask.
        ConfigurationError: something is wrong.

    """
    for key, known in (("kind", TABLES), ("auth.type", AUTHS)):
        word = given.get(key)
        if word is not None and word not in known:
            raise typer.BadParameter(
                f"{word!r} is not {choices(known)}{suggestion(word, known)}", param_hint=NAMES[key]
            )
    if not asks and (missing := [f"{NAMES[key]} is missing" for key in NAMES if key not in given]):
        raise BadParameters([*missing, "--example needs none of them"])
    asks_name = asks and "name" not in given
    kind = given.pop("kind", "") or _chosen("Kind of backend", (*TABLES, EXAMPLE), EXAMPLE)
    if kind == EXAMPLE:
        return None
    usual = KINDS[kind].name or kind
    draft = Draft(given.pop("name", usual), {"kind": kind})
    while asks_name:
        draft.name = _answer("Its name in commands", usual)
        if not _shown([problem for problem in draft.problems() if problem.startswith("the name ")]):
            break
    base_url, type_ = given.pop("base_url", ""), given.pop("auth.type", "")
    _put(draft, "base_url", base_url, "Its address, e.g. https://host.example.com", asks=asks)
    type_ = type_ or _chosen("How calls are authorised", tuple(AUTHS), KINDS[kind].auth)
    draft.put("auth.type", type_)
    for key, text in given.items():
        draft.put(key, value_of(text))
    for key in list(draft.wanted):
        usual = draft.usual(key)
        question = f"The variable that holds {key.removesuffix('_env')}" if usual else key
        _put(draft, key, "" if asks else usual, question, usual, asks=asks)
    if problems := draft.problems():
        keys = " ".join(f"--set {key}=..." for key in draft.wanted) or "--set KEY=VALUE"
        raise ConfigurationError([*problems, f"{keys} sets what has no option of its own"])
    return draft


def _put(draft: Draft, key: str, text: str, question: str, usual: str = "", *, asks: bool) -> None:
    """Set a key to what is given, or ask until the answer is one that the file may have."""
    while True:
        value = text or (_answer(question, usual) if asks else "")
        if not value:
            return  # the reader of the file says that it is missing
        draft.put(key, value)
        if text or not _shown([problem for problem in draft.problems() if problem.startswith(f"{key}:")]):
            return


def _shown(problems: Sequence[str]) -> bool:
    """Write what is wrong with an answer, and return whether anything is."""
    for problem in problems:
        Output().note(problem)
    return bool(problems)


def _chosen(question: str, words: Sequence[str], usual: str) -> str:
    while True:
        answer = _answer(f"{question} ({choices(words)})", usual)
        if answer in words:
            return answer
        Output().note(f"{answer!r} is none of them{suggestion(answer, words)}")


def _answer(question: str, usual: str = "") -> str:
    return str(typer.prompt(question, default=usual or None, err=True)).strip()


def _write(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise InitError(f"{file} already exists, and is left as it is: name another file") from None
    except OSError as error:
        raise InitError(f"{file} can't be written ({error.strerror}): name another file") from None


def _report(file: Path, draft: Draft | None, output: Output) -> None:
    variables = [] if draft is None else draft.variables
    if output.json:
        output.object({"file": str(file.absolute()), "variables": variables})
        return
    output.line(f"{file} is written{'; set base_url and auth of your backends in it' if draft is None else ''}")
    first = f"set {', '.join(variables)}, then " if variables else ""
    check = f"canceller check --backends {file}"
    if process_environment().get("REDIS_URL"):
        output.note(f"next: {first}{check}")
    else:
        output.note(f"next: {first}canceller up --backends {file}, which starts a Redis, since REDIS_URL is not set")
        output.note(f"and then, in another terminal: {check}")
