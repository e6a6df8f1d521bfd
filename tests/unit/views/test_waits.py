"""What a wait is put down to if the backend was paused meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.protocol.messages import Event
from worker.views.waits import cause_of_wait

T = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
PAUSE = "the backend was not called for a while, after 10 failures in a row"


def event(name: str, after: float, about: str = "cancellation", **data: Any) -> Event:
    """An event so many seconds after ten o'clock."""
    return Event.model_validate(
        {
            "id": f"c1-{name}",
            "source": "/canceller/ess",
            "type": f"canceller.{about}.{name}.v1",
            "time": (T + timedelta(seconds=after)).isoformat(),
            "data": data,
        }
    )


ACCEPTED = event("accepted", 0)
HELD = event("held", 1, action={"by": "ann"})


@pytest.mark.parametrize(
    ("before", "cause"),
    [
        pytest.param((ACCEPTED,), PAUSE, id="nothing-else"),
        pytest.param(
            (ACCEPTED, HELD), f"held by ann: nothing was sent that changes the job; {PAUSE}", id="during-a-hold"
        ),
    ],
)
def test_a_pause_of_the_backend_is_told_beside_a_longer_cause(before: tuple[Event, ...], cause: str) -> None:
    paused = event("paused", 10, "backend", failures=10)

    assert cause_of_wait(before, event("released", 7202), [paused]).partition(": ")[2] == cause
