"""What the tests of the Sahara adapter share."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.backends.exchanges import play

from worker.backends.base import Reply
from worker.backends.sahara import Sahara
from worker.model import Job

V11 = Sahara("37ca")
V2 = Sahara("37ca", "v2")
JOB = Job("2de7")
EXECUTIONS = ("v1.1", "37ca", "job-executions")
DATE = "Thu, 25 May 2017 07:28:13 GMT"
LOGIN = b"<html>Please log in</html>"
BOTH = pytest.mark.parametrize("sahara", [V11, V2], ids=["v1.1", "v2"])


def give(data: object, status: int = 200) -> Reply:
    return Reply(status, {"date": DATE, "content-type": "application/json"}, json.dumps(data).encode())


def fail(name: str, status: int = 400, message: str = "no") -> Reply:
    return give({"error_code": status, "error_name": name, "error_message": message}, status)


def wrapped(state: object, **more: object) -> dict[str, Any]:
    return {"job_execution": {"id": "2de7", "info": {"status": state}, **more}}


def seen(state: object, **more: object) -> Any:
    return play(V11.look(JOB), give(wrapped(state, **more)))[1]
