"""`completion`: the script by which a shell completes commands, backends and open jobs."""

from __future__ import annotations

from typing import Annotated

import typer
from typer.completion import get_completion_script  # type: ignore[attr-defined]  # from its private module

from ...settings.problems import choices, suggestion
from ..completing import SHELLS, known_words
from ..options import Json
from ..output import Output

VARIABLE = "_CANCELLER_COMPLETE"
"""The variable that tells the command line to complete a line; `worker.cli.main` looks for it."""


def completion(
    shell: Annotated[str, typer.Argument(metavar="[bash|zsh|fish]", autocompletion=known_words)], *, json: Json = False
) -> None:
    """Write the script by which a shell completes commands, options, backends and open jobs.

    In ~/.bashrc: eval "$(canceller completion bash)"

    canceller completion zsh > ~/.zfunc/_canceller

    canceller completion fish > ~/.config/fish/completions/canceller.fish
    """
    if shell not in SHELLS:
        raise typer.BadParameter(f"{shell!r} is not {choices(SHELLS)}{suggestion(shell, SHELLS)}", param_hint="SHELL")
    output, script = (
        Output(as_json=json),
        get_completion_script(prog_name="canceller", complete_var=VARIABLE, shell=shell),
    )
    if output.json:
        output.object({"shell": shell, "script": script})
    else:
        output.verbatim(f"{script}\n")
