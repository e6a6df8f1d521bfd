"""A worker inside the test's own process, with its own deployment: what it serves over HTTP, and its event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from support.cell import Cell, cell
from support.ports import free_ports

from worker.runtime.process import Runtime
from worker.runtime.wiring import deployment_of
from worker.settings.environment import Settings

LATE = 0
"""The status of a request that was not answered in time."""
Series = Mapping[str, float]


@dataclass
class Served:
    """The worker, and how to query it."""

    cell: Cell
    runtime: Runtime
    settings: Settings

    def get(self, path: str, seconds: float = 30) -> tuple[int, str]:
        """Ask for a path; return the status, `LATE` if no answer came in time, and the text."""
        return get(f"http://{self.settings.http}{path}", seconds)

    def series(self) -> Series:
        """Return what `/metrics` shows."""
        return series(self.get("/metrics")[1])

    def until(self, done: Callable[[], bool], seconds: float = 60) -> bool:
        """Wait until a condition is true, up to a time limit; say whether it is."""
        return until(done, seconds)

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Make the worker's loop hang."""
        go_on, hangs = threading.Event(), threading.Event()

        async def hang() -> None:
            hangs.set()
            go_on.wait(60)

        future = self.runtime._loop.begin(hang())
        assert hangs.wait(60)
        try:
            yield
        finally:
            go_on.set()
            future.result(60)


def get(url: str, seconds: float = 30) -> tuple[int, str]:
    """Ask for a URL; return the status, `LATE` if no answer came in time, and the text."""
    try:
        reply = httpx.get(url, timeout=seconds)
    except httpx.TransportError:
        return LATE, ""
    return reply.status_code, reply.text


def until(done: Callable[[], bool], seconds: float = 60) -> bool:
    """Check again and again until a condition is true, up to a time limit; say whether it is."""
    over = threading.Event()
    timer = threading.Timer(seconds, over.set)
    timer.start()
    try:
        while not over.wait(0.05):
            if done():
                return True
        return False
    finally:
        timer.cancel()


def series(text: str) -> Series:
    """Read the text of a `/metrics`: each series, as PromQL names it, with its value."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = float(sample.value)
    return found


def value(found: Series, name: str, **labels: str) -> float:
    """Return the value of one series, NaN if there is none."""
    written = ",".join(f'{label}="{one}"' for label, one in sorted(labels.items()))
    return found.get(f"{name}{{{written}}}" if written else name, nan)


@contextmanager
def served(directory: Path, backends: str, **options: Any) -> Iterator[Served]:
    """Run a worker; `backends` and the options are as for `support.cell.cell`."""
    more = {"CANCELLER_HTTP": f"127.0.0.1:{free_ports(1)[0]}", "CANCELLER_LOG_LEVEL": "error"}
    with cell(directory, backends, more=more, **options) as one:
        settings = Settings.load(one.env)
        runtime = Runtime(settings, deployment_of(settings))
        try:
            runtime.start()
            yield Served(one, runtime, settings)
        finally:
            runtime.stop()
            runtime.close()
