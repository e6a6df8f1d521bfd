"""Any text on any terminal: nothing fails because an encoding lacks a character."""

from __future__ import annotations

import codecs
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.cell import ROOT, Cell, cell
from system.conftest import BACKENDS, KNOBS

from worker.cli.demo.cases import CASES

STRICT = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""Makes Python take the encoding from every locale, even from C and POSIX."""
REASON = "预算 budget Übung 予算 😀"


LOCALES = ("C", "zh_CN.gbk", "zh_CN.gb18030", "ja_JP.eucjp", "de_DE.iso88591")


def machine_locales() -> list[str]:
    """Return those of the locales that this machine has; LOCPATH may add some."""
    listed = subprocess.run(["locale", "-a"], capture_output=True, encoding="latin-1", check=False).stdout.split()
    more = [path.name for path in Path(os.environ.get("LOCPATH", os.devnull)).glob("*")]
    return [name for name in LOCALES if name in {*listed, *more}]


TERMINALS: dict[str, dict[str, str]] = {
    "GBK": {"PYTHONIOENCODING": "gbk"},
    "EUC-JP": {"PYTHONIOENCODING": "euc_jp"},
    "Latin-1": {"PYTHONIOENCODING": "latin-1"},
    **{f"the locale {name}": {"LC_ALL": name, **STRICT} for name in machine_locales()},
}


def environment(more: Mapping[str, str]) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if not name.startswith("LC_")}, **more}


def encoding_of(terminal: Mapping[str, str]) -> str:
    command = [sys.executable, "-c", "import sys; print(sys.stdout.encoding)"]
    told = subprocess.run(command, env=environment(terminal), capture_output=True, encoding="ascii", check=True)
    return codecs.lookup(told.stdout.strip()).name


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """A deployment that has one finished, one open and one rejected command, all with strange characters."""
    with cell(tmp_path_factory.mktemp("locales"), BACKENDS, knobs=KNOBS) as one:
        one.start_worker()
        one.simulator.add_job("ess", "1")
        one.simulator.add_job("ess", "9", "stuck")
        one.send("cancel", backend="ess", job_id="1", reason=REASON)
        one.send("cancel", backend="ess", job_id="9", reason=REASON, requested_by="安")
        one.send("cancel", backend="ess", job_id=REASON, command_id="安-1")
        one.wait_until(lambda: len(one.of("rejected")) == len(one.of("finished")) == 1)
        one.wait_until(lambda: len(one.of("accepted")) == 2)
        yield one


COMMANDS = {
    "events": ("events",),
    "status": ("status", "ess", "9"),
    "list": ("list", "--finished"),
    "dead letters": ("dead-letters", "list"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("terminal", TERMINALS.values(), ids=TERMINALS)
def test_a_command_writes_whatever_it_has_to_say(
    terminal: dict[str, str], command: tuple[str, ...], told: Cell
) -> None:
    env = environment({"REDIS_URL": told.url, **terminal})
    done = subprocess.run(
        [sys.executable, "-m", "worker", *command], cwd=ROOT, env=env, capture_output=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.decode(encoding_of(terminal))


@pytest.mark.parametrize("command", [("events",), ("dead-letters", "list"), ("status", "ess", "9")], ids=" ".join)
@pytest.mark.parametrize("terminal", TERMINALS.values(), ids=TERMINALS)
def test_json_keeps_every_character(terminal: dict[str, str], command: tuple[str, ...], told: Cell) -> None:
    env = environment({"REDIS_URL": told.url, **terminal})
    done = subprocess.run(
        [sys.executable, "-m", "worker", *command, "--json"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        timeout=60,
        check=True,
    )
    lines = [json.loads(line) for line in done.stdout.decode(encoding_of(terminal)).splitlines()]

    assert REASON in repr(lines)


@pytest.mark.parametrize("terminal", TERMINALS.values(), ids=TERMINALS)
def test_a_worker_works_and_its_log_keeps_every_character(terminal: dict[str, str], tmp_path: Path) -> None:
    with cell(tmp_path, BACKENDS, knobs=KNOBS) as one:
        one.env = {**environment(terminal), **{name: one.env[name] for name in ("REDIS_URL", "CANCELLER_BACKENDS")}}
        one.env["CANCELLER_LOG_FORMAT"] = "json"
        worker = one.start_worker()
        one.send("cancel", backend="sahara", job_id="安Ü😀", reason=REASON)
        line = worker.wait_for("cancellation.finished")

    assert "安Ü😀" == json.loads(line)["job_id"]


def test_the_demo_shows_its_table_in_a_terminal_without_utf_8(tmp_path: Path) -> None:
    env = environment({"TMPDIR": str(tmp_path), "LC_ALL": "C", **STRICT})
    done = subprocess.run(
        [sys.executable, "-m", "worker", "demo"], cwd=ROOT, env=env, capture_output=True, timeout=300, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CASES)} of {len(CASES)} outcomes are as expected" in done.stdout.decode("ascii")
