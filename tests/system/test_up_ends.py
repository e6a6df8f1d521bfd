"""How `canceller up` ends: in order, and with nothing left behind."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from support.cell import ROOT
from support.shell import BACKENDS, COMMAND, read_until, running

from worker.cli.exits import Exit


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "b.toml").write_text(BACKENDS, encoding="utf-8")
    ours = ("CANCELLER_", "REDIS_", "CELERY_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "CANCELLER_BACKENDS": str(tmp_path / "b.toml"), "CANCELLER_DATA_DIR": str(tmp_path / "data")}


@pytest.fixture(autouse=True)
def _hangups() -> Iterator[None]:
    """Make processes that a test starts react to hangups, which they would ignore if nohup ran us."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_the_children_and_takes_the_address_back(
    number: signal.Signals, env: dict[str, str], tmp_path: Path
) -> None:
    with running(env, "up", "--workers", "1") as up:
        read_until(up, "engine.started")
        children = psutil.Process(up.pid).children(recursive=True)
        up.send_signal(number)
        read_until(up, "engine.stopped")
        read_until(up, "stopping the embedded Redis")
        assert Exit.DONE == up.wait(timeout=60)

    assert len(children) >= 2
    assert not [child for child in children if child.is_running()]
    assert not (tmp_path / "data/redis.url").exists()


@contextmanager
def on_a_terminal(env: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run `up` alone on a terminal; also yield the other side of the terminal."""
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [*COMMAND, "up", "--workers", "1"],
        cwd=ROOT,
        env=env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - it takes no lock of a thread
    ) as process:
        os.close(theirs)
        killer = threading.Timer(120, process.kill)
        killer.start()
        try:
            yield process, ours
        finally:
            killer.cancel()
            process.kill()


def test_a_terminal_that_is_closed_ends_all_in_order(env: dict[str, str], tmp_path: Path) -> None:
    with on_a_terminal(env) as (up, terminal):
        shown = b""
        while b"engine.started" not in shown:
            shown += os.read(terminal, 4096)
        children = psutil.Process(up.pid).children(recursive=True)
        os.close(terminal)
        assert Exit.DONE == up.wait(timeout=60)

    assert not [child for child in children if child.is_running()]
    assert not (tmp_path / "data/redis.url").exists()


def test_nohup_outlives_its_terminal(env: dict[str, str]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with running(env, "up", "--workers", "1") as up:
            signal.signal(signal.SIGHUP, before)
            read_until(up, "engine.started")
            up.send_signal(signal.SIGHUP)
            with pytest.raises(subprocess.TimeoutExpired):
                up.wait(timeout=1)
    finally:
        signal.signal(signal.SIGHUP, before)
