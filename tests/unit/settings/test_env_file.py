"""An env file: what its lines mean, and which lines are invalid."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from worker.settings.env_file import env_variables, process_environment
from worker.settings.environment import Settings
from worker.settings.errors import ConfigurationError
from worker.settings.unread import unread_variables

LINES = {
    "plain": ("A=1", "1"),
    "empty": ("A=", ""),
    "export": ("export A=1", "1"),
    "blanks around": ("  A = 1  ", "1"),
    "blanks inside": ("A=b c", "b c"),
    "comment behind": ("A=b # c", "b"),
    "no comment without a blank": ("A=b#c", "b#c"),
    "only a comment": ("A=#c", ""),
    "an equals sign": ("A=b=c", "b=c"),
    "a dollar is itself": ("A=$B${C}", "$B${C}"),
    "single quotes": ("A='b # \"c\" \\n'", 'b # "c" \\n'),
    "double quotes": ('A="b # \\"c\\"\\n"', 'b # "c"\n'),
    "comment behind quotes": ("A='b' # c", "b"),
    "several lines": ("A='b\n# c\nd'", "b\n# c\nd"),
    "windows": ("A=1\r\n", "1"),
}


@pytest.mark.parametrize(("text", "value"), LINES.values(), ids=LINES)
def test_a_line_means_what_it_does_in_a_shell(text: str, value: str) -> None:
    assert env_variables(f"# before\n\n{text}\nZ=last\n", "f") == {"A": value, "Z": "last"}


MISTAKES = {
    "no equals sign": ("s3cret", "has no `=`: write NAME=VALUE"),
    "no name": ("1s3cret=x", "what comes before the `=` is not a variable name: use letters, digits and _"),
    "a quote left open": ("A='s3cret", "a quote is opened and not closed"),
    "behind a quote": (
        "A='x' s3cret",
        'something follows the closing quote: escape quotes inside the value as \\"',
    ),
    "twice": ("Z=s3cret", "Z is set in line 1 already: remove one of them"),
    "another env file": ("CANCELLER_ENV_FILE=s3cret", "CANCELLER_ENV_FILE: an env file can't name another one"),
    "a zero byte": ("A=s3cret\0", "A: a variable can't hold a zero byte"),
}


@pytest.mark.parametrize(("text", "problem"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_reported_by_its_line_and_without_its_content(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        env_variables(f"Z=1\n\n{text}", "/etc/env")

    assert caught.value.problems == (f"/etc/env:3: {problem}",)


def test_every_mistake_is_listed_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        env_variables("a\nA='x\ny' z\nb\n", "f")

    assert [problem.partition(": ")[0] for problem in caught.value.problems] == ["f:1", "f:2", "f:4"]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("CANCELLER_", "REDIS_URL"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CANCELLER_ENV_FILE", str(tmp_path / "env"))
    return tmp_path / "env"


def test_settings_are_read_from_the_file(file: Path) -> None:
    file.write_text("CANCELLER_QUEUE=stop\nREDIS_URL=redis://h/1\n", encoding="utf-8")

    settings = Settings.load()
    assert (settings.queue, settings.redis is not None and settings.redis.db) == ("stop", 1)


def test_the_environment_of_the_process_wins(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("CANCELLER_QUEUE=stop\nCANCELLER_PREFIX=cell\n", encoding="utf-8")
    monkeypatch.setenv("CANCELLER_QUEUE", "mine")

    assert (Settings.load().queue, Settings.load().prefix) == ("mine", "cell")


def test_the_environment_of_the_process_stays_as_it_is(file: Path) -> None:
    file.write_text("CANCELLER_QUEUE=stop\n", encoding="utf-8")

    assert process_environment()["CANCELLER_QUEUE"] == "stop"
    assert "CANCELLER_QUEUE" not in os.environ


def test_a_variable_of_the_file_that_nobody_reads_is_reported(file: Path) -> None:
    file.write_text("CANCELLER_QUEUES=stop\n", encoding="utf-8")

    assert unread_variables(process_environment()) == ["CANCELLER_QUEUES: is not read; did you mean CANCELLER_QUEUE?"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "no such file (`canceller dev` removes its own when it ends)"), (b"A=\xff", "is not UTF-8 text")],
    ids=["missing", "not text"],
)
def test_a_file_that_cannot_be_read_is_a_mistake(content: bytes | None, problem: str, file: Path) -> None:
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()

    assert caught.value.problems == (
        f"CANCELLER_ENV_FILE: {file}: {problem}: name a file of lines NAME=VALUE, or unset it",
    )
