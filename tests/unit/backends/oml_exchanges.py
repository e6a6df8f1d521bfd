"""What the tests of the Oracle ML adapter share."""

from __future__ import annotations

from typing import Any

from unit.backends.exchanges import give, play

from worker.backends.adapter import Reply, Request
from worker.backends.oracle_ml import OracleMl
from worker.domain.model import Job

OML = OracleMl()
JOB = Job("J1")
STOPPED = Job("J1", stop_sent=True)
JOBS = ("oml", "api", "r-scripts", "v2", "jobs")
DATE = "Tue, 18 Feb 2025 17:02:01 GMT GMT"
MISSING = {"errorMessage": "job not found with id 'J1'", "errorCode": 1026, "request_id": "OML-7a98"}
RUNNING = {"createdDate": " Feb 18,2025 17:01", "status": "job is still running", "elapsedTime": "00:00:47"}
ELSE = {**MISSING, "errorMessage": "bad JSON output"}
RESULT = "https://internal/oml/api/r-scripts/v2/jobs/J1/result"


def look(*replies: Reply, job: Job = JOB) -> tuple[list[Request], Any]:
    return play(OML.look(job), *replies)


def listed(*entries: object) -> Any:
    return look(give({}, 500), give({"result": list(entries)}), job=STOPPED)[1]
