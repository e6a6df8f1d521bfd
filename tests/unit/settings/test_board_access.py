"""The settings of the board: its token and its names."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.settings.board_access import board_access
from worker.settings.environment import Settings
from worker.settings.errors import ConfigurationError

TOKEN = "0123456789abcdef"


def test_without_variables_there_is_no_token_and_no_further_name() -> None:
    access = board_access(Settings.load({}))

    assert (access.token, access.hosts) == (None, ())


def test_a_token_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")

    assert board_access(Settings.load({"CANCELLER_BOARD_TOKEN_FILE": str(file)})).token == TOKEN


def test_names_are_joined_by_commas() -> None:
    hosts = board_access(Settings.load({"CANCELLER_BOARD_HOSTS": "ops.example.com, [fd00::1],"})).hosts

    assert hosts == ("ops.example.com", "[fd00::1]")


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"CANCELLER_BOARD_TOKEN": "short"}, "must hold 16 characters"),
        ({"CANCELLER_BOARD_TOKEN": " " * 20}, "must hold 16 characters"),
        ({"CANCELLER_BOARD_TOKEN": TOKEN, "CANCELLER_BOARD_TOKEN_FILE": "x"}, "set one of them"),
        ({"CANCELLER_BOARD_TOKEN_FILE": "/none/there"}, "CANCELLER_BOARD_TOKEN_FILE: the file cannot be read"),
        ({"CANCELLER_BOARD_HOSTS": "http://ops.example.com"}, "is not a host name"),
        ({"CANCELLER_BOARD_HOSTS": "ops.example.com:443"}, "is not a host name"),
    ],
    ids=["short", "blank", "twice", "no file", "a URL", "a port"],
)
def test_a_mistake_is_named_without_the_token(variables: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        board_access(Settings.load(variables))

    assert problem in str(caught.value.problems)
    assert TOKEN not in str(caught.value.problems)


def test_the_token_is_in_no_repr() -> None:
    settings = Settings.load({"CANCELLER_BOARD_TOKEN": TOKEN})

    assert TOKEN not in repr(settings) + repr(board_access(settings))
