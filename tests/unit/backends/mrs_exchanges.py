"""What the tests of the MRS adapter share."""

from __future__ import annotations

from typing import Any

import pytest
from unit.backends.exchanges import give, play

from worker.backends.adapter import Reply
from worker.backends.mrs import Mrs
from worker.domain.model import Job

V11 = Mrs("37ca")
V2 = Mrs("37ca", "v2", "C1")
JOB = Job("2de7")
JOBS_V2 = ("v2", "37ca", "clusters", "C1", "job-executions")
EXECUTION = {"job_execution": {"id": "2de7", "job_id": "", "end_time": None, "info": None}}
BOTH = pytest.mark.parametrize("mrs", [V11, V2], ids=["v1.1", "v2"])


def fail(code: object, status: int = 500, message: str | None = "no") -> Reply:
    return give({"error_code": code, "error_msg": message}, status)


def v11(**data: object) -> Any:
    return play(V11.look(JOB), give({"job_execution": {"id": "2de7", **data}}))[1]


def v2(**data: object) -> Any:
    return play(V2.look(JOB), give({"job_detail": {"job_id": "2de7", **data}}, 202))[1]
