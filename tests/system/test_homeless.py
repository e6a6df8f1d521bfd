"""Users as containers and service managers create them: no name, no home, not a single variable."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.cell import ROOT
from support.shell import BACKENDS, read_until, run, running

from worker.cli.exits import Exit

NOBODY = 54321
"""A user id that has no name on any machine."""
# It may read everything, so that it does not matter where Python, the project and the test's files are.
RIGHTS = "+dac_override,+dac_read_search"
AS_NOBODY = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
AS_NOBODY += ["--inh-caps", RIGHTS, "--ambient-caps", RIGHTS]
NO_DATA_DIR = "CANCELLER_DATA_DIR: is needed here, where no home directory is known"


@pytest.fixture(autouse=True, scope="module")
def becoming_somebody_else() -> None:
    """Skip without root and setpriv; with NO_SKIPS, as in the gate, fail instead."""
    give_up = pytest.fail if os.environ.get("NO_SKIPS") else pytest.skip
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        give_up("only root, with setpriv, can become somebody else")


@pytest.fixture
def backends(tmp_path: Path) -> Path:
    file = tmp_path / "b.toml"
    file.write_text(BACKENDS, encoding="utf-8")
    return file


def test_a_command_that_needs_no_data_directory_does_not_ask_for_one() -> None:
    done = run({"REDIS_URL": "unix:///absent.sock"}, "list", by=AS_NOBODY)

    assert (done.returncode, "absent.sock" in done.stderr, "HOME" in done.stderr) == (Exit.ERROR, True, False)


def test_up_lists_the_missing_data_directory_among_the_other_mistakes() -> None:
    done = run({}, "up", by=AS_NOBODY)

    assert Exit.USAGE == done.returncode
    for problem in (NO_DATA_DIR, "CANCELLER_BACKENDS: is not set"):
        assert f"\n  {problem}" in done.stderr


def test_a_redis_elsewhere_spares_the_data_directory(backends: Path) -> None:
    env = {"REDIS_URL": "unix:///absent.sock", "CANCELLER_BACKENDS": str(backends)}
    with running(env, "up", "--workers", "1", by=AS_NOBODY) as up:
        read_until(up, "using the Redis that REDIS_URL names")
        read_until(up, "1 worker in the foreground")
        up.send_signal(signal.SIGTERM)
        read_until(up, "stopping the workers")


def test_a_worker_without_a_redis_says_what_is_missing(backends: Path) -> None:
    command = [*AS_NOBODY, sys.executable, "-m", "celery", "-A", "worker", "worker"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={"CANCELLER_BACKENDS": str(backends)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )

    assert (done.returncode, "REDIS_URL" in done.stderr) == (Exit.USAGE, True), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("variable", ["CANCELLER_DATA_DIR", "CANCELLER_BACKENDS"])
@pytest.mark.parametrize("path", ["~/x", "~nobody-at-all/x"])
def test_a_path_in_an_unknown_home_is_a_mistake_of_the_configuration(variable: str, path: str) -> None:
    done = run({variable: path}, "check", by=AS_NOBODY)

    assert done.returncode == Exit.USAGE
    assert f"{variable}: ~ stands for a home directory, and none is known here" in done.stderr
    assert done.stderr.count("~ stands for") == 1


@pytest.mark.parametrize("variable", ["CANCELLER_DATA_DIR", "XDG_STATE_HOME"])
def test_up_and_its_workers_run_without_a_home_or_a_name(variable: str, backends: Path, tmp_path: Path) -> None:
    env = {variable: str(tmp_path / "state"), "CANCELLER_BACKENDS": str(backends)}
    with running(env, "up", "--workers", "1", by=AS_NOBODY) as up:
        read_until(up, "engine.started")
        sent = run(env, "cancel", "ess", "1", "--command-id", "k-1", by=AS_NOBODY)
        read_until(up, "cancellation.cancel_sent")
        told = run(env, "status", "k-1", by=AS_NOBODY)
        up.send_signal(signal.SIGTERM)
        read_until(up, "stopping the embedded Redis")
        assert Exit.DONE == up.wait(timeout=60)

    assert (sent.returncode, told.returncode) == (Exit.DONE, Exit.DONE), sent.stderr + told.stderr
