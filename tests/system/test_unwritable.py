"""Commands whose standard output can't be written, whose reader goes away, or that are interrupted at once."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.cell import ROOT, Cell, cell
from support.shell import COMMAND
from system.conftest import BACKENDS

from worker.cli import INTERRUPTED
from worker.cli.exits import Exit

FULL = Path("/dev/full")
LOADS_LONG = """
import sys
sys.stderr.write("loading\\n")
sys.stderr.flush()
sys.stdin.read()
"""
"""A module whose import does not end before standard input does."""
NO_SPACE = "canceller: standard output can't be written: No space left on device\n"


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    with cell(tmp_path_factory.mktemp("unwritable"), BACKENDS) as one:
        one.simulator.add_job("ess", "1", "stuck")
        one.start_worker()
        one.send("cancel", backend="ess", job_id="1")
        one.wait_until(lambda: bool(one.of("accepted")))
        yield one


def run_into(file: int, env: Mapping[str, str], *words: str) -> tuple[int, str]:
    """Run a command with a file as its standard output; return its exit code and its errors."""
    done = subprocess.run(
        [*COMMAND, *words], cwd=ROOT, env=env, stdout=file, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "words",
    [("list",), ("list", "--json"), ("events", "--json"), ("events",), ("status", "ess", "1"), ("--version",), ("-h",)],
    ids=" ".join,
)
def test_a_full_disk_is_an_error_in_one_line(words: tuple[str, ...], deployment: Cell) -> None:
    with FULL.open("wb") as full:
        assert run_into(full.fileno(), deployment.env, *words) == (Exit.ERROR, NO_SPACE)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        pytest.param(("list",), Exit.DONE, "", id="list"),
        pytest.param(("events", "--json"), Exit.DONE, "", id="events"),
        pytest.param(("events",), Exit.DONE, "", id="events-in-lines"),
        pytest.param(("guide",), Exit.DONE, "", id="guide"),
        pytest.param(("-h",), Exit.DONE, "", id="help"),
        pytest.param(
            ("cancel", "ess", "1"),
            Exit.ERROR,
            "canceller: standard output can't be written: Broken pipe\n",
            id="a-command-that-acts",
        ),
    ],
)
def test_a_reader_that_leaves_has_got_what_it_wanted(
    words: tuple[str, ...], code: Exit, text: str, deployment: Cell
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert run_into(writing, deployment.env, *words) == (code, text)
    finally:
        os.close(writing)


def test_a_command_that_is_interrupted_while_it_loads_ends_silently(tmp_path: Path, deployment: Cell) -> None:
    (tmp_path / "typer.py").write_text(LOADS_LONG)
    with subprocess.Popen(
        [*COMMAND, "list"],
        cwd=ROOT,
        env={**deployment.env, "PYTHONPATH": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        assert process.stderr.readline() == "loading\n"
        process.send_signal(signal.SIGINT)

        assert (process.wait(60), process.stderr.read()) == (INTERRUPTED, "")
