"""What addresses a job in addition to its id, and what identifies a backend in addition to its base URL.

The id alone addresses a job, except for MRS v2, whose rules are in `test_mrs.py`.
"""

from __future__ import annotations

import pytest

from worker.backends.adapter import Adapter
from worker.backends.mrs import Mrs
from worker.backends.oracle_ess import OracleEss
from worker.backends.oracle_ml import OracleMl
from worker.backends.sahara import Sahara
from worker.domain.model import Job


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


@pytest.mark.parametrize(
    ("adapter", "within"),
    [
        pytest.param(OracleEss(), (), id="ess"),
        pytest.param(OracleMl("py-scripts"), ("py-scripts",), id="oml"),
        pytest.param(Mrs("p", cluster_id="c"), ("project p",), id="mrs-v1.1-lists-only"),
        pytest.param(Mrs("p", "v2"), ("project p", "dialect v2"), id="mrs-v2"),
        pytest.param(Mrs("p", "v2", "c"), ("project p", "dialect v2", "cluster c"), id="mrs-v2-cluster"),
        pytest.param(Sahara("p", "v2"), ("project p",), id="sahara"),
    ],
)
def test_what_beside_the_base_url_leads_to_the_jobs(adapter: Adapter, within: tuple[str, ...]) -> None:
    assert adapter.within == within
