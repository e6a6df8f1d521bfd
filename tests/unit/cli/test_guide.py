"""`canceller guide`: the pages that ship with the package."""

from __future__ import annotations

import io
import json
from importlib.resources import files

import pytest
from rich.console import Console
from typer.testing import CliRunner

from worker import guide
from worker.cli.app import command_line
from worker.cli.commands.guide import TOPICS, page
from worker.cli.exits import Exit
from worker.cli.output import Output


def asked(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(command_line(), ["guide", *words], env={"COLUMNS": "200"})
    return done.exit_code, done.output


def test_every_page_is_a_topic() -> None:
    assert {f"{topic}.md" for topic in TOPICS} == {
        one.name for one in files(guide).iterdir() if one.name.endswith(".md")
    }


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_says_in_one_line_what_it_is_about(topic: str) -> None:
    title, gap, summary, end = page(topic).text.splitlines()[:4]

    assert (title.startswith("# "), gap, end) == (True, "", "")
    assert 20 < len(summary) <= 120
    assert summary == page(topic).summary


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_fits_its_lines_into_a_window(topic: str) -> None:
    prose = [line for line in page(topic).text.split("```")[::2] if line]
    lines = [line for part in prose for line in part.splitlines() if not line.startswith("|")]
    assert max(map(len, lines)) <= 120


def test_without_a_topic_every_page_is_listed_with_its_summary() -> None:
    code, written = asked()

    assert code == Exit.DONE
    assert written.splitlines() == [f"{topic}\t{page(topic).summary}" for topic in TOPICS]


@pytest.mark.parametrize("topic", TOPICS)
def test_in_a_pipe_a_page_is_its_file(topic: str) -> None:
    assert asked(topic) == (Exit.DONE, page(topic).text)


@pytest.mark.parametrize("topic", TOPICS)
def test_on_a_terminal_a_page_is_formatted(topic: str) -> None:
    written = io.StringIO()
    Output(out=Console(file=written, force_terminal=True, width=120, color_system=None)).markdown(page(topic).text)
    lines = written.getvalue().splitlines()

    assert lines
    assert not [line for line in lines if line.startswith(("# ", "| --- ", "```", "<!--"))]


def test_on_a_terminal_a_link_is_the_command_that_shows_the_other_page() -> None:
    shown = page("concepts").for_terminal

    assert "`canceller guide escalation` for the steps" in shown
    assert ".md)" not in shown


def test_a_page_is_one_json_object() -> None:
    code, written = asked("events", "--json")

    assert (code, json.loads(written)) == (Exit.DONE, {"topic": "events", "text": page("events").text})


def test_the_list_is_one_json_object_for_each_page() -> None:
    assert [json.loads(line)["topic"] for line in asked("--json")[1].splitlines()] == list(TOPICS)


def test_an_unknown_topic_is_answered_with_the_topics_and_the_one_that_was_meant() -> None:
    code, written = asked("securty")
    plain = " ".join(written.replace("│", " ").split())

    assert code == Exit.USAGE
    assert "did you mean security?" in plain
    assert all(topic in plain for topic in TOPICS)
