"""`init`: a backends file to begin with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from ...errors import CancellerError
from ...settings.place import shipped
from ..options import Json
from ..output import Output
from ..schema_files import schema_file

SCHEMA_LINE = re.compile(r"\A#:schema .*\n")
"""The line by which editors find the schema of a TOML file; the shipped one's path is relative to a checkout."""
File = Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; a file that is there stays as it is.")]


class InitError(CancellerError):
    """The file can't be written; the text says why."""


def init(file: File = Path("backends.toml"), *, json: Json = False) -> None:
    """Write a commented backends file, whose backends are those of `canceller simulator`."""
    output = Output(as_json=json)
    example = SCHEMA_LINE.sub(
        lambda _: f"#:schema {schema_file('config').as_uri()}\n", shipped("backends.toml").read_text(encoding="utf-8")
    )
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(example)
    except FileExistsError:
        raise InitError(f"{file} is there already, and stays as it is: name another file") from None
    except OSError as error:
        raise InitError(f"{file} can't be written ({error.strerror}): name another file") from None
    if output.json:
        output.object({"file": str(file.absolute())})
        return
    output.line(f"{file} is written; set base_url and auth of your backends in it")
    output.note(f"next: canceller check --backends {file}")
