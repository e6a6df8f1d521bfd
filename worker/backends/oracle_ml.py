"""Oracle Machine Learning (OML4R and OML4Py) asynchronous jobs: words and wire format.

The only place that knows how OML says "running", "finished" and "no such job". No IO and no
decision lives here: whether a job that is gone was ours to remove is decided elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
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
    items,
    no_force,
    pages_worth,
    seen_nothing,
    text,
)
from worker.model import Answer, AnswerKind, Job, JobState, Observation, Steps

LIST_STATES: Mapping[str, JobState] = {
    "FINISH": JobState.SUCCEEDED,  # the only word that is documented (DOC O3)
    "RUNNING": JobState.ACTIVE,
}
"""The words of the job list; success or failure is not told there either."""

NO_SUCH_JOB = re.compile(r"job\s+not\s+found", re.IGNORECASE)
NO_SUCH_JOB_CODES = frozenset({"1026", ""})
"""1026 alone proves nothing, it has other texts too (DOC O9); the text must agree (SEED S1)."""

PENDING = "job is still running"
"""A 202's words for a job that waits or runs (SEED S1, DOC O1), of which the list says that it is RUNNING."""
FINISHED = "FINISH"
FINISHED_DETAIL = "finished; Oracle ML does not say here whether with success, its result does"
FACTS = ("request_id",)
HEADERS: Mapping[str, str] = {"Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class OracleMl:
    """The adapter of kind `oracle-ml`; `scripts` is `r-scripts` or `py-scripts`, `service` a service level."""

    steps: ClassVar[Steps] = Steps(look_before_cancel=True, cancel_removes=True, delete_stops=True)
    params: ClassVar[frozenset[str]] = frozenset()

    scripts: str = "r-scripts"
    service: str = ""

    def problem(self, job: Job) -> str:
        """Take any id: they are opaque."""
        del job
        return ""

    def address(self, job: Job) -> str:
        """Return nothing: the id alone addresses a job."""
        del job
        return ""

    def look(self, job: Job) -> Look:
        """Ask for the job's state; where that fails after a stop of ours, ask the list of jobs."""
        body = {"service": self.service} if self.service else None
        reply = yield Request("GET", self._path(job.id), headers=HEADERS, json=body)
        seen = _seen(reply, job)
        if job.stop_sent and reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:  # OML says so of unknown jobs, too
            listing = yield Request("GET", self._path(), headers=HEADERS)
            seen = _listed(listing, job) or seen
        return seen

    def look_many(self, jobs: Sequence[Job]) -> Survey | None:
        """Ask the list of all own jobs, which is one call however long it is (DOC O3), which of them run.

        A job of any other word, or of none, is left out: the list's words are not published, and only a look
        tells how a job has ended, or that there is none.
        """
        return self._survey(jobs) if pages_worth(jobs) else None

    def _survey(self, jobs: Sequence[Job]) -> Survey:
        reply = yield Request("GET", self._path(), headers=HEADERS)
        words = _words(reply)
        if words is None:
            return seen_nothing(_judge(reply, AnswerKind.UNANSWERED))
        running = (job.id for job in jobs if LIST_STATES.get(words.get(job.id, "")) is JobState.ACTIVE)
        return {job_id: Observation(JobState.ACTIVE, PENDING, job_id, clock=reply.date) for job_id in running}

    def cancel(self, job: Job) -> Call:
        """Abort the job, which removes its record."""
        return self.delete(job)

    def force(self, job: Job) -> Call:
        """Refuse: there is none."""
        return no_force(job)

    def delete(self, job: Job) -> Call:
        """Remove the job's record, which aborts it."""
        reply = yield Request("DELETE", self._path(job.id), headers=HEADERS)
        return _judge(reply)

    def _path(self, *rest: str) -> tuple[str, ...]:
        return ("oml", "api", self.scripts, "v2", "jobs", *rest)


def _judge(reply: Reply, otherwise: AnswerKind = AnswerKind.REFUSED) -> Answer:
    """Judge a reply; to a changing call a 400 that is not about a missing job is permanent."""
    if reply.ok:
        fits = reply.data is not None or reply.status == HTTPStatus.NO_CONTENT
        return answer(reply, AnswerKind.ACCEPTED if fits else AnswerKind.UNANSWERED)
    kind = AnswerKind.NOT_FOUND if _no_such_job(reply) else otherwise
    return common_answer(reply, kind, code=text((reply.data or {}).get("errorCode")), detail=_message(reply))


def _seen(reply: Reply, job: Job) -> Observation | Answer:
    """Say what a reply to a state call shows: here a status can be the observation."""
    if reply.ok and reply.data is not None:
        return _pending(reply, reply.data, job)
    if reply.status == HTTPStatus.FOUND and _names_result(reply):
        return _finished(reply, job)
    judged = _judge(reply, AnswerKind.UNANSWERED)
    if judged.kind is AnswerKind.NOT_FOUND:
        told = _no_such_job(reply)
        missing = gone(reply, job, "job not found" if told else "404", judged.detail, vague=not told)
        return replace(missing, facts=facts(reply.data or {}, FACTS))
    return seen_nothing(judged)


def _pending(reply: Reply, data: Mapping[str, Any], job: Job) -> Observation:
    """Read a 2xx: a 202 means pending or running, another one is undocumented and taken by its text."""
    raw = text(data.get("status"))
    running = reply.status == HTTPStatus.ACCEPTED or "running" in raw.lower()
    state = JobState.ACTIVE if running else JobState.UNKNOWN
    return Observation(state, raw or str(reply.status), job.id, clock=reply.date, facts=facts(data, FACTS))


def _finished(reply: Reply, job: Job) -> Observation:
    return Observation(JobState.SUCCEEDED, FINISHED, job.id, clock=reply.date, detail=FINISHED_DETAIL)


def _names_result(reply: Reply) -> bool:
    """Tell OML's 302 from a login page's; the address is evidence only and is never called."""
    location = reply.headers.get("location", "")
    return "content-location" in reply.headers or not location or location.endswith("/result")


def _listed(reply: Reply, job: Job) -> Observation | None:
    """Say what the list of all own jobs shows, None if it is not a list of jobs."""
    words = _words(reply)
    if words is None:
        return None
    if job.id not in words:
        detail = "the status call answers 5xx and the job list no longer names it"
        return gone(reply, job, "not listed", detail, vague=True)
    raw = words[job.id]
    if raw == FINISHED:
        return _finished(reply, job)
    return Observation(LIST_STATES.get(raw, JobState.UNKNOWN), raw, job.id, clock=reply.date)


def _words(reply: Reply) -> dict[str, str] | None:
    """Return the list's word for each job, None if it is not a list of jobs."""
    entries = items(reply, "result", "job_id")
    return None if entries is None else {job_id: text(entry.get("status")) for job_id, entry in entries.items()}


def _no_such_job(reply: Reply) -> bool:
    data = reply.data or {}
    code = text(data.get("errorCode"))
    told = NO_SUCH_JOB.search(text(data.get("errorMessage"), 2000))
    return reply.status == HTTPStatus.BAD_REQUEST and code in NO_SUCH_JOB_CODES and told is not None


def _message(reply: Reply) -> str:
    """Return OML's text with the id that its support asks for."""
    data = reply.data or {}
    message, request_id = text(data.get("errorMessage")), text(data.get("request_id"))
    return f"{message} (request_id {request_id})" if message and request_id else message
