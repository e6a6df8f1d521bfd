"""MapReduce Service (MRS) of Huawei Cloud and Open Telekom Cloud, dialects v1.1 and v2: words and wire format.

The only place that knows MRS's numbers, words and error codes. No IO and no decision lives here.
The status of a reply alone never proves what happened: both dialects are judged by body and `error_code`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from ..domain.model import Action, Answer, AnswerKind, Job, JobState, Observation, Source, Steps
from ..settings.backends_file.backend_table import WithProject
from ..settings.backends_file.fields import Segment
from .adapter import (
    CALLS_SAVED,
    COMMON_KINDS,
    Adapter,
    Call,
    Look,
    LookMany,
    Reply,
    Request,
    about_another,
    answer,
    common_answer,
    facts,
    items,
    job_in,
    seen_nothing,
    silent,
    taken,
    text,
    unseen,
    unusable,
)
from .times import real

UNFINISHED_STATES: Mapping[str, JobState] = {
    "-1": JobState.CANCELLED,  # terminated
    "1": JobState.ACTIVE,  # starting
    "2": JobState.ACTIVE,  # running
    "3": JobState.UNKNOWN,  # completed, which an unfinished job is not
    "4": JobState.ACTIVE,  # abnormal: it may recover
    "5": JobState.FAILED,  # error
    "NEW": JobState.ACTIVE,
    "NEW_SAVING": JobState.ACTIVE,
    "SUBMITTED": JobState.ACTIVE,
    "ACCEPTED": JobState.ACTIVE,
    "RUNNING": JobState.ACTIVE,
    "FINISHED": JobState.UNKNOWN,  # but without a result
    "FAILED": JobState.FAILED,
    "KILLED": JobState.CANCELLED,
}
"""`job_state` of both dialects, which counts while there is no result (DOC M2, M3)."""

RESULTS: Mapping[str, JobState] = {
    "1": JobState.FAILED,  # terminated due to an execution error; also of a "completed" job
    "2": JobState.SUCCEEDED,
    "3": JobState.CANCELLED,
    "SUCCEEDED": JobState.SUCCEEDED,
    "FAILED": JobState.FAILED,
    "KILLED": JobState.CANCELLED,
}
"""`job_final_status` of v1.1 and `job_result` of v2 (DOC M2, M3)."""

NO_RESULT = frozenset({"", "0", "UNDEFINED"})

ERRORS: Mapping[str, tuple[AnswerKind, str]] = {
    "12000001": (AnswerKind.REFUSED, "invalid authentication"),
    "12000002": (AnswerKind.REFUSED, ""),
    "12000003": (AnswerKind.NOT_FOUND, "the job's cluster does not exist"),
    "12000054": (AnswerKind.REFUSED, ""),
    "12000064": (AnswerKind.REFUSED, "a security cluster has no job API"),
    "12000085": (AnswerKind.REFUSED, 'this cluster needs the other API version: set dialect = "v2"'),
    "0167": (AnswerKind.REFUSED, 'this cluster needs the other API version: set dialect = "v1.1"'),
    "0160": (AnswerKind.REJECTED, ""),  # failed to kill, perhaps because it has ended
    "0175": (AnswerKind.REJECTED, ""),
    "0200": (AnswerKind.REJECTED, ""),
    "0161": (AnswerKind.UNANSWERED, ""),  # delete failed
    "0189": (AnswerKind.UNANSWERED, ""),
    "0199": (AnswerKind.UNANSWERED, ""),
    "0162": (AnswerKind.UNANSWERED, ""),  # query failed
    "0166": (AnswerKind.UNANSWERED, ""),
    "0174": (AnswerKind.UNANSWERED, ""),
    "0176": (AnswerKind.NOT_FOUND, ""),
    "0201": (AnswerKind.NOT_FOUND, ""),
    "0178": (AnswerKind.REFUSED, ""),
    "0180": (AnswerKind.BUSY, ""),  # still being submitted
    "0183": (AnswerKind.REJECTED, ""),  # running, so it can't be deleted
    "0192": (AnswerKind.REFUSED, "the user does not exist in MRS Manager"),
    "0177": (AnswerKind.UNANSWERED, ""),
    "0202": (AnswerKind.UNANSWERED, ""),
    "APIGW.0301": (AnswerKind.REFUSED, ""),
    "APIGW.0302": (AnswerKind.REFUSED, ""),
    "APIGW.0303": (AnswerKind.REFUSED, ""),
    "APIGW.0305": (AnswerKind.REFUSED, ""),
    "APIGW.0306": (AnswerKind.REFUSED, ""),
    "APIGW.0101": (AnswerKind.REFUSED, "there is no such API in this region: check base_url and dialect"),
    "APIGW.0308": (AnswerKind.BUSY, ""),
}
"""What an `error_code` means, whatever the status: Open Telekom Cloud sends with 500 what Huawei sends with 400
(DOC M4, M5)."""

CREDENTIAL_CODES = frozenset({"12000001", "APIGW.0301", "APIGW.0303"})
"""Codes that are about the token, not about the job (DOC M4, M5)."""
GATEWAY_CODE = "APIG"
"""How the codes of the gateway in front of MRS begin; it may answer before MRS was ever asked (DOC M5)."""

STATUSES: Mapping[int, AnswerKind] = {400: AnswerKind.REJECTED, 413: AnswerKind.BUSY}
"""What a status means for a changing call if the reply has no code that we know: the reply to a cancel of a job that
has ended is not documented, so a look decides."""

ERROR_FIELD = re.compile(r'"(error_code|error_msg)"\s*:\s*"?([^",}]+)')
"""Also finds the fields in bodies that are not valid JSON, such as the documented failure of v2 (DOC M3)."""

FACTS = ("oozie_job_id", "return_code", "cluster_id")
HEADERS: Mapping[str, str] = {
    "Accept": "application/json",
    "Content-Type": "application/json",
    "X-Language": "en-us",
}
FIRST_13_DIGITS = 10**12
PAGE = "100"
"""Jobs on a page: the most that v1.1 allows (DOC M2)."""


class MrsOptions(WithProject):
    """MapReduce Service, at `{base_url}/{dialect}/{project_id}`."""

    dialect: Literal["v1.1", "v2"] = "v1.1"
    cluster_id: Segment | None = None


class Mrs(Adapter):
    """The adapter of kind `mrs`; v2 needs a `cluster_id`, here or in a command's `params`."""

    steps: ClassVar[Steps] = Steps(look_before_cancel=True)
    params: ClassVar[frozenset[str]] = frozenset({"cluster_id"})

    def __init__(self, project_id: str, dialect: str = "v1.1", cluster_id: str = "") -> None:
        """`dialect` is `v1.1` or `v2`, which have different jobs; `cluster_id` applies if a command names none."""
        cluster = (f"cluster {cluster_id}",) if cluster_id else ()
        self.within = (f"project {project_id}", *(("dialect v2", *cluster) if dialect == "v2" else ()))
        self.project_id = project_id
        self.dialect = dialect
        self.cluster_id = cluster_id

    def problem(self, job: Job) -> str:
        """Say if the cluster id is missing although v2 needs it, or is invalid."""
        cluster_id = self._cluster_id(job)
        if self.dialect == "v2" and not cluster_id:
            return 'params.cluster_id: is needed, since dialect is "v2" and the backend has no cluster_id of its own'
        return f"params.cluster_id: {cluster_id!r} is not a cluster id" if cluster_id in {".", ".."} else ""

    def address(self, job: Job) -> str:
        """Return the job's cluster if v2 needs it and it is not the backend's own."""
        cluster_id = self._cluster_id(job)
        return cluster_id if self.dialect == "v2" and cluster_id != self.cluster_id else ""

    def look(self, job: Job) -> Look:
        """Read the job from the resource that shows its state: v1.1's cancel resource does not."""
        newer = self.dialect == "v2"
        path = self._path(job, "job-executions" if newer else "job-exes", job.id)
        reply = yield Request("GET", path, headers=HEADERS)
        if reply.ok:
            data = job_in(reply, ("job_execution", "job_detail"), _word)
            if data is None or not _word(data):
                return unusable(reply, "the reply does not say what state the job is in")
            # v1.1's `job_id` identifies something else (SEED S4).
            if about_another(job, (newer and data.get("job_id")) or data.get("id")):
                return unusable(reply, "the reply is about another job")
            return _observation(data, job, reply.date)
        judged = _judge(reply, Action.LOOK)
        return unseen(reply, job, judged, judged.code or str(reply.status))

    def look_many(self, jobs: Sequence[Job]) -> LookMany:
        """Read the list of each cluster's jobs; v1.1 has one too, of the resource that a look reads (DOC M2).

        A list that can't be read says nothing about the others.
        """
        clusters: dict[str, list[Job]] = {}
        for job in jobs:
            clusters.setdefault(self._cluster_id(job), []).append(job)
        clusters.pop("", None)  # without one there is no list
        found: dict[str, Observation] = {}
        why: Answer | None = None
        for group in clusters.values():
            seen = yield from self._listed(group)
            if isinstance(seen, Answer):
                why = seen
            else:
                found |= seen
        return why if why and not found else found

    def _listed(self, jobs: Sequence[Job]) -> LookMany:
        """Read one cluster's list until all jobs are found, it ends, or it is no longer worth it."""
        wanted, found = {job.id: job for job in jobs}, dict[str, Observation]()
        known: set[str] = set()
        position, by_jobs, newer = 1, False, self.dialect == "v2"
        for page in range(1, len(jobs) // CALLS_SAVED + 1):
            reply = yield self._page(jobs[0], position)
            listed = items(reply, "job_list", "job_id") if newer else items(reply, "job_executions", "id")
            if listed is None:
                return found or seen_nothing(_judge(reply, Action.LOOK))
            new = listed.keys() - known
            by_jobs |= len(new) < len(listed)
            known |= new
            found |= {
                job_id: _observation(listed[job_id], wanted[job_id], reply.date)
                for job_id in new & wanted.keys()
                if _word(listed[job_id])
            }
            if not new or wanted.keys() <= known:
                break
            position = len(known) + 1 if by_jobs and newer else page + 1
        return found

    def _page(self, job: Job, position: int) -> Request:
        """Ask for a page. What v2's `offset` counts is not documented (DOC M3): pages, unless these then overlap."""
        if self.dialect == "v2":
            query = {"limit": PAGE, "offset": str(position)}
            return Request("GET", self._path(job, "job-executions"), query, HEADERS)
        query = {"cluster_id": self._cluster_id(job), "page_size": PAGE, "current_page": str(position)}
        return Request("GET", self._path(job, "job-exes"), query, HEADERS)

    def change(self, action: Action, job: Job) -> Call:
        """Ask MRS to stop the job, or remove its record.

        v1.1 stops a job by a GET, which no cache may answer. v2's batch call does not report its effect; the next look
        shows it.
        """
        older, cancels = self.dialect == "v1.1", action is Action.CANCEL
        if older and cancels:
            path = self._path(job, "job-executions", job.id, "cancel")
            request = Request("GET", path, headers={**HEADERS, "Cache-Control": "no-store"})
        elif older:
            request = Request("DELETE", self._path(job, "job-executions", job.id), headers=HEADERS)
        elif cancels:
            request = Request("POST", self._path(job, "job-executions", job.id, "kill"), headers=HEADERS)
        else:
            ids = {"job_id_list": [job.id]}
            request = Request("POST", self._path(job, "job-executions", "batch-delete"), headers=HEADERS, json=ids)
        reply = yield request
        if not reply.ok:
            return _judge(reply, action)
        if older and cancels:
            return taken(reply, fits=_shown(reply, job))
        return taken(reply, fits=silent(reply) or _named(reply, job, older=older))

    def _cluster_id(self, job: Job) -> str:
        return job.params.get("cluster_id") or self.cluster_id

    def _path(self, job: Job, *rest: str) -> tuple[str, ...]:
        if self.dialect == "v2":
            return ("v2", self.project_id, "clusters", self._cluster_id(job), *rest)
        return ("v1.1", self.project_id, *rest)


def _judge(reply: Reply, action: Action) -> Answer:
    """Judge an unsuccessful reply by its `error_code`, or by its status if it has no known one."""
    code, message = _error(reply)
    if code in ERRORS:
        kind, note = ERRORS[code]
        told = f"{note} ({message})" if note and message else note or message
        return answer(reply, kind, _source(code), code=code, detail=told)
    missing = COMMON_KINDS.get(reply.status) is AnswerKind.NOT_FOUND  # only a known code says that of a job
    source = _source(code) if code and not missing else Source.UNSURE
    otherwise = AnswerKind.UNANSWERED if action is Action.LOOK else STATUSES.get(reply.status, AnswerKind.REFUSED)
    return common_answer(reply, otherwise, source, code=code, detail=message, known=False)


def _source(code: str) -> Source:
    if code in CREDENTIAL_CODES:
        return Source.CREDENTIAL
    return Source.UNSURE if code.upper().startswith(GATEWAY_CODE) else Source.OWN


def _error(reply: Reply) -> tuple[str, str]:
    """Return an error's code and text, also from a body that is almost JSON, or that gives the code as a number."""
    fields: Mapping[str, object] | None = reply.data
    if fields is None:
        told = set(ERROR_FIELD.findall(reply.body[:4000].decode("utf-8", "replace")))
        fields = found if len(found := dict(told)) == len(told) else {}
    code = text(fields.get("error_code"))
    return code.zfill(4) if code.isdecimal() else code, text(fields.get("error_msg"))


def _shown(reply: Reply, job: Job) -> bool:
    """Whether a success shows our job by its id, or a job's state and no id; a bare body then needs a known state."""
    data = job_in(reply, ("job_execution",), lambda one: one.get("id") or _word(one).upper() in UNFINISHED_STATES) or {}
    return bool(data.get("id") or _word(data)) and not about_another(job, data.get("id"))


def _named(reply: Reply, job: Job, *, older: bool) -> bool:
    """Whether a success names our job; the other name of a job identifies something else (SEED S4)."""
    data = job_in(reply, ("job_execution", "job_detail"), bool) or {}
    first, other = ("id", "job_id") if older else ("job_id", "id")
    named = data.get(first) or data.get(other)
    return bool(named) and not about_another(job, named)


def _word(data: Mapping[str, Any]) -> str:
    """Return the word for the state; a body without one shows no job's state."""
    return text(data.get("job_state")) or text(data.get("state"))


def _observation(data: Mapping[str, Any], job: Job, clock: datetime | None) -> Observation:
    word = _word(data)
    results = [one for one in (text(data.get("job_final_status")), text(data.get("job_result"))) if one]
    result = next((one for one in results if one.upper() not in NO_RESULT), results[0] if results else "")
    return Observation(
        state=_state(word.upper(), result.upper()),
        raw="/".join(part for part in (word, result) if part),
        source=Source.OWN,
        job_id=job.id,
        clock=clock,
        ended_at=_moment(data.get("end_time")) or _moment(data.get("finished_time")),
        facts=facts(data, FACTS),
    )


def _state(word: str, result: str) -> JobState:
    """Decide by the result; by the state only while there is none. "Completed" alone is no success."""
    if result in NO_RESULT:
        return UNFINISHED_STATES.get(word, JobState.UNKNOWN)
    return RESULTS.get(result, JobState.UNKNOWN)


def _moment(value: object) -> datetime | None:
    """Return the moment that 13-digit milliseconds mean; other formats have no zone and prove nothing."""
    if isinstance(value, bool) or not isinstance(value, int) or value < FIRST_13_DIGITS:
        return None
    try:
        return real(datetime.fromtimestamp(value / 1000, UTC))
    except (ValueError, OverflowError, OSError):
        return None
