from __future__ import annotations

import pytest

from worker.protocol.messages import Event
from worker.views.about import about


@pytest.mark.parametrize(
    ("type_", "backend", "subject", "text"),
    [
        pytest.param("canceller.cancellation.finished.v1", "ess", "300100", "ess 300100", id="a job"),
        pytest.param("canceller.backend.paused.v1", "ess", None, "ess -", id="a backend"),
        pytest.param(
            "canceller.batch.finished.v1", None, "sha256:4f0c1d2e3a5b99", "batch sha256:4f0c1d2e3a5b", id="a batch"
        ),
    ],
)
def test_an_event_is_said_to_be_about(type_: str, backend: str | None, subject: str | None, text: str) -> None:
    time = "2026-11-22T10:00:00.000Z"
    seen = Event(id="1", source="/x", type=type_, time=time, backend=backend, subject=subject, data={})

    assert about(seen) == text
