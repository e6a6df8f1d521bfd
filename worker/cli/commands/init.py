"""`init`: a backends file to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...errors import CancellerError
from ...settings.place import shipped
from ..options import Json
from ..output import Output

File = Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; a file that is there stays as it is.")]


class InitError(CancellerError):
    """The file can't be written; the text says why."""


def init(file: File = Path("backends.toml"), *, json: Json = False) -> None:
    """Write a commented backends file, whose backends are those of `canceller simulator`."""
    output = Output(as_json=json)
    example = shipped("backends.toml").read_text(encoding="utf-8")
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
