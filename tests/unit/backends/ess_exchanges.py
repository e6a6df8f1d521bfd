"""What the tests of the ESS adapter share."""

from __future__ import annotations

import json
from typing import Any

from unit.backends.exchanges import play

from worker.backends.base import Reply, Request
from worker.backends.oracle_ess import OracleEss
from worker.model import Job

ESS = OracleEss()
JOB = Job("4711")
REQUESTS = ("ess", "rest", "scheduler", "v1", "requests")
DATE = "Sun, 22 Nov 2026 10:45:00 GMT"
LOGIN = b"<html>Please log in</html>"
CALLS = {"cancel": ESS.cancel, "force": ESS.force, "delete": ESS.delete}


def give(data: object, status: int = 200) -> Reply:
    return Reply(status, {"date": DATE, "content-type": "application/json"}, json.dumps(data).encode())


def page(*items: object, **more: object) -> Reply:
    return give({"items": list(items), **more})


def look(data: dict[str, Any], *pages: Reply) -> tuple[list[Request], Any]:
    return play(ESS.look(JOB), give({"requestId": 4711, **data}), *pages)


def seen(**data: object) -> Any:
    return look(data)[1]


EMPTY = page()
