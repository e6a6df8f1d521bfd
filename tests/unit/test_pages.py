"""README, ARCHITECTURE, CONTRIBUTING and the guide say what the code does."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from worker import client
from worker.cli import pytest_plugin
from worker.cli.app import command_line
from worker.cli.commands.guide import TOPICS
from worker.cli.exits import Exit
from worker.domain.errors import CONFLICT
from worker.domain.model import Evidence, JobState, Outcome
from worker.protocol.messages import Command
from worker.protocol.operator_actions import ACTIONS
from worker.protocol.signing import NOT_ACCEPTED, NOT_ALLOWED
from worker.views.summary import GISTS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "worker/guide").glob("*.md"))]
OURS = [path for path in PAGES if path.name != "CHANGELOG.md"]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OTHER_EVENTS = {"paused": "backend", "resumed": "backend", "reappeared": "job"}
"""The subjects of events that belong to no cancellation."""


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def guide(topic: str) -> str:
    return text(f"worker/guide/{topic}.md")


def rows(page: str, header: str) -> list[tuple[str, ...]]:
    """Return the cells of the table under a header row."""
    start = page.index(header)
    lines = page[start:].split("\n\n", maxsplit=1)[0].splitlines()[2:]
    return [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines]


def names(cell: str) -> list[str]:
    """Return the words of a cell that are formatted as code."""
    return re.findall(r"`([^`]+)`", cell)


def first_cells(page: str, header: str) -> list[str]:
    """Return all names in the first cells of a table."""
    return [name for row in rows(page, header) for name in names(row[0])]


def blocks(language: str) -> dict[str, str]:
    """Return the code blocks of a language in all pages, by the page and their number there."""
    return {
        f"{path.name}-{number}": code
        for path in OURS
        for number, (found, code) in enumerate(BLOCK.findall(path.read_text(encoding="utf-8")), 1)
        if found == language
    }


PYTHON, TOML = blocks("python"), blocks("toml")


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_the_readme_fits_on_a_few_screens() -> None:
    assert len(text("README.md").splitlines()) <= 150


@pytest.mark.parametrize("path", ["README.md", "worker/guide/events.md"])
def test_every_outcome_has_its_meaning(path: str) -> None:
    assert first_cells(text(path), "| outcome | meaning |") == list(Outcome)


def test_an_outcome_means_the_same_everywhere() -> None:
    header = "| outcome | meaning |"
    assert rows(text("README.md"), header) == rows(guide("events"), header)


def test_every_kind_of_evidence_has_its_meaning() -> None:
    assert first_cells(guide("events"), "| evidence | meaning |") == list(Evidence)


def test_every_event_has_its_occasion() -> None:
    table = first_cells(guide("events"), "| `canceller.cancellation.*.v1` | emitted when |")
    assert set(table) == GISTS.keys() - OTHER_EVENTS.keys()
    assert all(f"`canceller.{about}.{name}.v1`" in guide("events") for name, about in OTHER_EVENTS.items())


def test_every_field_of_a_command_has_its_meaning() -> None:
    table = first_cells(guide("sending").partition("## The fields")[2], "| field | meaning |")
    assert {"verb"} | Command.model_fields.keys() == {"verb"} | {name for name in table if name in Command.model_fields}
    assert set(table) >= Command.model_fields.keys() - {"verb"}


def test_every_exception_of_the_client_has_its_meaning() -> None:
    exported = {name: getattr(client, name) for name in client.__all__}
    raised = {name for name, one in exported.items() if isinstance(one, type) and issubclass(one, Exception)}
    table = first_cells(guide("sending"), "| exception | meaning |")

    assert {name for name in table if name[0].isupper() and name != "TimeoutError"} == raised - {"CancellerError"}


def test_every_exit_code_has_its_meaning() -> None:
    assert [int(row[0]) for row in rows(guide("operating"), "| exit code | meaning |")] == list(Exit)


def test_every_state_of_a_job_is_in_the_glossary() -> None:
    assert all(f"`{state}`" in guide("glossary") for state in JobState)


@pytest.mark.parametrize("reason", [CONFLICT, NOT_ACCEPTED, NOT_ALLOWED])
def test_a_reason_for_a_rejection_is_quoted_as_it_is(reason: str) -> None:
    assert f"| `{reason}` |" in guide("troubleshooting")


@pytest.mark.parametrize("verb", ["cancel", "delete", "submit", *ACTIONS])
def test_a_task_that_takes_commands_is_named(verb: str) -> None:
    assert f"`worker.{verb}`" in guide("sending")


def test_every_command_that_a_page_shows_exists() -> None:
    known = get_command(command_line()).commands  # type: ignore[attr-defined]
    for path in OURS:
        page = path.read_text(encoding="utf-8")
        code = "\n".join([*names(BLOCK.sub("", page)), *(shown for _, shown in BLOCK.findall(page))])
        for name in re.findall(r"(?:^|[;&|/] ?|=\d+ )canceller ([a-z][a-z-]+)", code, re.MULTILINE):
            assert name in known, path.name


def test_the_page_of_settings_shows_the_env_file_as_it_is() -> None:
    assert f"```sh\n{text('.env.example')}```\n" in guide("settings")


def test_every_variable_that_a_page_names_is_documented() -> None:
    documented = text(".env.example")
    for path in OURS:
        for name in re.findall(r"\b(?:CANCELLER|CELERY|REDIS)_[A-Z_]*[A-Z]", path.read_text(encoding="utf-8")):
            assert f"{name}=" in documented, (path.name, name)


@pytest.mark.parametrize("code", PYTHON.values(), ids=PYTHON)
def test_what_an_example_imports_exists(code: str) -> None:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            assert all(hasattr(module, name.name) for name in node.names)


@pytest.mark.parametrize("code", TOML.values(), ids=TOML)
def test_an_example_of_a_file_can_be_read(code: str) -> None:
    assert tomllib.loads(code)


def test_the_name_of_the_installed_package_starts_a_worker() -> None:
    assert "celery -A worker worker" in text("Procfile")
    assert all("`celery -A canceller worker`" in guide(topic) for topic in ("backends", "operating"))


@pytest.mark.parametrize("topic", TOPICS)
def test_every_page_of_the_guide_is_linked_from_the_readme(topic: str) -> None:
    assert f"(worker/guide/{topic}.md)" in text("README.md")


def test_the_picture_of_the_demo_shows_every_outcome() -> None:
    assert all(outcome in text("worker/guide/demo.svg") for outcome in (*Outcome, "rejected"))


@pytest.mark.parametrize("name", [name for name in vars(pytest_plugin) if name.startswith("canceller_")])
def test_every_fixture_is_described(name: str) -> None:
    assert f"`{name}`" in guide("simulator")


EXAMPLES = sorted(
    path for path in (ROOT / "tests/examples").glob("*.py") if path.stem not in {"conftest", "test_examples"}
)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_shown_as_it_is_run(path: Path) -> None:
    program = re.sub(r"\bworker\.(client|simulator)\b", r"canceller.\1", path.read_text(encoding="utf-8"))

    assert f"<!-- example: {path.stem} -->\n```python\n{program}```\n" in guide("examples") + guide("sinks")


def test_the_clean_up_is_shown_as_it_is_run() -> None:
    program = text("tests/examples/clean_up.sh")

    assert f"<!-- example: clean_up -->\n```sh\n{program}```\n" in guide("clean-ups")
