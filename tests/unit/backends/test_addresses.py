"""What beside its id addresses a job: nothing, but for MRS v2, whose rules are in `test_mrs.py`."""

from __future__ import annotations

import pytest

from worker.backends.base import Adapter
from worker.backends.mrs import Mrs
from worker.backends.oracle_ess import OracleEss
from worker.backends.oracle_ml import OracleMl
from worker.backends.sahara import Sahara
from worker.model import Job


@pytest.mark.parametrize(
    "adapter",
    [
        pytest.param(OracleEss(), id="ess"),
        pytest.param(OracleMl("r-scripts"), id="oml"),
        pytest.param(Mrs("p"), id="mrs-v1.1"),
        pytest.param(Sahara("p"), id="sahara-v1.1"),
        pytest.param(Sahara("p", "v2"), id="sahara-v2"),
    ],
)
def test_an_id_alone_addresses_a_job(adapter: Adapter) -> None:
    assert adapter.address(Job("1", {"cluster_id": "c"})) == ""
