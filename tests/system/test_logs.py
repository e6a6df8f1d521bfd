"""Where a worker's log goes, by Celery's own options, and what its lines contain."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.cell import ROOT, Cell

CELERY = [sys.executable, "-m", "celery"]


def wait_for(file: Path, text: str, seconds: float = 60) -> str:
    """Wait until a file contains a text; return its content."""
    deadline = time.monotonic() + seconds
    while text not in (content := file.read_text(encoding="utf-8") if file.exists() else ""):
        assert time.monotonic() < deadline, f"{text!r} is not in {file}:\n{content}"
        time.sleep(0.05)
    return content


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def celery(cell: Cell, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CELERY, *arguments], env=cell.env, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60, check=False
    )


def ended(pid_file: Path, seconds: float = 60) -> None:
    """End a detached process, and wait until it has removed its pid file."""
    os.kill(int(pid_file.read_text(encoding="utf-8")), signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while pid_file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_log_file_gets_every_line_and_standard_error_none(deployment: Cell, tmp_path: Path) -> None:
    file = tmp_path / "celery.log"
    with subprocess.Popen(
        [*CELERY, "-A", "worker", "worker", "-f", str(file)],
        env=deployment.env,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as worker:
        wait_for(file, "engine.started")
        wait_for(file, " ready.")
        worker.terminate()
        _, told = worker.communicate(timeout=60)

    assert {"engine.started", "engine.stopped"} <= {line["event"] for line in lines(file)}
    assert "engine.started" not in told


def test_a_rotated_log_goes_on_in_a_new_file(deployment: Cell, tmp_path: Path) -> None:
    file = tmp_path / "celery.log"
    with subprocess.Popen([*CELERY, "-A", "worker", "worker", "-f", str(file)], env=deployment.env, cwd=ROOT) as worker:
        wait_for(file, "engine.started")
        file.rename(tmp_path / "celery.log.1")
        worker.terminate()
        worker.wait(timeout=60)

    assert "engine.stopped" in {line["event"] for line in lines(file)}


def test_a_log_file_that_can_not_be_written_ends_the_worker_with_the_reason(deployment: Cell, tmp_path: Path) -> None:
    done = celery(deployment, "-A", "worker", "worker", "-f", str(tmp_path / "absent/celery.log"))

    assert (done.returncode, "absent/celery.log can't be written" in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


LEVELS = {
    "neither: info": ((), {}, {"info"}),
    "the variable alone": ((), {"CANCELLER_LOG_LEVEL": "warning"}, set()),
    "the option alone": (("-l", "ERROR"), {}, set()),
    "both: the option": (("-l", "INFO"), {"CANCELLER_LOG_LEVEL": "error"}, {"info"}),
}


@pytest.mark.parametrize(("options", "variables", "shown"), LEVELS.values(), ids=LEVELS)
def test_the_level_is_the_options_then_the_variables(
    options: tuple[str, ...], variables: dict[str, str], shown: set[str], deployment: Cell, tmp_path: Path
) -> None:
    file, pid_file = tmp_path / "celery.log", tmp_path / "pid"
    env = {name: value for name, value in deployment.env.items() if name != "CANCELLER_LOG_LEVEL"} | variables
    command = [*CELERY, "-A", "worker", "worker", "-f", str(file), "--pidfile", str(pid_file), *options]
    with subprocess.Popen(command, env=env, cwd=ROOT) as worker:
        deployment.send("cancel", backend="ess", job_id=1)
        deployment.wait_finished(1)
        worker.terminate()
        worker.wait(timeout=60)

    assert shown == {line["level"] for line in lines(file)} - {"warning", "error", "critical"}


def test_a_detached_worker_logs_to_its_file(deployment: Cell, tmp_path: Path) -> None:
    file, pid_file = tmp_path / "celery.log", tmp_path / "pid"
    done = celery(deployment, "-A", "worker", "worker", "--detach", "-f", str(file), "--pidfile", str(pid_file))
    assert done.returncode == 0, done.stderr
    wait_for(file, " ready.")
    ended(pid_file)

    assert "engine.stopped" in {line["event"] for line in lines(file)}


def test_each_worker_of_celery_multi_logs_to_a_file_of_its_own(deployment: Cell, tmp_path: Path) -> None:
    files = (f"--logfile={tmp_path}/%n.log", f"--pidfile={tmp_path}/%n.pid")
    done = celery(deployment, "multi", "start", "2", "-A", "worker", *files)
    assert done.returncode == 0, done.stderr
    for number in (1, 2):
        wait_for(tmp_path / f"celery{number}.log", "engine.started")
        wait_for(tmp_path / f"celery{number}.log", " ready.")
    for number in (1, 2):
        ended(tmp_path / f"celery{number}.pid")

    for number in (1, 2):
        assert "engine.stopped" in {line["event"] for line in lines(tmp_path / f"celery{number}.log")}


def test_a_calls_answer_is_a_mapping_with_numbers(deployment: Cell) -> None:
    deployment.simulator.add_job("ess", "1")
    worker = deployment.start_worker()
    deployment.send("cancel", backend="ess", job_id=1)
    line = json.loads(worker.wait_for("cancellation.cancel_sent"))

    assert (200, "accepted") == (line["answer"]["status"], line["answer"]["meaning"])


def test_a_shut_gates_conditions_are_mappings_with_booleans(deployment: Cell) -> None:
    file = Path(deployment.env["CANCELLER_BACKENDS"])
    file.write_text(
        file.read_text(encoding="utf-8").replace('"oracle-ess"', '"oracle-ess"\nforce_after = "1s"'), encoding="utf-8"
    )
    deployment.simulator.add_job("ess", "1", "stuck")
    worker = deployment.start_worker()
    deployment.send("cancel", backend="ess", job_id=1)
    line = json.loads(worker.wait_for("cancellation.force_held"))

    met = {name: one["met"] for name, one in line["gate"].items() if name != "earliest_at"}
    assert len(met) == 6
    assert all(isinstance(one, bool) or one == "unknown" for one in met.values())
    assert [met[name] for name in ("in_cancelling", "time_over", "remote_stopped")] == [True, True, False]


def test_no_line_of_a_days_work_holds_what_python_wrote(deployment: Cell) -> None:
    deployment.simulator.add_job("ess", "1")
    deployment.simulator.add_job("ess", "2", "forbidden")
    deployment.simulator.add_fault("reset", system="ess", verb="look", times=2)
    deployment.start_worker()
    for job_id in (1, 2, 3):
        deployment.send("cancel", backend="ess", job_id=job_id)
    deployment.send("cancel", backend="nowhere", job_id=1)
    deployment.send("abort", id="nobody", by="ann", reason="x")
    deployment.wait_finished(3)
    (log,) = deployment.directory.glob("worker*.log")
    written = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]

    assert written
    texts = [text for line in written for text in line.values() if isinstance(text, str)]
    assert not [text for text in texts if text.startswith(("{", "[", "<", "'", "datetime")) or "': " in text]
