"""The policy that follows from a backend's table and its kind."""

from __future__ import annotations

import pytest
from support.backends_file import parse_backends

from worker.domain.model import Policy
from worker.runtime.wiring import rules_of

COMMON = 'base_url = "https://h"\nauth = { type = "none" }\n'
WRITTEN = {
    "oracle-ess": f'kind = "oracle-ess"\n{COMMON}',
    "oracle-ml": f'kind = "oracle-ml"\n{COMMON}',
    "mrs": f'kind = "mrs"\nproject_id = "p"\n{COMMON}',
    "mrs-v2": f'kind = "mrs"\nproject_id = "p"\ndialect = "v2"\ncluster_id = "c"\n{COMMON}',
    "sahara": f'kind = "sahara"\nproject_id = "p"\n{COMMON}',
    "sahara-v2": f'kind = "sahara"\nproject_id = "p"\ndialect = "v2"\n{COMMON}',
}


def policy(kind: str, keys: str = "") -> Policy:
    return rules_of(parse_backends(f"[backends.b]\n{WRITTEN[kind]}{keys}", environ={})["b"]).policy


@pytest.mark.parametrize(
    ("kind", "stopped"),
    [
        pytest.param("oracle-ess", True, id="ess-deletes-ended-requests-only"),
        pytest.param("oracle-ml", True, id="oml-aborts-what-it-deletes"),
        pytest.param("mrs", True, id="mrs-deletes-no-running-job"),
        pytest.param("mrs-v2", True, id="mrs-v2-deletes-no-running-job"),
        pytest.param("sahara", False, id="R1-sahara-deletes-whatever-the-job-does"),
        pytest.param("sahara-v2", False, id="R1-sahara-v2-does-too"),
    ],
)
def test_the_kind_decides_whether_gone_means_stopped(kind: str, *, stopped: bool) -> None:
    assert policy(kind).gone_means_stopped is stopped


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("stopped", [True, False])
def test_the_table_overrules_the_kind_on_what_gone_means(kind: str, *, stopped: bool) -> None:
    assert policy(kind, f"gone_means_stopped = {str(stopped).lower()}").gone_means_stopped is stopped


def test_the_waits_before_an_observation_is_believed_reach_the_policy() -> None:
    assert (policy("sahara").believe_after, policy("sahara").appears_within) == (120.0, 0.0)
    waits = policy("sahara", 'believe_after = "30s"\nappears_within = "5m"')
    assert (waits.believe_after, waits.appears_within) == (30.0, 300.0)
