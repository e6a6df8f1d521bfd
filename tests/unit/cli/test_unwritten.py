"""Which commands only show information."""

from __future__ import annotations

import pytest

from worker.cli.batch.app import COMMANDS as OF_BATCH
from worker.cli.command_table import COMMANDS
from worker.cli.commands.dead_letters import app as dead_letters
from worker.cli.unwritten import SHOWING, only_shows


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("list --json", True),
        ("batch report b-1", True),
        ("dead-letters list", True),
        ("cancel --help", True),
        ("--env-file list events", True),
        ("--env-file=f guide", True),
        ("", True),
        ("cancel ess 1", False),
        ("wait list", False),
        ("batch apply status", False),
        ("--env-file list abort", False),
    ],
)
def test_a_command_line_only_shows_if_it_has_no_other_effect(words: str, expected: bool) -> None:  # noqa: FBT001 - a table's column
    assert only_shows(words.split()) is expected


def test_every_command_that_only_shows_exists() -> None:
    known = {(name,) for _, name, _, _ in COMMANDS}
    known |= {("batch", name) for name in OF_BATCH}
    known |= {
        ("dead-letters", str(one.name or (one.callback and one.callback.__name__)))
        for one in dead_letters.registered_commands
    }

    assert known >= SHOWING
