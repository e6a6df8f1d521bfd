"""`canceller demo`, as a newcomer runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from worker.cli.demo.cases import CASES
from worker.domain.model import Outcome

ROOT = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, "-m", "worker", "demo"]


def environment(directory: Path) -> dict[str, str]:
    """Return an environment that would lead the demo astray if it used it."""
    elsewhere = {
        "REDIS_URL": "redis://127.0.0.1:1",
        "CELERY_BROKER_URL": "redis://127.0.0.1:1",
        "CANCELLER_QUEUE": "elsewhere",
        "CANCELLER_SLOTS": "many",
    }
    return {**os.environ, **elsewhere, "TMPDIR": str(directory)}


def test_every_outcome_is_the_expected_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [*DEMO, "--json"], cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True, timeout=300, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["ok"]
    assert told["force_after"] >= 1800
    batch = "50 stopped"
    assert {case["outcome"] for case in told["cases"]} == {*(str(outcome) for outcome in Outcome), "rejected", batch}
    assert list(tmp_path.iterdir()) == []


def test_in_a_pipe_it_writes_plain_lines_and_a_picture_where_one_is_asked_for(tmp_path: Path) -> None:
    svg = tmp_path / "demo.svg"
    done = subprocess.run(
        [*DEMO, "--svg", str(svg)],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    assert f"{len(CASES)} of {len(CASES)} outcomes are as expected" in done.stdout
    forced = [case for case in CASES if case.expected == "force_cancelled"]
    assert svg.read_text(encoding="utf-8").count("force_cancelled") == 2 * len(forced)  # expected, and reached


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(DEMO, cwd=ROOT, env=environment(tmp_path), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            for line in process.stdout:
                if "accepted" in line:
                    break
            process.send_signal(signal.SIGINT)
            process.stdout.read()
            assert process.wait(timeout=60) != 0
        finally:
            process.kill()
    assert list(tmp_path.iterdir()) == []
