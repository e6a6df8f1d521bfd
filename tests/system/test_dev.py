"""`canceller dev`: what it prints works, and nothing of it is left behind."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from support.cell import ROOT
from support.shell import COMMAND, read_until, running

from worker.cli.dev.jobs import NEXT
from worker.cli.exits import Exit

ELSEWHERE = {"REDIS_URL": "redis://127.0.0.1:1", "CANCELLER_QUEUE": "elsewhere", "CELERY_BROKER_URL": "amqp://nowhere"}
"""An environment that would lead `dev` astray if it used it."""


@dataclass(frozen=True)
class Dev:
    """A running `dev`, and the lines that it suggests typing."""

    process: subprocess.Popen[str]
    typed: list[str]
    board: tuple[str, str]


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    directory = tmp_path_factory.mktemp("dev")
    with running(
        {**os.environ, **ELSEWHERE, "TMPDIR": str(directory)}, "dev", "--workers", "1", seconds=600
    ) as process:
        read_until(process, "Type in another terminal:")
        typed: list[str] = []
        assert process.stdout
        for line in process.stdout:
            if line.startswith("The board is at"):
                break
            typed.append(line.strip())
        yield Dev(process, typed, tuple(re.findall(r"(http://\S+) and asks for the token (\w+)", line)[0]))


def shell(*lines: str) -> subprocess.CompletedProcess[str]:
    """Type lines in another terminal, one after the other."""
    start = ["set -e", f'canceller() {{ {shlex.join(COMMAND)} "$@"; }}']
    env = {**os.environ, **ELSEWHERE, "PYTHONPATH": str(ROOT)}
    program = "\n".join([*start, *lines])
    return subprocess.run(["bash", "-c", program], env=env, capture_output=True, text=True, timeout=300, check=False)


def test_all_that_it_says_works_as_it_is_printed(dev: Dev) -> None:
    done = shell(*dev.typed)

    assert [line for line in dev.typed if line.startswith("canceller ")] == [command for command, _ in NEXT]
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ess 300101  cancelled; reported" in done.stdout


def test_its_board_shows_the_deployment(dev: Dev) -> None:
    url, token = dev.board

    assert "Backends" in httpx.get(url, headers={"authorization": f"Bearer {token}"}, timeout=30).text


def test_its_log_has_a_line_for_each_event(dev: Dev) -> None:
    shell(*dev.typed[:2], 'canceller cancel mrs mrs-1 --reason "one line"')

    read_until(dev.process, r"^\d\d:\d\d:\d\d  event     mrs mrs-1  accepted  cancel; one line$")
    read_until(dev.process, r"^\d\d:\d\d:\d\d  event     mrs mrs-1  finished  cancelled; reported")


def test_a_second_one_runs_beside_the_first(dev: Dev, tmp_path: Path) -> None:
    with running({**os.environ, "TMPDIR": str(tmp_path)}, "dev", "--workers", "1", "--json") as second:
        told = read_until(second, r'"simulator": "([^"]+)", "env_file": "([^"]+)"')
        children = psutil.Process(second.pid).children(recursive=True)
        second.send_signal(signal.SIGINT)
        read_until(second, "nothing is left behind")
        assert Exit.DONE == second.wait(timeout=60)

    assert told[1] not in "".join(dev.typed)
    assert len(children) >= 3
    assert not [child for child in children if child.is_running()]
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_backends_file_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text("[backends.x]\n", encoding="utf-8")
    with running({**os.environ, "TMPDIR": str(tmp_path)}, "dev", "--backends", str(tmp_path / "b.toml")) as process:
        read_until(process, r"\[backends\.x\] kind: is required and missing")
        assert Exit.USAGE == process.wait(timeout=60)

    assert [path.name for path in tmp_path.iterdir()] == ["b.toml"]
