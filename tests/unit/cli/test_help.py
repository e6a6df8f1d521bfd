from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from worker.cli.app import command_line
from worker.protocol.operator_actions import ACTIONS

JOBS = ["cancel", "delete", "status", "wait", "list", "events"]
APP = command_line()
COMMANDS = [*JOBS, *ACTIONS, "board", "check", "demo", "init", "up", "exporter", "simulator", "guide"]


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=" ".join)
def test_every_command_explains_itself(command: list[str]) -> None:
    told = CliRunner().invoke(APP, [*command, "--help"], prog_name="canceller")

    assert told.exit_code == 0
    assert "Usage: canceller" in told.stdout


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
