"""Oracle Enterprise Scheduler (ESS), as in Fusion Applications and SOA Suite: words and wire format.

The only place that knows ESS's states, request types and answers. No IO, no waiting and no decision
lives here: when a force is due, and what a 400 means for a cancellation, is decided elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from msgspec.structs import replace

from worker.backends.base import (
    Call,
    Look,
    Reply,
    Request,
    Survey,
    answer,
    common_answer,
    facts,
    gone,
    pages_worth,
    seen_nothing,
    text,
)
from worker.model import Action, Answer, AnswerKind, Job, JobState, Observation, Steps

STATES: Mapping[str, JobState] = {
    "UNKNOWN": JobState.UNKNOWN,
    "WAIT": JobState.ACTIVE,  # 1
    "READY": JobState.ACTIVE,
    "RUNNING": JobState.ACTIVE,
    "COMPLETED": JobState.ACTIVE,  # its post-processing still runs
    "BLOCKED": JobState.ACTIVE,
    "HOLD": JobState.ACTIVE,
    "CANCELLING": JobState.CANCELLING,
    "EXPIRED": JobState.FAILED,  # it never ran, and will not
    "CANCELLED": JobState.CANCELLED,
    "ERROR": JobState.FAILED,
    "WARNING": JobState.SUCCEEDED,  # it ran to its end
    "SUCCEEDED": JobState.SUCCEEDED,
    "PAUSED": JobState.ACTIVE,  # it waits for its sub-requests
    "PENDING_VALIDATION": JobState.ACTIVE,
    "VALIDATION_FAILED": JobState.FAILED,
    "SCHEDULE_ENDED": JobState.ACTIVE,  # its children may still run
    "FINISHED": JobState.SUCCEEDED,  # and so are all its children
    "ERROR_AUTO_RETRY": JobState.ACTIVE,
    "ERROR_MANUAL_RECOVERY": JobState.ACTIVE,  # 19
}
"""All 20 states in ESS's order (names SRC E10, meanings DOC E4)."""

PARENT_TYPES = frozenset({"RECUR_PARENT", "JOBSET_SINGLETON", "JOBSET_RECUR_PARENT", "JOBSET_RECUR_CHILD"})
CHILD_TYPES = frozenset({"RECUR_CHILD", "JOBSET_STEP", "JOBSET_RECUR_CHILD", "SUB_REQUEST"})
RECURRING_TYPES = frozenset({"RECUR_CHILD", "JOBSET_RECUR_CHILD"})
"""The values of `requestType` that matter (DOC E2, SRC E9; an open set)."""

ERRORS: Mapping[Action, Mapping[int, AnswerKind]] = {
    Action.LOOK: {},
    Action.CANCEL: {400: AnswerKind.REJECTED},  # 409 is a lock: come back
    Action.FORCE: {400: AnswerKind.REJECTED, 409: AnswerKind.REJECTED},  # which of them says "too early" is unknown
    Action.DELETE: {400: AnswerKind.REJECTED},
}
"""What a status means beyond the common ones (SEED S2, S3; DOC E2).

`errorCode` has no catalogue: it is told and decides nothing.
"""

FIELDS = (
    "requestId,absParentRequestId,parentRequestId,requestType,state,previousState,stateChangeTime,processPhase,"
    "cause,isAsynchronous,isForceCancelAllowed,errorType,processEndTime,completedTime"
)
FACTS = ("cause", "errorCode", "errorType", "processPhase")
REQUESTS = ("ess", "rest", "scheduler", "v1", "requests")
HEADERS: Mapping[str, str] = {"Accept": "application/json, application/vnd.oracle.resource+json"}
MAX_PAGES = 200
IDS = 100
"""How many ids one filter names: it stays under 4 KB of a URL, which is half of what servers take."""
ID = re.compile("[1-9][0-9]{0,18}")
MAX_ID = 2**63 - 1

Children = Generator[Request, Reply, tuple[Observation, ...] | Answer]


@dataclass(frozen=True, slots=True)
class OracleEss:
    """The adapter of kind `oracle-ess`."""

    steps: ClassVar[Steps] = Steps(look_before_cancel=False, force=True)
    params: ClassVar[frozenset[str]] = frozenset()

    def problem(self, job: Job) -> str:
        """Say why this can't be a request id."""
        return "" if _is_id(job.id) else f"job_id: {job.id!r} is not a request id: a whole number from 1 to {MAX_ID}"

    def address(self, job: Job) -> str:
        """Return nothing: the id alone addresses a job."""
        del job
        return ""

    def look(self, job: Job) -> Look:
        """Read the request, then its children where it can have any, or could when it was looked at before."""
        reply = yield Request("GET", (*REQUESTS, job.id), {"fields": FIELDS}, HEADERS)
        data = reply.data if reply.ok else None
        if data is None:
            judged = _judge(reply, Action.LOOK)
            missing = judged.kind is AnswerKind.NOT_FOUND
            vague = not judged.code and "title" not in (reply.data or {})
            return gone(reply, job, "404", judged.detail, vague=vague) if missing else seen_nothing(judged)
        if _id(data.get("requestId")) not in {"", job.id}:
            return Answer(AnswerKind.UNANSWERED, reply.status, detail="the reply is about another request")
        seen = _observation(data, job.id, reply.date)
        if not (job.parent or _may_have_children(data)):
            return seen
        children = yield from _children(job.id)
        return children if isinstance(children, Answer) else replace(seen, parent=True, children=children)

    def look_many(self, jobs: Sequence[Job]) -> Survey | None:
        """Read requests by their ids; a parent, of which a list shows too little, is left out."""
        single = [job for job in jobs if not job.parent]
        return _listed([job.id for job in single], pages_worth(single)) if pages_worth(single) else None

    def cancel(self, job: Job) -> Call:
        """Ask ESS to cancel; for a parent it asks all its children too."""
        reply = yield Request("POST", (*REQUESTS, job.id, "cancel"), headers=HEADERS)
        return _judge(reply, Action.CANCEL)

    def force(self, job: Job) -> Call:
        """Declare an asynchronous request's remote job dead."""
        reply = yield Request("POST", (*REQUESTS, job.id, "forceCancel"), headers=HEADERS)
        return _judge(reply, Action.FORCE)

    def delete(self, job: Job) -> Call:
        """Hide a request that has ended, and its children."""
        reply = yield Request("DELETE", (*REQUESTS, job.id), headers=HEADERS)
        return _judge(reply, Action.DELETE)


def _judge(reply: Reply, action: Action) -> Answer:
    """Judge a reply; the link of a success differs between releases and may be missing."""
    if reply.ok:
        return answer(reply, AnswerKind.ACCEPTED if reply.empty_or_data else AnswerKind.UNANSWERED)
    data = reply.data or {}
    code, detail = text(data.get("errorCode")), text(data.get("detail")) or text(data.get("title"))
    kind = ERRORS[action].get(reply.status)
    if kind is None:
        otherwise = AnswerKind.UNANSWERED if action is Action.LOOK else AnswerKind.REFUSED
        return common_answer(reply, otherwise, code=code, detail=detail)
    return answer(reply, kind, code=code, detail=detail)


def _observation(data: Mapping[str, Any], job_id: str, clock: datetime | None) -> Observation:
    raw = text(data.get("state"))
    return Observation(
        state=STATES.get(raw, JobState.UNKNOWN),
        raw=raw,
        job_id=job_id,
        since=_moment(data.get("stateChangeTime")),
        since_text=text(data.get("stateChangeTime")),
        clock=clock,
        ended_at=_moment(data.get("completedTime")) or _moment(data.get("processEndTime")),
        asynchronous=_flag(data.get("isAsynchronous")),
        force_allowed=_flag(data.get("isForceCancelAllowed")),
        undeletable=_undeletable(data, job_id),
        detail=_recurrence(data),
        facts=facts(data, FACTS),
    )


def _children(parent_id: str) -> Children:
    """Read the request's descendants page by page, until a page shows no new one."""
    found: dict[str, Observation] = {}
    seen: set[str] = set()
    total = 0
    query = {"q": f"absParentRequestId eq {parent_id}", "fields": FIELDS}
    for page in range(MAX_PAGES):
        reply = yield _page(query, page)
        if page and total <= len(seen) and _judge(reply, Action.LOOK).kind is AnswerKind.NOT_FOUND:
            return tuple(found.values())  # there is no such page
        items = _items(reply)
        if items is None:
            return _no_list(reply)
        new = {item_id: item for item_id, item in items.items() if item_id not in seen}
        total = max(total, _count(reply))
        if not new:
            return tuple(found.values()) if total <= len(seen) else _no_list(reply)
        seen.update(new)
        found |= {
            item_id: _observation(item, item_id, reply.date)
            for item_id, item in new.items()
            if item_id != parent_id and _id(item.get("absParentRequestId")) in {"", parent_id}
        }
    return Answer(AnswerKind.UNANSWERED, detail=f"the list of children has more than {MAX_PAGES} pages")


def _listed(ids: Sequence[str], pages: int) -> Survey:
    """Ask for requests by id, in at most so many pages (`q` takes a SCIM filter, DOC E2; `or` in it is INFERRED)."""
    found: dict[str, Observation] = {}
    for start in range(0, len(ids), IDS):
        wanted = set(ids[start : start + IDS])
        query = {"q": " or ".join(f"requestId eq {one}" for one in ids[start : start + IDS]), "fields": FIELDS}
        page = 0
        while wanted and pages:
            reply = yield _page(query, page)
            page, pages = page + 1, pages - 1
            items = _items(reply)
            if items is None:
                return found or _no_list(reply, "requests")
            if wanted.isdisjoint(items):
                break
            known = {item_id: item for item_id, item in items.items() if item_id in wanted}
            wanted -= known.keys()
            found |= {
                item_id: _observation(item, item_id, reply.date) for item_id, item in known.items() if _tells_all(item)
            }
    return found


def _tells_all(item: Mapping[str, Any]) -> bool:
    """Whether a list's item shows as much as a look: it has no children, and what says so was not left out.

    Without its time, CANCELLING would seem to have begun anew.
    """
    told = text(item.get("state")) and text(item.get("requestType"))
    timed = item.get("state") != "CANCELLING" or text(item.get("stateChangeTime"))
    return bool(told and timed) and not _may_have_children(item)


def _page(query: Mapping[str, str], page: int) -> Request:
    return Request("GET", (*REQUESTS, "search", str(page)) if page else REQUESTS, query, HEADERS)


def _items(reply: Reply) -> dict[str, Mapping[str, Any]] | None:
    """Return a page's requests by id, or None if any of them can't be read, or two go by one id."""
    items = reply.data.get("items") if reply.ok and reply.data else None
    if not isinstance(items, list) or not all(isinstance(item, dict) and _id(item.get("requestId")) for item in items):
        return None
    found = {_id(item["requestId"]): item for item in items}
    return found if len(found) == len(items) else None


def _count(reply: Reply) -> int:
    """Return how many requests the list says that there are; whether in all or on this page is nowhere told."""
    count = (reply.data or {}).get("count")
    return count if isinstance(count, int) else 0


def _no_list(reply: Reply, what: str = "children") -> Answer:
    """Say that the children are not known, which is never the same as that there are none."""
    judged = _judge(reply, Action.LOOK)
    return seen_nothing(answer(reply, judged.kind, detail=f"the list of {what} can't be read: {judged.detail}"))


def _may_have_children(data: Mapping[str, Any]) -> bool:
    """Whether it is a parent, or was paused, as a request with sub-requests is."""
    paused = "PAUSED" in (data.get("state"), data.get("previousState"))
    return paused or text(data.get("requestType")) in PARENT_TYPES


def _undeletable(data: Mapping[str, Any], job_id: str) -> str:
    parents = {_id(data.get("absParentRequestId")), _id(data.get("parentRequestId"))} - {"", job_id}
    if not parents and text(data.get("requestType")) not in CHILD_TYPES:
        return ""
    return f"request {job_id} is a child, and only submitted requests can be deleted: delete {_parent(data)} instead"


def _recurrence(data: Mapping[str, Any]) -> str:
    if text(data.get("requestType")) not in RECURRING_TYPES:
        return ""
    return f"cancelling one child of a recurrence does not stop the recurrence: for that cancel {_parent(data)}"


def _parent(data: Mapping[str, Any]) -> str:
    parent = _id(data.get("absParentRequestId")) or _id(data.get("parentRequestId"))
    return f"its parent {parent}" if parent else "its parent"


def _is_id(value: str) -> bool:
    """Whether it is a positive int64 in the one way of writing it."""
    return ID.fullmatch(value) is not None and int(value) <= MAX_ID


def _id(value: object) -> str:
    """Return a request id, empty if there is none: 0 and -1 name no request."""
    found = text(value)
    return found if _is_id(found) else ""


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _moment(value: object) -> datetime | None:
    """Return the latest moment that a time text can mean, None if its zone is not told.

    A text in whole seconds was cut off: the true moment lies up to 1 s later. A wait counted from
    it must not be short.
    """
    written = text(value)
    try:
        moment = datetime.fromisoformat(written)
        cut = timedelta(0) if "." in written or "," in written else timedelta(seconds=1)
        return (moment + cut).astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
