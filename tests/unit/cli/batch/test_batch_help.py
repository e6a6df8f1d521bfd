"""The help of the batch commands."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from worker.backends.registry import KINDS
from worker.cli.app import command_line

APP = command_line(["batch"])
COMMANDS = ["plan", "apply", "list", "status", "watch", "pause", "resume", "abort", "report"]


def told(*words: str) -> str:
    done = CliRunner().invoke(APP, ["batch", *words, "--help"], prog_name="canceller", env={"COLUMNS": "200"})
    assert done.exit_code == 0
    return done.stdout


def test_no_command_is_missing() -> None:
    assert re.findall(r"^│ (\w+) ", told(), re.MULTILINE) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_two_examples_and_speaks_json(command: str) -> None:
    text = told(command)

    assert len(re.findall(rf"^ canceller batch {command}", text, re.MULTILINE)) == 2
    assert "--json" in text


@pytest.mark.parametrize("key", [key for kind in KINDS.values() if kind.selecting for key in kind.selecting.criteria])
def test_the_help_says_by_what_a_backend_can_list(key: str) -> None:
    assert f"{key}(" in re.sub(r"[\s│]+", "", told("plan"))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["plan"], "give either one FILE (or `-`) or --where KEY=VALUE"),
        (["plan", "jobs", "--where", "state=RUNNING"], "give either one FILE (or `-`) or --where KEY=VALUE"),
        (["plan", "jobs", "more"], "give either one FILE (or `-`) or --where KEY=VALUE"),
        (["plan", "--where", "state=A", "state=B"], "'state' is given twice"),
        (["plan", "jobs", "--verb", "stop"], "verb: must be 'cancel' or 'delete'"),
        (["apply"], "give either a PLAN or --unplanned FILE"),
        (["apply", "plan", "--unplanned", "jobs"], "give either a PLAN or --unplanned FILE"),
        (["apply", "--unplanned", "jobs"], "without a plan, say how many jobs there may be at most: --max N"),
        (["apply", "plan", "--backend", "ess"], "the plan already says that"),
        (["apply", "plan", "--on-changed", "force"], "'force' is not skip or apply"),
        (["apply", "/nowhere/plan"], "/nowhere/plan can't be read: No such file or directory"),
        (["pause", "b-1", "--by", " ", "--reason", "x"], "it is kept with the order and can't be empty"),
    ],
    ids=[
        "no-file", "both", "two-files", "a-key-twice", "verb", "no-plan", "two-plans", "no-max",
        "not-with-a-plan", "on-changed", "no-file-there", "nobody",
    ],
)  # fmt: skip
def test_a_mistake_in_the_words_is_told(words: list[str], text: str) -> None:
    done = CliRunner().invoke(APP, ["batch", *words], prog_name="canceller", env={"COLUMNS": "200"})

    assert done.exit_code == 2
    assert text in done.stderr


@pytest.mark.parametrize("share", ["lots", "0", "200%"])
def test_a_share_that_is_none_is_told_before_anything_is_read(share: str) -> None:
    done = CliRunner().invoke(APP, ["batch", "apply", "plan", "--stop-at", share], prog_name="canceller")

    assert "stop_at: " in str(done.exception)
