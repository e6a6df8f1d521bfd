"""MapReduce Service (MRS) of Huawei Cloud and Open Telekom Cloud, dialects v1.1 and v2: words and wire format.

The only place that knows MRS's numbers, words and error codes. No IO and no decision lives here.
A read never proves by its status alone what happened: both dialects are judged by body and `error_code`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

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
    no_force,
    seen_nothing,
    text,
)
from worker.model import Action, Answer, AnswerKind, Job, JobState, Observation, Steps

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
    "FINISHED": JobState.UNKNOWN,  # its result is said to be open
    "FAILED": JobState.FAILED,
    "KILLED": JobState.CANCELLED,
}
"""`job_state` of both dialects, which counts while no result is told (DOC M2, M3)."""

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
    "12000085": (AnswerKind.REFUSED, 'this cluster wants the other interface: set dialect = "v2"'),
    "0167": (AnswerKind.REFUSED, 'this cluster wants the other interface: set dialect = "v1.1"'),
    "0160": (AnswerKind.REJECTED, ""),  # failed to kill, perhaps since it has ended
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

STATUSES: Mapping[int, AnswerKind] = {400: AnswerKind.REJECTED, 413: AnswerKind.BUSY}
"""What a status means for a changing call without a code that we know: a cancel's reply to a job that has ended is
not documented, so a look decides."""

ERROR_FIELD = re.compile(r'"(error_code|error_msg)"\s*:\s*"?([^",}]+)')
"""Also finds the fields in bodies that are not valid JSON, as the sample of v2's failure is not (DOC M3)."""

FACTS = ("oozie_job_id", "return_code", "cluster_id")
HEADERS: Mapping[str, str] = {
    "Accept": "application/json",
    "Content-Type": "application/json",
    "X-Language": "en-us",
}
FIRST_13_DIGITS = 10**12


@dataclass(frozen=True, slots=True)
class Mrs:
    """The adapter of kind `mrs`; v2 needs a `cluster_id`, here or in a command's `params`."""

    steps: ClassVar[Steps] = Steps(look_before_cancel=True)
    params: ClassVar[frozenset[str]] = frozenset({"cluster_id"})

    project_id: str
    dialect: str = "v1.1"
    cluster_id: str = ""

    def problem(self, job: Job) -> str:
        """Say whether v2 lacks its cluster."""
        cluster_id = self._cluster_id(job)
        if self.dialect == "v2" and not cluster_id:
            return 'params.cluster_id: is needed, since dialect is "v2" and the backend has no cluster_id of its own'
        return f"params.cluster_id: {cluster_id!r} is not a cluster id" if cluster_id in {".", ".."} else ""

    def look(self, job: Job) -> Look:
        """Read the job from the resource that tells its state: v1.1's cancel resource does not."""
        path = self._v2(job, job.id) if self.dialect == "v2" else self._v11("job-exes", job.id)
        reply = yield Request("GET", path, headers=HEADERS)
        data = _job(reply, "job_execution", "job_detail")
        if data is not None:
            return _observation(data, job, reply.date)
        judged = _judge(reply, Action.LOOK)
        if judged.kind is AnswerKind.NOT_FOUND:
            return gone(reply, job, judged.code or "404", judged.detail)
        return seen_nothing(judged)

    def look_many(self, jobs: Sequence[Job]) -> Survey | None:  # noqa: ARG002
        """Look at each job alone."""
        return None

    def cancel(self, job: Job) -> Call:
        """Ask MRS to stop the job; v1.1 does it behind a GET, which no cache may answer."""
        if self.dialect == "v2":
            reply = yield Request("POST", self._v2(job, job.id, "kill"), headers=HEADERS)
            return _judge(reply, Action.CANCEL)
        path = self._v11("job-executions", job.id, "cancel")
        reply = yield Request("GET", path, headers={**HEADERS, "Cache-Control": "no-store"})
        if reply.ok and _job(reply, "job_execution") is None:
            return answer(reply, AnswerKind.UNANSWERED)
        return _judge(reply, Action.CANCEL)

    def force(self, job: Job) -> Call:
        """Refuse: there is none."""
        return no_force(job)

    def delete(self, job: Job) -> Call:
        """Remove the job's record; v2's batch call does not tell its effect, the next look does."""
        if self.dialect == "v2":
            request = Request("POST", self._v2(job, "batch-delete"), headers=HEADERS, json={"job_id_list": [job.id]})
        else:
            request = Request("DELETE", self._v11("job-executions", job.id), headers=HEADERS)
        reply = yield request
        return _judge(reply, Action.DELETE)

    def _cluster_id(self, job: Job) -> str:
        return job.params.get("cluster_id") or self.cluster_id

    def _v11(self, *rest: str) -> tuple[str, ...]:
        return ("v1.1", self.project_id, *rest)

    def _v2(self, job: Job, *rest: str) -> tuple[str, ...]:
        return ("v2", self.project_id, "clusters", self._cluster_id(job), "job-executions", *rest)


def _judge(reply: Reply, action: Action) -> Answer:
    """Judge a reply by its `error_code`, and only without a known one by its status."""
    if reply.ok:
        return answer(reply, AnswerKind.ACCEPTED if reply.empty_or_data else AnswerKind.UNANSWERED)
    code, message = _error(reply)
    if code in ERRORS:
        kind, note = ERRORS[code]
        return answer(reply, kind, code=code, detail=f"{note} ({message})" if note and message else note or message)
    if action is Action.LOOK:
        return common_answer(reply, AnswerKind.UNANSWERED, code=code, detail=message)
    otherwise = STATUSES.get(reply.status, AnswerKind.REFUSED)
    return common_answer(reply, otherwise, code=code, detail=message)


def _error(reply: Reply) -> tuple[str, str]:
    """Return an error's code and text, also from a body that is almost JSON, or that gives the code as a number."""
    fields: Mapping[str, object] | None = reply.data
    if fields is None:
        fields = dict(ERROR_FIELD.findall(reply.body[:4000].decode("utf-8", "replace")))
    code = text(fields.get("error_code"))
    return code.zfill(4) if code.isdecimal() else code, text(fields.get("error_msg"))


def _job(reply: Reply, *wrappers: str) -> Mapping[str, Any] | None:
    """Return the job in a success's body, wrapped or bare, or None if there is none."""
    if not reply.ok or reply.data is None:
        return None
    wrapped = (reply.data.get(wrapper) for wrapper in wrappers)
    bare = reply.data if "job_state" in reply.data else None
    return next((data for data in wrapped if isinstance(data, dict)), bare)


def _observation(data: Mapping[str, Any], job: Job, clock: datetime | None) -> Observation:
    word, result = text(data.get("job_state")), text(data.get("job_final_status")) or text(data.get("job_result"))
    return Observation(
        state=_state(word.upper(), result.upper()),
        raw="/".join(part for part in (word, result) if part),
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
    """Return the moment that 13-digit milliseconds mean; other styles carry no zone and prove nothing."""
    if isinstance(value, bool) or not isinstance(value, int) or value < FIRST_13_DIGITS:
        return None
    try:
        return datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
