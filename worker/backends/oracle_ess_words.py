"""What Oracle ESS's words and replies mean. Pure, and shared by the parts of its adapter alone."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from msgspec.structs import replace

from ..domain.model import FINAL, Action, Answer, AnswerKind, Job, JobState, Observation, Source
from .adapter import (
    Reply,
    Request,
    answer,
    common_answer,
    facts,
    items,
    names,
    seen_nothing,
    silent,
    taken,
    tells_error,
    text,
    unseen,
    unusable,
    whole_number,
)
from .times import real, stand_in

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

SPELLINGS: Mapping[str, str] = {"CANCELED": "CANCELLED", "CANCELING": "CANCELLING"}
"""Other ways to write a state, as ESS's own user interface has them (DOC E7)."""

CHILDLESS_TYPES = frozenset({"SINGLETON", "RECUR_CHILD", "SUB_REQUEST"})
"""The values of `requestType` that have no children unless they are paused (DOC E2, SRC E9).

The set is open: a request of any other type, or without one, may have children.
"""
GROUPING_TYPES = frozenset({"RECUR_PARENT", "JOBSET_SINGLETON", "JOBSET_RECUR_PARENT", "JOBSET_RECUR_CHILD"})
"""The values of `requestType` of a request that runs nothing itself: a recurrence, or a job set (DOC E2).

A step of a job set is not among them: it is a job, or a job set.
"""
CHILD_TYPES = frozenset({"RECUR_CHILD", "JOBSET_STEP", "JOBSET_RECUR_CHILD", "SUB_REQUEST"})
RECURRING_TYPES = frozenset({"RECUR_CHILD", "JOBSET_RECUR_CHILD"})

ERRORS: Mapping[Action, Mapping[int, AnswerKind]] = {
    Action.LOOK: {},
    Action.CANCEL: {400: AnswerKind.REJECTED},  # 409 is a lock: come back
    Action.FORCE: {400: AnswerKind.REJECTED, 409: AnswerKind.REJECTED},  # which of them says "too early" is unknown
    Action.DELETE: {400: AnswerKind.REJECTED},
}
"""What a status means beyond the common ones (SEED S2, S3; DOC E2).

`errorCode` has no catalogue: it shows who speaks, and says nothing about what happened.
"""
CODE = re.compile("ESS-[0-9]+")

FIELDS = (
    "requestId,absParentRequestId,parentRequestId,requestType,state,previousState,stateChangeTime,processPhase,"
    "cause,isAsynchronous,isForceCancelAllowed,errorType,processEndTime,completedTime"
)
FACTS = ("cause", "errorCode", "errorType", "processPhase")
FLAGS: Mapping[str, str] = {"asynchronous": "isAsynchronous", "force_allowed": "isForceCancelAllowed"}
WRITTEN_FLAGS: Mapping[str, bool] = {"true": True, "false": False}
LINK = frozenset({"href", "rel", "links"})
"""Keys of the link with which ESS answers a change; the form of that link differs between releases."""
REQUESTS = ("ess", "rest", "scheduler", "v1", "requests")
HEADERS: Mapping[str, str] = {"Accept": "application/json, application/vnd.oracle.resource+json"}
IDS = 100
"""How many ids one filter names: the URL stays under 4 KB, half of what servers accept."""
MAX_ID = 2**63 - 1
ID = re.compile("[1-9][0-9]{0,18}")
"""A whole number with no more digits than `MAX_ID`."""

NO_JOB = Job("")
"""A list is about no job in particular."""

Item = Mapping[str, Any]


def look_at(job: Job) -> Generator[Request, Reply, tuple[Observation | Answer, Item]]:
    """Read one request: return what was observed, or why nothing was, and the reply's fields."""
    reply = yield Request("GET", (*REQUESTS, job.id), {"fields": FIELDS}, HEADERS)
    data = reply.data or {}
    if not reply.ok:
        return unseen(reply, job, judge(reply, Action.LOOK, job), str(reply.status)), data
    if not state_word(data) or (data.get("requestId") is None and tells_error(data)):
        return unusable(reply, "the reply does not show the state of a request"), data
    if names_another(data, job.id):
        return unusable(reply, "the reply is about another request"), data
    return observation(data, job.id, reply.date), data


def judge_change(reply: Reply, action: Action, job: Job) -> Answer:
    """Judge the reply to a changing call; a success that is not what ESS sends may come from anybody."""
    if not reply.ok:
        return judge(reply, action, job)
    data = reply.data
    if not data:
        return taken(reply, fits=silent(reply))
    linked = not LINK.isdisjoint(data) and not tells_error(data)
    return taken(reply, fits=linked and not names_another(data, job.id))


def judge(reply: Reply, action: Action, job: Job) -> Answer:
    """Judge an unsuccessful reply; what a status means to ESS counts only in ESS's own words."""
    code, detail, source = _told(reply, job)
    kind = ERRORS[action].get(reply.status) if source is Source.OWN else None
    if kind is None:
        otherwise = AnswerKind.UNANSWERED if action is Action.LOOK else AnswerKind.REFUSED
        return common_answer(reply, otherwise, source, code=code, detail=detail)
    return answer(reply, kind, source, code=code, detail=detail)


def _told(reply: Reply, job: Job) -> tuple[str, str, Source]:
    """Return an error's code and text, and whose words they are: ESS's own have an ESS code, or name the job."""
    data = reply.data or {}
    code, texts = text(data.get("errorCode")), (text(data.get("detail")), text(data.get("title")))
    own = CODE.fullmatch(code) is not None
    own = own or (job.id not in {"", str(reply.status)} and any(names(job, one) for one in texts))
    return code, texts[0] or texts[1], Source.OWN if own else Source.UNSURE


def observation(data: Item, job_id: str, clock: datetime | None) -> Observation:
    """Translate a request's fields."""
    written, kind = word(data.get("state")), word(data.get("requestType"))
    state = STATES.get(written, JobState.UNKNOWN)
    flags = [(name, data.get(field)) for name, field in FLAGS.items()]
    asynchronous, force_allowed = [_flag(value) for _, value in flags]
    since = _shown_time(data.get("stateChangeTime"))
    undeletable, detail = _of_a_child(data, kind, job_id)
    return Observation(
        state=state,
        raw=state_word(data),
        source=Source.OWN,
        job_id=job_id,
        since=_moment(since),
        since_text=since,
        clock=clock,
        ended_at=_ended_at(data, _moment(since) if state in FINAL else None),
        asynchronous=asynchronous,
        force_allowed=force_allowed,
        unreadable=frozenset([name for name, value in flags if value is not None and _flag(value) is None]),
        undeletable=undeletable,
        detail=detail,
        facts=facts(data, FACTS),
        # A request with sub-requests is paused while they run.
        parent=kind not in CHILDLESS_TYPES or "PAUSED" in (written, word(data.get("previousState"))),
        grouping=kind in GROUPING_TYPES or written == "PAUSED",
        above=request_id(data.get("parentRequestId")),
    )


def is_child(data: Item) -> bool:
    """Whether a request was not submitted itself, by its type."""
    return word(data.get("requestType")) in CHILD_TYPES


def state_word(data: Item) -> str:
    """Return the state as it was sent; empty if there is none, and then the data is no request."""
    state = data.get("state")
    return text(state) if isinstance(state, str) else ""


def word(value: object) -> str:
    """Return a word of ESS as our tables spell it."""
    written = text(value).upper()
    return SPELLINGS.get(written, written)


def names_another(data: Item, job_id: str) -> bool:
    """Whether the data says that it is about a request other than ours."""
    named = data.get("requestId")
    return named is not None and request_id(named) != job_id


def read_page(
    query: Mapping[str, str], number: int = 0
) -> Generator[Request, Reply, tuple[Reply, dict[str, Item] | None]]:
    """Read a page of a list: the reply, and its requests by id; None if any can't be read, or two share an id.

    A page that lists nothing and counts none is empty, whether it has the list or leaves it out.
    """
    reply = yield Request("GET", (*REQUESTS, "search", str(number)) if number else REQUESTS, query, HEADERS)
    data = reply.data if reply.ok else None
    if data and data.get("items") is None and whole_number(data.get("count")) == 0 and not tells_error(data):
        return reply, {}
    return reply, items(reply, "items", "requestId", request_id)


def no_page(reply: Reply) -> Source | None:
    """Say in whose words a reply says that a list has no such page, None if it does not; ESS's own have its code."""
    if reply.ok:
        return None
    judged = judge(reply, Action.LOOK, NO_JOB)
    return judged.source if judged.kind is AnswerKind.NOT_FOUND else None


def no_list(reply: Reply, what: str = "children") -> Answer:
    """Say that requests are not known, which never means that there are none."""
    if reply.ok:
        return unusable(reply, f"the list of {what} can't be read")
    judged = judge(reply, Action.LOOK, NO_JOB)
    return seen_nothing(replace(judged, detail=f"the list of {what} can't be read: {judged.detail}"))


class Entry(NamedTuple):
    """A request in a list: its fields, and what they mean."""

    item: Item
    seen: Observation


class Entries(NamedTuple):
    """What a list of requests by their ids has shown."""

    entries: Mapping[str, Entry]
    calls: int
    why: Answer | None = None
    """Why it could not be read to its end."""


def by_ids(ids: Sequence[str], pages: int) -> Generator[Request, Reply, Entries]:
    """Ask for requests by id, in at most `pages` pages (`q` takes a SCIM filter, DOC E2; `or` in it is INFERRED)."""
    found: dict[str, Entry] = {}
    calls = 0
    for start in range(0, len(ids), IDS):
        asked = ids[start : start + IDS]
        wanted = set(asked)
        query = {"q": " or ".join(f"requestId eq {one}" for one in asked), "fields": FIELDS}
        number = 0
        while wanted and calls < pages:
            reply, shown = yield from read_page(query, number)
            number, calls = number + 1, calls + 1
            if shown is None:
                return Entries(found, calls, no_list(reply, "requests"))
            if wanted.isdisjoint(shown):
                break
            known = {item_id: item for item_id, item in shown.items() if item_id in wanted}
            wanted -= known.keys()
            found |= {one: Entry(item, observation(item, one, reply.date)) for one, item in known.items()}
    return Entries(found, calls)


def request_id(value: object) -> str:
    """Return a request id, a positive int64 without leading zeros; empty for anything else, such as 0 and -1."""
    found = text(value)
    if not ID.fullmatch(found) or int(found) > MAX_ID:
        return ""
    return found


def _of_a_child(data: Item, kind: str, job_id: str) -> tuple[str, str]:
    """Say why a child can't be deleted, and what a cancel of it leaves running; both are empty if it is no child."""
    parents = [request_id(data.get(name)) for name in ("absParentRequestId", "parentRequestId")]
    if kind not in CHILD_TYPES and set(parents) <= {"", job_id}:
        return "", ""
    parent = f"its parent {parents[0] or parents[1]}".removesuffix(" ")
    undeletable = f"request {job_id} is a child, and only submitted requests can be deleted: delete {parent} instead"
    going = f"cancelling one child of a recurrence does not stop the recurrence: for that cancel {parent}"
    return undeletable, going if kind in RECURRING_TYPES else ""


def _flag(value: object) -> bool | None:
    """Read a boolean, which some servers write as a string; None if it is neither."""
    if isinstance(value, str):
        return WRITTEN_FLAGS.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def _ended_at(data: Item, final_since: datetime | None) -> datetime | None:
    """Return when a request ended, None if nothing says so.

    Its times may be those of an earlier try: it has not ended before its last process, nor before its final state.
    """
    told = [at for name in ("completedTime", "processEndTime") if (at := _moment(data.get(name))) is not None]
    return max([*told, final_since or told[0]]) if told else None


def _shown_time(value: object) -> str:
    """Return a time as it is written, empty if it stands for none: such a text must not look like a change."""
    written = text(value)
    try:
        return "" if stand_in(datetime.fromisoformat(written)) else written
    except ValueError:
        return written


def _moment(value: object) -> datetime | None:
    """Return the latest moment that a time text can mean, None if it names no zone or is no real one.

    A text in whole seconds was truncated: the true moment is up to 1 s later. A wait that counts from
    it must not be too short.
    """
    written = text(value)
    if not written:
        return None
    try:
        moment = datetime.fromisoformat(written)
        if "." not in written and "," not in written:
            moment += timedelta(seconds=1)
        return real(moment)
    except (ValueError, OverflowError):
        return None
