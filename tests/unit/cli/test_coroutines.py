"""Commands that are coroutines."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from worker.cli.coroutines import runnable
from worker.cli.exits import Exit


def app_of(command: object) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(runnable(command))  # type: ignore[arg-type]
    return app


async def judged(code: int, *, often: int = 1) -> Exit:
    """Judge something.

    The rest of the help.
    """
    return Exit(code * often)


async def done(name: str) -> None:
    typer.echo(name)


def plain(name: str) -> None:
    typer.echo(name)


@pytest.mark.parametrize("code", [Exit.DONE, Exit.NOT_AS_ASKED, Exit.STILL_OPEN])
def test_a_command_ends_with_the_exit_code_that_it_returns(code: Exit) -> None:
    assert CliRunner().invoke(app_of(judged), [str(int(code))]).exit_code == code


@pytest.mark.parametrize("command", [done, plain], ids=["a coroutine", "a function"])
def test_a_command_that_returns_nothing_ends_well(command: object) -> None:
    ended = CliRunner().invoke(app_of(command), ["ess"])

    assert (ended.exit_code, ended.output) == (0, "ess\n")


def test_a_command_keeps_its_options_and_its_help() -> None:
    told = CliRunner().invoke(app_of(judged), ["--help"]).output

    assert "Judge something." in told
    assert "--often" in told
