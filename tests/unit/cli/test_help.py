import re
import shlex
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from worker.cli.app import command_line
from worker.protocol.operator_actions import ACTIONS

JOBS = ["cancel", "delete", "status", "wait", "list", "why", "events"]
APP = command_line()
COMMANDS = [
    *JOBS,
    *ACTIONS,
    "board",
    "check",
    "sinks",
    "demo",
    "dev",
    "init",
    "up",
    "exporter",
    "simulator",
    "guide",
    "completion",
]


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=" ".join)
def test_every_command_explains_itself(command: list[str]) -> None:
    told = CliRunner().invoke(APP, [*command, "--help"], prog_name="canceller")

    assert told.exit_code == 0
    assert "Usage: canceller" in told.stdout


def leaves(group: Any, *names: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of all commands, subcommands included."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, *names, name)
        else:
            yield (*names, name)


LEAVES = list(leaves(get_command(APP)))


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_help_text_has_two_examples_that_can_be_typed(words: tuple[str, ...]) -> None:
    told = CliRunner().invoke(APP, [*words, "--help"], prog_name="canceller", env={"COLUMNS": "120"}).stdout
    begin = f"canceller {' '.join(words)}"
    examples = [line.strip() for line in told.splitlines() if f"{line.strip()} ".startswith(f"{begin} ")]

    assert len(examples) >= 2
    for example in examples:
        command, typed = get_command(APP), shlex.split(re.split(r" [<>] ", example)[0])
        for word in words:
            command = command.commands[word]  # type: ignore[attr-defined]
        command.make_context(begin, typed[1 + len(words) :])  # raises if it can't be typed


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_speaks_json(command: str) -> None:
    assert "--json" in CliRunner().invoke(APP, [command, "--help"]).stdout


@pytest.mark.parametrize(
    ("command", "default"), [("abort", "15s"), ("attest", "15s"), ("wait", "10s")], ids=["abort", "attest", "wait"]
)
def test_a_defaults_unit_is_told(command: str, default: str) -> None:
    assert f"[default: {default}]" in CliRunner().invoke(APP, [command, "--help"]).stdout


def test_tells_its_version() -> None:
    told = CliRunner().invoke(APP, ["--version"])

    assert (told.exit_code, told.stdout) == (0, f"canceller {version('canceller')}\n")


def test_no_command_is_missing_or_a_stub() -> None:
    assert [command.name for command in APP.registered_commands] == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_was_typed_is_loaded_alone(command: str) -> None:
    assert [one.name for one in command_line([command]).registered_commands] == [command]
