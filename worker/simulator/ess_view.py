"""How ESS shows requests: the details, the choice of fields, the filter language of `q`, pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from worker.simulator.clock import iso_naive, iso_utc
from worker.simulator.ess_state import (
    CANCELLING,
    REFUSED,
    TERMINAL,
    cancel_effect,
    force_objection,
    last_check_in,
    moment_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from worker.simulator.job import Job, Moment
    from worker.simulator.wire import Call
    from worker.simulator.world import World

BASE = "ess/rest/scheduler/v1"
TIMES: dict[str, Callable[[float], str]] = {"utc": iso_utc, "naive": iso_naive}
_CAUSES = {"CANCELLED": "OPERATOR_CANCEL", "EXPIRED": "REQUEST_EXPIRED", "ERROR": "SYSTEM_ERROR"}


def href(call: Call, job_id: str, tail: str = "") -> str:
    """Build the address of a request."""
    return f"{call.origin}/{BASE}/requests/{job_id}{tail}"


def number(job_id: str) -> int | str:
    """Show an id the way the wire does: int64 (SEED S2), text only for ids that are none."""
    return int(job_id) if job_id.isascii() and job_id.isdigit() else job_id


def top(world: World, job: Job) -> str:
    """Find the id of the request that was submitted, of which this one is a descendant."""
    seen = {job.id}
    while job.parent and job.parent not in seen and ("ess", job.parent) in world.jobs:
        seen.add(job.parent)
        job = world.jobs["ess", job.parent]
    return job.id


def details(world: World, job: Job, call: Call) -> dict[str, Any]:
    """Show a request in full (DOC E2; only what matters to a canceller)."""
    here, knobs = moment_of(world, job, call.now), world.knobs.ess
    children, show = world.children("ess", job.id), TIMES[knobs.times]
    done, asynchronous = here.state in TERMINAL, not job.life.sync
    shown = {
        "requestId": number(job.id),
        "absParentRequestId": number(top(world, job)),
        "parentRequestId": number(job.parent) if job.parent else None,
        "requestType": _request_type(job, has_children=bool(children)),
        "state": here.state,
        "stateChangeTime": show(_change_time(world, job, here, call.now)),
        "processPhase": _phase(here, asynchronous=asynchronous and not children),
        "cause": _CAUSES.get(here.state) if done else "NON_TERMINAL",
        "isAsynchronous": asynchronous,
        "isCancellable": cancel_effect(here.state, knobs, is_parent=bool(children)) != REFUSED,
        "isForceCancelAllowed": _force_shown(world, job, here, call.now),
        "isTimedOut": False,
        "errorType": "SYSTEM" if here.state == "ERROR" else None,
        "submissionTime": show(job.created_at),
        "processStartTime": show(job.created_at),
        "completedTime": show(here.since) if done else None,
        "elapsedTime": round(((here.since if done else call.now) - job.created_at) * 1000),
        "submitter": "SIMULATOR",
        "links": [{"rel": rel, "href": href(call, job.id, tail)} for rel, tail in _LINKS],
    }
    if knobs.force_allowed_shown == "absent":
        del shown["isForceCancelAllowed"]
    return shown


_LINKS = (
    ("self", ""),
    ("cancel", "/cancel"),
    ("forceCancel", "/forceCancel"),
    ("hold", "/hold"),
    ("release", "/release"),
)


def _request_type(job: Job, *, has_children: bool) -> str:
    if has_children:
        return "RECUR_PARENT"
    return "RECUR_CHILD" if job.parent else "SINGLETON"


def _change_time(world: World, job: Job, here: Moment, now: float) -> float:
    if here.state == CANCELLING and world.knobs.ess.check_in_shown:
        return last_check_in(job, here.since, now, world.knobs.ess)
    return here.since


def _phase(here: Moment, *, asynchronous: bool) -> str | None:
    if here.state in TERMINAL:
        return "Complete"
    if here.state in ("RUNNING", "CANCELLING"):
        return "ExecuteAsyncWait" if asynchronous else "Execute"
    return None


def _force_shown(world: World, job: Job, here: Moment, now: float) -> bool:
    if world.knobs.ess.force_allowed_shown == "state":
        return here.state == CANCELLING and not job.life.sync
    is_parent = bool(world.children("ess", job.id))
    return not force_objection(job, here, now, world.knobs.ess, is_parent=is_parent)


def narrowed(item: dict[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
    """Apply `fields`, `excludeFields` and `links` to one request."""
    wanted, unwanted = _names(query.get("fields", "")), _names(query.get("excludeFields", ""))
    links = _names(query.get("links", ""))
    kept = {key: value for key, value in item.items() if (not wanted or key in wanted) and key not in unwanted}
    if links and "links" in kept:
        kept["links"] = [link for link in kept["links"] if link["rel"] in links]
    return kept


def _names(text: str) -> set[str]:
    return {name.strip() for name in text.split(",") if name.strip()}


def chosen(items: list[dict[str, Any]], query: Mapping[str, str], *, either: bool = True) -> list[dict[str, Any]]:
    """Apply `q` and `orderBy`; `either` says whether clauses may be joined by `or`, which binds less than `and`.

    Raises:
        ValueError: The filter or the order cannot be read.

    """
    cases = _cases(query.get("q", ""))
    if len(cases) > 1 and not either:
        raise ValueError("'or' is not supported here")
    kept = [item for item in items if any(all(_holds(item, *test) for test in case) for case in cases)]
    name, _, direction = query.get("orderBy", "requestId").partition(":")
    if items and name not in items[0]:
        raise ValueError(f"cannot order by {name}")
    return sorted(kept, key=lambda item: _order(item[name]), reverse=direction == "desc")


def _order(value: object) -> tuple[str, int, str]:
    return ("number", value, "") if isinstance(value, int) else ("text", 0, str(value))


_CLAUSE = re.compile(r"""\s*(\w+)\s+(eq|ne|gt|ge|lt|le)\s+("[^"]*"|'[^']*'|[^\s"']+)\s*""", re.IGNORECASE)
_JOINT = re.compile(r"(and|or)\s", re.IGNORECASE)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: left >= right,
    "lt": lambda left, right: left < right,
    "le": lambda left, right: left <= right,
}


def _cases(text: str) -> list[list[tuple[str, str, str]]]:
    """Read a filter: cases of which one must hold, each with clauses that all must."""
    cases: list[list[tuple[str, str, str]]] = [[]]
    at = 0
    while text.strip():
        found = _CLAUSE.match(text, at)
        if found is None:
            raise ValueError(f"cannot read the filter at {text[at:]!r}")
        cases[-1].append((found[1], found[2].casefold(), found[3].strip("\"'")))
        joint = _JOINT.match(text, found.end())
        if joint is None and text[found.end() :]:
            raise ValueError(f"expected 'and' or 'or' at {text[found.end() :]!r}")
        if joint is None:
            break
        if joint[1].casefold() == "or":
            cases.append([])
        at = joint.end()
    return cases


def _holds(item: dict[str, Any], name: str, operator: str, wanted: str) -> bool:
    if name not in item:
        raise ValueError(f"cannot filter by {name}")
    value = item[name]
    if value is None:
        return operator == "ne"
    return _COMPARE[operator](*_alike(value, wanted))


def _alike(value: object, wanted: str) -> tuple[object, object]:
    if isinstance(value, bool):
        return str(value).casefold(), wanted.casefold()
    if isinstance(value, int) and wanted.lstrip("-").isdigit():
        return value, int(wanted)
    return str(value), wanted
