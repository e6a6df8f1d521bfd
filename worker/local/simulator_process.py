"""The simulator as a child process, and what to put into a backends file for it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..domain.errors import CancellerError
from ..settings.env_file import process_environment
from ..settings.place import PACKAGE, shipped
from .child_process import first_line, start, stop_all

START_SECONDS = 20.0
STOP_SECONDS = 3.0
EXAMPLE_ADDRESS = "127.0.0.1:8580"
"""Where the example backends file expects the simulator."""


class SimulatorFailed(CancellerError):
    """The simulator did not start; the text names its log."""


@dataclass(frozen=True, slots=True)
class SimulatorProcess:
    """A running simulator; `example` is the backends file that ships with the package, with this one's address."""

    url: str
    process: subprocess.Popen[bytes]
    example: str


@contextmanager
def simulator_process(
    directory: Path, speed: float, jobs: Mapping[str, Any], port: int = 0
) -> Iterator[SimulatorProcess]:
    """Run the simulator with the jobs and faults of a jobs file; its log goes to a directory.

    Raises:
        SimulatorFailed: it did not start.

    """
    file, log = directory / "jobs.json", directory / "simulator.log"
    file.write_text(json.dumps(jobs), encoding="utf-8")
    arguments = ["-m", f"{PACKAGE}.simulator", "--speed", str(speed), "--jobs", str(file), "--port", str(port)]
    with log.open("ab") as errors:
        process = start(arguments, process_environment(), subprocess.PIPE, errors)
    try:
        url = _address(process, log)
        example = shipped("backends.toml").read_text(encoding="utf-8")
        yield SimulatorProcess(url, process, example.replace(EXAMPLE_ADDRESS, url.removeprefix("http://")))
    finally:
        stop_all([process], STOP_SECONDS)
        if process.stdout:
            process.stdout.close()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Read the line in which the simulator reports its address."""
    url = first_line(process, START_SECONDS).strip().rpartition(" ")[2]
    if not url.startswith("http://"):
        raise SimulatorFailed(f"the simulator did not start; its log is {log}")
    return url
