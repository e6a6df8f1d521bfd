"""A stock Celery worker with one of the peers' apps, on a Redis of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.kit.cell import START_SECONDS, Stuck, until
from tests.chaos.world import ROOT, Server
from worker.local.child_process import stop_all, tied

STOP_SECONDS = 20.0


@contextlib.contextmanager
def redis_server() -> Iterator[tuple[Server, int]]:
    """Start an empty Redis, AOF everysec; also return its process id."""
    with tempfile.TemporaryDirectory(prefix="canceller-bench-", dir="/tmp") as name:
        server = Server(Path(name) / "redis", "everysec")
        try:
            process = server._embedded._server
            assert process
            yield server, process.pid
        finally:
            server.stop()


@contextlib.contextmanager
def celery_worker(module: str, flags: Sequence[str], server: Server, base_url: str = "") -> Iterator[int]:
    """Start a worker with an app of `tests.bench.peers`; return its process id once it takes messages."""
    env = os.environ | {
        "BROKER": server.url.replace("unix://", "redis+socket://"),
        "EVENTS_URL": server.url,
        "BASE_URL": base_url,
    }
    app = f"tests.bench.peers.{module}"
    command = [sys.executable, "-m", "celery", "-A", app, "worker", "-l", "info", *flags]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(tied(command), env=env, cwd=ROOT, stdout=log, stderr=log)
        try:
            until(lambda: _said(log.fileno(), b" ready.") or process.poll() is not None, START_SECONDS, module)
            if process.poll() is not None:
                raise Stuck(f"{module} has ended: {os.pread(log.fileno(), 4000, 0).decode(errors='replace')}")
            yield process.pid
        finally:
            stop_all([process], STOP_SECONDS)


def _said(log: int, words: bytes) -> bool:
    return words in os.pread(log, 100_000, 0)
