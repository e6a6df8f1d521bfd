"""What the tests of the Sahara adapter share."""

from __future__ import annotations

from typing import Any

import pytest
from unit.backends.exchanges import give, play

from worker.backends.adapter import Reply
from worker.backends.sahara import Sahara
from worker.domain.model import Job

V11 = Sahara("37ca")
V2 = Sahara("37ca", "v2")
JOB = Job("2de7")
EXECUTIONS = ("v1.1", "37ca", "job-executions")
BOTH = pytest.mark.parametrize("sahara", [V11, V2], ids=["v1.1", "v2"])


def fail(name: str, status: int = 400, message: str = "no") -> Reply:
    return give({"error_code": status, "error_name": name, "error_message": message}, status)


def wrapped(state: object, **more: object) -> dict[str, Any]:
    return {"job_execution": {"id": "2de7", "info": {"status": state}, **more}}


def seen(state: object, **more: object) -> Any:
    return play(V11.look(JOB), give(wrapped(state, **more)))[1]
