"""How ESS shows requests: the details, the choice of fields, the filter language of `q`, pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .clock import iso_utc
from .ess_state import CANCELLING, REFUSED, TERMINAL, cancel_effect, force_objection, last_check_in, moment_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .job import Job, Moment
    from .wire import Call
    from .world import World

BASE = "ess/rest/scheduler/v1"
ZONES = {"utc": "Z", "naive": ""}
_CAUSES = {"CANCELLED": "OPERATOR_CANCEL", "EXPIRED": "REQUEST_EXPIRED", "ERROR": "SYSTEM_ERROR"}


def href(call: Call, job_id: str, tail: str = "") -> str:
    """Build the address of a request."""
    return f"{call.origin}/{BASE}/requests/{job_id}{tail}"


def number(job_id: str) -> int | str:
    """Show an id as it is on the wire: an int64 (SEED S2), or text if it is not a number."""
    return int(job_id) if job_id.isascii() and job_id.isdigit() else job_id


def top(world: World, job: Job) -> str:
    """Find the id of the request that was submitted, of which this one is a descendant."""
    seen = {job.id}
    while job.parent and job.parent not in seen and ("ess", job.parent) in world.jobs:
        seen.add(job.parent)
        job = world.jobs["ess", job.parent]
    return job.id


_LINKS = (
    ("self", ""),
    ("cancel", "/cancel"),
    ("forceCancel", "/forceCancel"),
    ("hold", "/hold"),
    ("release", "/release"),
)


class Details:
    """A request in full (DOC E2; only what matters to a canceller); `fields` has a function for each of its fields."""

    def __init__(self, world: World, job: Job, call: Call) -> None:
        self.world = world
        self.job = job
        self.call = call
        self.knobs = world.knobs.ess
        self.zone = ZONES[self.knobs.times]
        self.fields = _SHOWN if self.knobs.force_allowed_shown != "absent" else _SHOWN_WITHOUT_FORCE
        self.here: Moment = moment_of(world, job, call.now)
        self.done: bool = self.here.state in TERMINAL
        self.children: list[Job] = world.children("ess", job.id)


def _request_type(of: Details) -> str:
    """Name the part that a request plays: a recurrence and its runs, which are job sets if they have steps."""
    if not of.job.parent:
        nested = any(of.world.children("ess", child.id) for child in of.children)
        return "JOBSET_RECUR_PARENT" if nested else "RECUR_PARENT" if of.children else "SINGLETON"
    if of.job.parent != top(of.world, of.job):
        return "JOBSET_STEP"
    return "JOBSET_RECUR_CHILD" if of.children else "RECUR_CHILD"


def _change_time(of: Details) -> float:
    if of.here.state == CANCELLING and of.knobs.check_in_shown:
        return last_check_in(of.job, of.here.since, of.call.now, of.knobs)
    return of.here.since


def _phase(of: Details) -> str | None:
    if of.done:
        return "Complete"
    if of.here.state in ("RUNNING", "CANCELLING"):
        return "Execute" if of.job.life.sync or of.children else "ExecuteAsyncWait"
    return None


def _force_shown(of: Details) -> bool:
    if of.knobs.force_allowed_shown == "state":
        return of.here.state == CANCELLING and not of.job.life.sync
    return not force_objection(of.job, of.here, of.call.now, of.knobs, is_parent=bool(of.children))


_SHOWN: dict[str, Callable[[Details], Any]] = {
    "requestId": lambda of: number(of.job.id),
    "absParentRequestId": lambda of: number(top(of.world, of.job)),
    "parentRequestId": lambda of: number(of.job.parent) if of.job.parent else None,
    "requestType": _request_type,
    "state": lambda of: of.here.state,
    "stateChangeTime": lambda of: iso_utc(_change_time(of), of.zone),
    "processPhase": _phase,
    "cause": lambda of: _CAUSES.get(of.here.state) if of.done else "NON_TERMINAL",
    "isAsynchronous": lambda of: not of.job.life.sync,
    "isCancellable": lambda of: cancel_effect(of.here.state, of.knobs, is_parent=bool(of.children)) != REFUSED,
    "isForceCancelAllowed": _force_shown,
    "isTimedOut": lambda _: False,
    "errorType": lambda of: "SYSTEM" if of.here.state == "ERROR" else None,
    "submissionTime": lambda of: iso_utc(of.job.created_at, of.zone),
    "processStartTime": lambda of: iso_utc(of.job.created_at, of.zone),
    "completedTime": lambda of: iso_utc(of.here.since, of.zone) if of.done else None,
    "elapsedTime": lambda of: round(((of.here.since if of.done else of.call.now) - of.job.created_at) * 1000),
    "submitter": lambda of: of.job.submitter,
    "links": lambda of: [{"rel": rel, "href": href(of.call, of.job.id, tail)} for rel, tail in _LINKS],
}
_SHOWN_WITHOUT_FORCE = {name: show for name, show in _SHOWN.items() if name != "isForceCancelAllowed"}


def narrowed(item: Details, query: Mapping[str, str]) -> dict[str, Any]:
    """Apply `fields`, `excludeFields` and `links` to one request."""
    lists = (query.get(key, "").split(",") for key in ("fields", "excludeFields", "links"))
    wanted, unwanted, links = ({name.strip() for name in names if name.strip()} for names in lists)
    kept = {
        name: read(item)
        for name, read in item.fields.items()
        if (not wanted or name in wanted) and name not in unwanted
    }
    if links and "links" in kept:
        kept["links"] = [link for link in kept["links"] if link["rel"] in links]
    return kept


def chosen(world: World, call: Call) -> list[Details]:
    """Apply `q` and `orderBy`; `and` binds tighter than `or`. What a server heeds or refuses are switches (INFERRED).

    Raises:
        ValueError: The filter or the order cannot be read.

    """
    query, knobs = call.query, world.knobs.ess
    cases = _cases(query.get("q", "")) if knobs.heeds_q else [[]]
    if len(cases) > 1 and not knobs.or_in_q:
        raise ValueError("'or' is not supported here")
    if not knobs.ne_in_q and any(operator == "ne" for case in cases for _, operator, _ in case):
        raise ValueError("'ne' is not supported here")
    items = [Details(world, job, call) for job in _meant(world, cases, call.now)]
    kept = [item for item in items if any(all(_holds(item, *test) for test in case) for case in cases)]
    name, _, direction = query.get("orderBy", "requestId").partition(":")
    if items and name not in items[0].fields:
        raise ValueError(f"cannot order by {name}")
    return sorted(kept, key=lambda item: _order(item.fields[name](item)), reverse=direction == "desc")


_MEANT: dict[str, Callable[[World, str], Sequence[Job]]] = {
    "requestId": lambda world, job_id: [job] if (job := world.jobs.get(("ess", job_id))) else [],
    "parentRequestId": lambda world, job_id: world.children("ess", job_id),
    "absParentRequestId": lambda world, job_id: world.family("ess", job_id),
}
"""Fields by which jobs are found without going through all of them: lists of a few ids are asked for often."""


def _meant(world: World, cases: list[list[tuple[str, str, str]]], now: float) -> Sequence[Job]:
    """Return all jobs that may match one of the cases."""
    found: dict[str, Job] = {}
    for case in cases:
        keys = [(name, value) for name, operator, value in case if name in _MEANT and operator == "eq"]
        if not keys:
            return world.visible("ess", now)
        name, value = keys[0]
        found.update({job.id: job for job in _MEANT[name](world, value) if not job.hidden(now)})
    return list(found.values())


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
    """Read a filter: alternative cases, each a list of clauses that must all be true."""
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


def _holds(item: Details, name: str, operator: str, wanted: str) -> bool:
    if name not in item.fields:
        raise ValueError(f"cannot filter by {name}")
    value = item.fields[name](item)
    if value is None:
        return operator == "ne"
    return _COMPARE[operator](*_alike(value, wanted))


def _alike(value: object, wanted: str) -> tuple[object, object]:
    if isinstance(value, bool):
        return str(value).casefold(), wanted.casefold()
    if isinstance(value, int) and wanted.lstrip("-").isdigit():
        return value, int(wanted)
    return str(value), wanted
