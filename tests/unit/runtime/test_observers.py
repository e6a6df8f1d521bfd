"""Which observers a worker has, depending on what is installed and asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.cell import ROOT

from worker.observability.observer import NOBODY, CallMade, Claimed, Committed, MessageHandled, Observer, together
from worker.observability.worker_metrics import WorkerMetrics
from worker.runtime.observers import observers_of

LISTENING = """
import sys
sys.modules["opentelemetry"] = None  # as if the extra was not installed
from worker.runtime.process import Runtime
from worker.runtime.observers import observers_of
from worker.observability.observer import NOBODY
assert observers_of(["ess"], served=False).every is NOBODY
print(*sorted(name for name in ("prometheus_client", "opentelemetry.trace", "aiohttp.web") if name in sys.modules))
"""


def test_what_nobody_has_asked_for_is_not_even_imported() -> None:
    done = subprocess.run([sys.executable, "-c", LISTENING], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


def test_metrics_that_are_served_listen() -> None:
    found = observers_of(["ess"], served=True)

    assert isinstance(found.metrics, WorkerMetrics)
    assert found.every == found.metrics.note


@pytest.mark.parametrize("count", [0, 1, 2])
def test_several_listen_as_one(count: int) -> None:
    one: Observer = [].append
    every = together([one] * count)

    assert (every is NOBODY, every is one) == (count == 0, count == 1)


def test_each_of_several_hears_everything() -> None:
    one, other = WorkerMetrics(["ess"]), WorkerMetrics(["ess"])
    every = together([one.note, other.note])
    every(CallMade("ess", "look", "accepted", 0.1))
    every(Claimed("ess", [0.1]))
    every(Committed(1, 0.1))
    every(MessageHandled("ess", "cancel", "accepted", None, 0.1))

    assert [metric.samples for metric in one.collect()] == [metric.samples for metric in other.collect()]
    assert sum(sample.value for metric in one.collect() for sample in metric.samples if "_count" in sample.name) == 3
