"""Fixtures for the tests of services that send commands: a deployment of their own, with simulated job systems.

pytest loads this module wherever Canceller is installed; nothing else is loaded, or started, before a test asks for it.
For annotations, the type `Simulator` is in `canceller.simulator`, and `Client` in `canceller.client`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..client import Client
    from ..local.deployment import Deployment
    from ..simulator import Simulator


@pytest.fixture(scope="session")
def canceller_speed() -> float:
    """Return how fast the backends' clock runs: ESS's half an hour takes three real seconds. Override it at will."""
    return 600.0


@pytest.fixture(scope="session")
def canceller_backends() -> str:
    """Return the text of the backends file: ess, oml, mrs, mrs-v2, sahara and sahara-v2. Override it at will.

    http://127.0.0.1:8580 in it stands for the simulator, whatever its port.
    """
    from ..settings.place import shipped  # noqa: PLC0415 - here and below: nothing is loaded for tests that do not ask

    # Only the backends' clock is fast: two seconds between looks would be twenty minutes on it.
    return shipped("backends.toml").read_text(encoding="utf-8").replace('max = "2s"', 'max = "300ms"')


@pytest.fixture(scope="session")
def _canceller_deployment(
    tmp_path_factory: pytest.TempPathFactory, canceller_backends: str, canceller_speed: float
) -> Iterator[Deployment]:
    from ..local.deployment import deployment  # noqa: PLC0415

    with deployment(tmp_path_factory.mktemp("canceller"), canceller_backends, canceller_speed) as one:
        yield one


@pytest.fixture(scope="session")
def canceller_environment(_canceller_deployment: Deployment) -> Mapping[str, str]:
    """Return the variables that lead to the deployment, such as REDIS_URL and CELERY_BROKER_URL; its worker runs."""
    return _canceller_deployment.environment


@pytest.fixture
def canceller_simulator(_canceller_deployment: Deployment) -> Iterator[Simulator]:
    """Return the simulator, to make jobs and faults, and to see what was called; faults end with the test."""
    yield _canceller_deployment.simulator
    _canceller_deployment.simulator.clear_faults()


@pytest.fixture
def canceller_client(canceller_environment: Mapping[str, str]) -> Iterator[Client]:
    """Return a client of the deployment."""
    from ..client import Client, Settings  # noqa: PLC0415

    with Client(Settings.load(canceller_environment)) as client:
        yield client
