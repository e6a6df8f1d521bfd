"""Test what your service does with Canceller: a real worker, a real Redis, simulated job systems."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from worker.client import Client
from worker.simulator import Simulator


def stop_invoice_run(job_id: str) -> str:
    """Stop a job; this stands in for your own code, which finds the deployment in its environment."""
    with Client.from_env() as client:
        return client.cancel("ess", job_id, reason="invoice withdrawn").wait(timeout=30).outcome


def test_a_running_job_is_stopped(
    canceller_simulator: Simulator, canceller_environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in canceller_environment.items():
        monkeypatch.setenv(name, value)
    canceller_simulator.add_job("ess", "1001", "runs")

    assert stop_invoice_run("1001") == "cancelled"
    assert canceller_simulator.job("ess", "1001").state == "CANCELLED"


def test_a_job_that_hangs_is_forced_after_half_an_hour(
    canceller_simulator: Simulator, canceller_client: Client
) -> None:
    canceller_simulator.add_job("ess", "1002", "stuck")
    cancellation = canceller_client.cancel("ess", "1002", remote_stopped=True)

    assert cancellation.wait(timeout=30).outcome == "force_cancelled"
    assert [entry.verb for entry in canceller_simulator.log("ess", "1002", "force")] == ["force"]


def test_a_backend_that_fails_delays_the_end(canceller_simulator: Simulator, canceller_client: Client) -> None:
    canceller_simulator.add_job("sahara", "job-7")
    canceller_simulator.add_fault("error", system="sahara", verb="cancel", http=503, times=1)

    assert canceller_client.cancel("sahara", "job-7").wait(timeout=30).outcome == "cancelled"
