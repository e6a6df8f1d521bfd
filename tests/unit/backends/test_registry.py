"""The registry of kinds: a table of the backends file becomes the adapter that it configures."""

from __future__ import annotations

import pytest

from worker.backends.adapter import Adapter
from worker.backends.mrs import Mrs
from worker.backends.oracle_ess import OracleEss
from worker.backends.oracle_ml import OracleMl
from worker.backends.registry import KINDS, TABLES
from worker.backends.sahara import Sahara
from worker.settings.backends_file.backends import AUTHS, NAME

CASES = [
    pytest.param("oracle-ess", {}, OracleEss(), id="oracle-ess"),
    pytest.param("oracle-ml", {}, OracleMl(), id="oracle-ml"),
    pytest.param(
        "oracle-ml",
        {"scripts": "py-scripts", "service": "LOW"},
        OracleMl("py-scripts", "LOW"),
        id="oracle-ml-with-all-options",
    ),
    pytest.param("mrs", {"project_id": "p"}, Mrs("p"), id="mrs"),
    pytest.param(
        "mrs",
        {"project_id": "p", "dialect": "v2", "cluster_id": "c"},
        Mrs("p", "v2", "c"),
        id="mrs-with-all-options",
    ),
    pytest.param("sahara", {"project_id": "p"}, Sahara("p"), id="sahara"),
    pytest.param("sahara", {"project_id": "p", "dialect": "v2"}, Sahara("p", "v2"), id="sahara-with-all-options"),
]


@pytest.mark.parametrize(("kind", "options", "adapter"), CASES)
def test_a_table_makes_the_adapter_of_its_kind(kind: str, options: dict[str, str], adapter: Adapter) -> None:
    table = {"kind": kind, "base_url": "https://h", "auth": {"type": "none"}, **options}

    made = KINDS[kind].adapter(TABLES[kind].model_validate(table))

    assert (type(made), vars(made)) == (type(adapter), vars(adapter))


def test_each_kind_has_a_case_here() -> None:
    assert {case.values[0] for case in CASES} == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_the_usual_auth_of_a_kind_is_one_that_there_is(kind: str) -> None:
    assert KINDS[kind].auth in AUTHS


@pytest.mark.parametrize("kind", KINDS)
def test_the_usual_name_of_a_kind_is_one_that_a_backend_may_have(kind: str) -> None:
    assert NAME.fullmatch(KINDS[kind].name or kind)
