"""One deployment for all examples, whose backend's clock is fast: 30 minutes last three seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.cell import Cell, cell

from worker.simulator import Clock

SPEED = 600
BACKENDS = """
[backends.ess]
kind = "oracle-ess"
base_url = "{ess}"
auth = { type = "none" }
poll = { first = "200ms", max = "300ms" }
"""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """Run a worker; the environment of this process leads to it, as a producer's would."""
    directory = tmp_path_factory.mktemp("examples")
    with (
        cell(directory, BACKENDS, Clock(SPEED), more={"CANCELLER_CLOCK_SPEED": str(SPEED)}) as one,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("REDIS_URL", one.url)
        environment.setenv("CELERY_BROKER_URL", one.url.replace("unix://", "redis+socket://"))
        one.start_worker()
        yield one
