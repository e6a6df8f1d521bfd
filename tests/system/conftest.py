"""A deployment with every dialect, for tests that need no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cell import Cell, cell

QUICK = """
auth = { type = "none" }
poll = { first = "200ms", max = "1s" }
timeout = "2s"
"""
BACKENDS = f"""
[backends.ess]
kind = "oracle-ess"
base_url = "{{ess}}"
{QUICK}
[backends.oml]
kind = "oracle-ml"
base_url = "{{oml}}"
{QUICK}
[backends.mrs]
kind = "mrs"
base_url = "{{mrs}}"
project_id = "p1"
{QUICK}
[backends.sahara]
kind = "sahara"
base_url = "{{sahara}}"
project_id = "p1"
dialect = "v2"
{QUICK}
"""
KNOBS = {
    "ess": {"cancel_delay": 0.3},
    "mrs": {"cancel_delay": 0.3},
    "sahara": {"engine_delay": 0.3},
}


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Cell]:
    with cell(tmp_path, BACKENDS, knobs=KNOBS) as one:
        yield one
