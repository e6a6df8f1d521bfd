"""Oracle Machine Learning (OML4R and OML4Py) asynchronous jobs: words and wire format.

The only place that knows how OML says "running", "finished" and "no such job". No IO and no
decision lives here: whether a job that is gone was ours to remove is decided elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import unquote

from msgspec.structs import replace
from pydantic import Field, StrictStr

from ..domain.model import Action, Answer, AnswerKind, Job, JobState, Observation, Source, Steps
from ..settings.backends_file.backend_table import WithoutProject
from .adapter import (
    Adapter,
    Call,
    Look,
    LookMany,
    Reply,
    Request,
    about_another,
    common_answer,
    facts,
    items,
    names,
    seen_nothing,
    taken,
    tells_error,
    text,
    unusable,
)

LIST_STATES: Mapping[str, JobState] = {
    "FINISH": JobState.SUCCEEDED,  # the only word that is documented (DOC O3)
    "RUNNING": JobState.ACTIVE,
}
"""The words of the job list, which does not show success or failure either."""

NO_SUCH_JOB = re.compile(r"job\s+not\s+found(?P<named>\s+with\s+id\b)?", re.IGNORECASE)
NO_SUCH_JOB_CODE = "1026"
"""1026 alone proves nothing, as it comes with other texts too (DOC O9); the text must agree (SEED S1)."""

PENDING = "job is still running"
"""A 202's words for a job that waits or runs (SEED S1, DOC O1), which the list calls RUNNING."""
RUNS = re.compile(
    r"(?:(?P<job>(?:the |this |your )?job(?: \S+)?) is )?(?:still )?running\b\W*(?P<more>.*)", re.IGNORECASE
)
"""Words that begin with "running". Those of a 202 may go on, such as by how far the job is; those of any other 2xx must
say no more, and never match "not running", as a stop destroys results."""
ENDED = re.compile(
    r"(?<![a-z])(?:fail(?:s|ed|ures?)?|finish(?:ed)?|completed?|succe[a-z]*|error(?:s|ed)?|cancel[a-z]*|abort[a-z]*"
    r"|killed|stopped|ended|done)(?![a-z])",
    re.IGNORECASE,
)
"""A 202 says that the job waits or runs (DOC O1), whatever its words, unless one of them speaks of an end and they do
not begin with "running". A digit or an underscore ends a word, as in "JOB_FAILED"."""
OF_A_JOB = ("job_id", "jobId", "createdDate", "elapsedTime")
"""Fields of a job: beside any of them, a bare "running" is not about the health of a service."""
FINISHED = "FINISH"
PARAMETERS = re.compile(r";[^/]*")
"""Parameters of a segment of a path (RFC 3986, 3.3), such as a session: they do not change what it names."""
RESULT = re.compile(r"/jobs/([^/]+)/result/?\Z")
FINISHED_DETAIL = "finished; Oracle ML shows only in the job's result whether it succeeded"
FACTS = ("request_id",)
HEADERS: Mapping[str, str] = {"Accept": "application/json"}


class OracleMlOptions(WithoutProject):
    """Oracle Machine Learning jobs, at `{base_url}/oml/api/{scripts}/v2`; `service` is a service level."""

    scripts: Literal["r-scripts", "py-scripts"] = "r-scripts"
    service: Annotated[StrictStr, Field(min_length=1, max_length=128)] | None = None


class OracleMl(Adapter):
    """The adapter of kind `oracle-ml`."""

    steps: ClassVar[Steps] = Steps(look_before_cancel=True, cancel_removes=True, delete_stops=True)

    def __init__(self, scripts: str = "r-scripts", service: str = "") -> None:
        """`scripts` is `r-scripts` or `py-scripts`, `service` a service level."""
        self.within = (scripts,)
        self._jobs = ("oml", "api", scripts, "v2", "jobs")
        self.service = service

    def look(self, job: Job) -> Look:
        """Ask for the job's state; if that fails after a stop of ours, ask the list of jobs."""
        body = {"service": self.service} if self.service else None
        reply = yield Request("GET", (*self._jobs, job.id), headers=HEADERS, json=body)
        seen = _seen(reply, job)
        fails = reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR and reply.retry_after is None
        if not (job.stop_sent and fails):
            return seen
        listing = yield Request("GET", self._jobs, headers=HEADERS)  # OML answers 5xx about unknown jobs, too
        return _listed(listing, job) or replace(seen, retry_after=listing.retry_after)

    def look_many(self, jobs: Sequence[Job]) -> LookMany:
        """Read which jobs run from the list of all own jobs, which is one call however long it is (DOC O3).

        A job with any other word, or with none, is left out: the list's words are not published, and only a look
        shows how a job has ended, or that there is none.
        """
        reply = yield Request("GET", self._jobs, headers=HEADERS)
        listed = items(reply, "result", "job_id")
        if listed is None:
            return seen_nothing(_judge(reply, Job(""), AnswerKind.UNANSWERED))
        words = {job.id: text(listed[job.id].get("status")) for job in jobs if job.id in listed}
        return {
            job_id: Observation(JobState.ACTIVE, PENDING, Source.OWN, job_id, clock=reply.date)
            for job_id, word in words.items()
            if LIST_STATES.get(word) is JobState.ACTIVE
        }

    def change(self, action: Action, job: Job) -> Call:  # noqa: ARG002 - there is one call for both
        """Remove the job's record, which also aborts the job."""
        reply = yield Request("DELETE", (*self._jobs, job.id), headers=HEADERS)
        return _judge(reply, job)


def _judge(reply: Reply, job: Job, otherwise: AnswerKind = AnswerKind.REFUSED) -> Answer:
    """Judge a reply; a changing call is refused by any 400 that is not about a missing job."""
    data = reply.data or {}
    if reply.ok:
        told = data.get("result") is not None and not tells_error(data)
        return taken(reply, fits=reply.status == HTTPStatus.NO_CONTENT or told)
    code, message = text(data.get("errorCode")), text(data.get("errorMessage"))
    source = Source.OWN if code and message else Source.UNSURE
    if missing := _missing(reply, job):
        return common_answer(reply, AnswerKind.NOT_FOUND, missing, code=code, detail=_message(reply))
    return common_answer(reply, otherwise, source, code=code, detail=_message(reply))


def _seen(reply: Reply, job: Job) -> Observation | Answer:
    """Say what a reply to a look shows: here the HTTP status alone can be the observation."""
    if reply.ok:
        return _pending(reply, reply.data or {}, job)
    if reply.status == HTTPStatus.FOUND and _named_by(reply):
        return _finished(reply, job)
    judged = _judge(reply, job, AnswerKind.UNANSWERED)
    if judged.kind is not AnswerKind.NOT_FOUND:
        return seen_nothing(judged)
    told = _missing(reply, job)
    return Observation(
        JobState.GONE,
        "job not found" if told else str(reply.status),
        told or Source.UNSURE,
        job.id,
        clock=reply.date,
        detail=judged.detail,
        facts=facts(reply.data or {}, FACTS),
    )


def _pending(reply: Reply, data: Mapping[str, Any], job: Job) -> Observation | Answer:
    """Read a 2xx: a 202 with a state means pending or running; any other is undocumented and judged by its text."""
    raw = text(data.get("status"))
    if not raw or tells_error(data):
        return unusable(reply, "the reply does not say what state the job is in")
    if about_another(job, data.get("job_id"), data.get("jobId")):
        return unusable(reply, "the reply is about another job")
    state = LIST_STATES.get(raw.upper(), JobState.UNKNOWN)
    if state is not JobState.SUCCEEDED:
        runs = RUNS.match(raw)
        whole = runs is not None and not runs["more"]
        of_a_job = runs is not None and (runs["job"] or any(text(data.get(name)) for name in OF_A_JOB))
        pending = reply.status == HTTPStatus.ACCEPTED and (runs is not None or ENDED.search(raw) is None)
        state = JobState.ACTIVE if pending or (whole and of_a_job) else JobState.UNKNOWN
    detail = FINISHED_DETAIL if state is JobState.SUCCEEDED else ""
    return Observation(state, raw, Source.OWN, job.id, clock=reply.date, detail=detail, facts=facts(data, FACTS))


def _finished(reply: Reply, job: Job) -> Observation | Answer:
    """Read a 302 that names the job's result: its address is evidence only and is never called."""
    if _named_by(reply) != job.id:
        return unusable(reply, "the reply is about another job")
    return Observation(JobState.SUCCEEDED, FINISHED, Source.OWN, job.id, clock=reply.date, detail=FINISHED_DETAIL)


def _named_by(reply: Reply) -> str:
    """Return the job whose result a 302 names (`.../jobs/{id}/result`), empty if it names none."""
    place = reply.headers.get("content-location") or reply.headers.get("location", "")
    path = re.split("[?#]", place, maxsplit=1)[0]
    found = RESULT.search(PARAMETERS.sub("", path))
    return unquote(found[1]) if found else ""


def _listed(reply: Reply, job: Job) -> Observation | Answer | None:
    """Say what the list of all own jobs shows, None if it is not a list of jobs."""
    listed = items(reply, "result", "job_id")
    if listed is None:
        return None
    if job.id not in listed:
        detail = "the status call answers 5xx and the job list no longer names it"
        return Observation(JobState.GONE, "not listed", Source.UNSURE, job.id, clock=reply.date, detail=detail)
    raw = text(listed[job.id].get("status"))
    state = LIST_STATES.get(raw.upper(), JobState.UNKNOWN)
    detail = FINISHED_DETAIL if state is JobState.SUCCEEDED else ""
    return Observation(state, raw, Source.OWN, job.id, clock=reply.date, detail=detail)


def _missing(reply: Reply, job: Job) -> Source | None:
    """Return whose words say that there is no such job, None if a reply does not say so.

    They are OML's own if the text names our job, or if it names none and has OML's code.
    """
    data = reply.data or {}
    message, code = text(data.get("errorMessage"), 2000), text(data.get("errorCode"))
    told = NO_SUCH_JOB.search(message)
    if reply.status != HTTPStatus.BAD_REQUEST or told is None or code not in {"", NO_SUCH_JOB_CODE}:
        return None
    own = names(job, message[told.end() :]) if told["named"] else code == NO_SUCH_JOB_CODE
    return Source.OWN if own else Source.UNSURE


def _message(reply: Reply) -> str:
    """Return OML's text with the id that its support asks for."""
    data = reply.data or {}
    message, request_id = text(data.get("errorMessage")), text(data.get("request_id"))
    return f"{message} (request_id {request_id})" if message and request_id else message
