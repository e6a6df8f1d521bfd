"""What the tests of the ESS adapter share."""

from __future__ import annotations

from typing import Any

from unit.backends.exchanges import give, play

from worker.backends.adapter import Reply, Request
from worker.backends.oracle_ess import OracleEss
from worker.domain.model import Job

ESS = OracleEss()
JOB = Job("4711")
REQUESTS = ("ess", "rest", "scheduler", "v1", "requests")
CALLS = ("cancel", "force", "delete")


def page(*items: object, **more: object) -> Reply:
    return give({"items": list(items), **more})


def look(data: dict[str, Any], *pages: Reply) -> tuple[list[Request], Any]:
    return play(ESS.look(JOB), give({"requestId": 4711, "requestType": "SINGLETON", **data}), *pages)


def seen(**data: object) -> Any:
    return look(data)[1]


def kid(number: object, state: str = "CANCELLED", top: object = 4711, **more: object) -> dict[str, object]:
    """A child as a list shows it."""
    told = {"absParentRequestId": top, "parentRequestId": top, "requestType": "RECUR_CHILD", "state": state}
    return {"requestId": number, **told, **more}


def parent(*pages: Reply, **known: Any) -> tuple[list[Request], Any]:
    """Look at a parent that was cancelled; `known` is what earlier looks have found out about its family."""
    data = {"requestId": 4711, "state": "CANCELLED", "requestType": "RECUR_PARENT"}
    return play(ESS.look(Job("4711", **known)), give(data), *pages)


def words(seen: Any) -> dict[str, str]:
    """Return the children's states by their ids."""
    return {child.job_id: child.raw for child in seen.children}


def tails(requests: list[Request]) -> list[tuple[str, ...]]:
    """Return what was asked for, below the collection of requests."""
    return [one.path[len(REQUESTS) :] for one in requests]


EMPTY = page()
NO_PAGE = give({"title": "Not Found", "status": 404, "errorCode": "ESS-00500"}, 404)
