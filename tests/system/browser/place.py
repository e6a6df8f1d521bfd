"""A deployment with a board, for tests and pictures: workers, simulated backends with a fast clock, jobs on request."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from support.cell import ROOT, Cell, cell

from worker.client import Client, Settings
from worker.simulator import Clock

TOKEN = "0123456789abcdef"
POLL = 'auth = { type = "none" }\npoll = { first = "200ms", max = "1s" }'
BACKENDS = f"""
[backends.ess]
kind = "oracle-ess"
base_url = "{{ess}}"
{POLL}
[backends.mrs]
kind = "mrs"
base_url = "{{mrs}}"
project_id = "p1"
breaker = {{ failures = 3, pause = "60s" }}
{POLL}
[backends.sahara]
kind = "sahara"
base_url = "{{sahara}}"
project_id = "p1"
dialect = "v2"
{POLL}
"""


@dataclass
class Place:
    """A deployment, the address of its board, and a client."""

    cell: Cell
    url: str
    client: Client

    def make(self, system: str, job_id: str, **life: Any) -> None:
        """Create a job, or with `kind` a fault."""
        self._post("jobs", {"system": system, "id": job_id, **life})

    def fail(self, system: str, kind: str, **fault: Any) -> None:
        """Make calls of a system fail."""
        self._post("faults", {"kind": kind, "system": system, **fault})

    def _post(self, what: str, content: Mapping[str, Any]) -> None:
        httpx.post(f"{self.cell.simulator.url}/_sim/{what}", json=dict(content)).raise_for_status()


@contextmanager
def place(directory: Path, speed: float = 600.0, workers: int = 1) -> Iterator[Place]:
    """Run a deployment with a board; `speed` is that of the backends' clock."""
    more = {"CANCELLER_CLOCK_SPEED": str(speed), "CANCELLER_BOARD_TOKEN": TOKEN}
    with cell(directory, BACKENDS, clock=Clock(speed), more=more) as one:
        for _ in range(workers):
            one.start_worker()
        command = [sys.executable, "-m", "worker", "board", "--listen", "127.0.0.1:0", "--json"]
        process = subprocess.Popen(command, env=one.env, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        try:
            url = json.loads(process.stdout.readline())["url"]
            with Client(Settings.load(one.env)) as client:
                yield Place(one, url, client)
        finally:
            process.terminate()
            process.wait(timeout=20)
            process.stdout.close()
