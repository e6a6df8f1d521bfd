"""OpenStack Sahara, dialects v1.1 and v2: words and wire format.

The only place that knows Sahara's states and error names. No IO and no decision lives here. Its cancel
answers with a snapshot from before the call, which is passed on as such, never as the cancel's effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Literal

from msgspec.structs import replace

from ..domain.model import Action, Answer, AnswerKind, Job, JobState, Observation, Source, Steps
from ..settings.backends_file.backend_table import WithProject
from .adapter import (
    CALLS_SAVED,
    LONGEST_ID,
    Adapter,
    Call,
    Look,
    LookMany,
    NoReply,
    Reply,
    Request,
    about_another,
    answer,
    common_answer,
    facts,
    items,
    job_in,
    names,
    seen_nothing,
    taken,
    text,
    unseen,
    unusable,
)

STATES: Mapping[str, JobState] = {
    "PENDING": JobState.ACTIVE,
    "READYTORUN": JobState.ACTIVE,
    "PREP": JobState.ACTIVE,
    "RUNNING": JobState.ACTIVE,  # also after TOBEKILLED: the engine's cancel has failed, or is not complete
    "TOBEKILLED": JobState.CANCELLING,
    "TOBESUSPENDED": JobState.ACTIVE,
    "SUSPENDED": JobState.ACTIVE,
    "PREPSUSPENDED": JobState.ACTIVE,
    "SUCCEEDED": JobState.SUCCEEDED,
    "FAILED": JobState.FAILED,
    "KILLED": JobState.CANCELLED,
    "DONEWITHERROR": JobState.FAILED,
    "SUSPENDFAILED": JobState.FAILED,
}
"""All states in Sahara's order (SRC H5); `end_time` proves nothing, as an early kill does not set it."""

PROVISIONAL = frozenset({"SUSPENDFAILED"})
"""Final in Sahara's own list, so that a cancel does nothing, although the work may still run (SRC H3, H5)."""

ERRORS: Mapping[str, AnswerKind] = {
    "CANCELING_FAILED": AnswerKind.REFUSED,  # another tenant's, or protected
    "DELETION_FAILED": AnswerKind.REFUSED,
    "UPDATE_FAILED": AnswerKind.REFUSED,  # the same check, of v2's cancel
    "INVALID_JOB_STATUS": AnswerKind.REJECTED,
    "INVALID_PARAMS_ON_REQUEST": AnswerKind.REFUSED,
    "FORBIDDEN": AnswerKind.REFUSED,
    "NOT_FOUND": AnswerKind.NOT_FOUND,
    "NOT_ACCEPTABLE": AnswerKind.REFUSED,  # the API version
    "INTERNAL_SERVER_ERROR": AnswerKind.UNANSWERED,
}
"""What an `error_name` means (SRC H2, H5)."""

MISSING = frozenset({404, 410})
WRAPPERS = ("job_execution", "job")
"""The keys under which v1.1 and v2 send a record."""
FACTS = ("oozie_job_id", "return_code", "cluster_id")
PAGE = "100"
"""Jobs on a page of a list: the size of each one's `info` is not limited, but that of a reply is."""
HEADERS: Mapping[str, Mapping[str, str]] = {
    "v1.1": {"Accept": "application/json"},
    "v2": {"Accept": "application/json", "OpenStack-API-Version": "data-processing 2.0"},
}


class SaharaOptions(WithProject):
    """OpenStack Sahara, at `{base_url}/v1.1/{project_id}` or `{base_url}/v2`."""

    dialect: Literal["v1.1", "v2"] = "v1.1"


class Sahara(Adapter):
    """The adapter of kind `sahara`."""

    steps: ClassVar[Steps] = Steps(look_before_cancel=False, gone_means_stopped=False)

    def __init__(self, project_id: str, dialect: str = "v1.1") -> None:
        """`dialect` is `v1.1` or `v2`; both show the same jobs of a project."""
        self.within = (f"project {project_id}",)
        self.dialect = dialect
        self._jobs = ("v2", "jobs") if dialect == "v2" else ("v1.1", project_id, "job-executions")

    def look(self, job: Job) -> Look:
        """Read the job; v1.1 has Sahara ask its engine first, v2 shows what the engine last told Sahara.

        If the engine gives no answer, or has forgotten the job, or somebody else replies, the record alone is read,
        however old it is.
        """
        headers, path = HEADERS[self.dialect], (*self._jobs, job.id)
        if self.dialect == "v2":
            reply = yield Request("GET", path, headers=headers)
            return _seen(reply, job)
        try:
            reply = yield Request("GET", (*path, "refresh-status"), headers=headers)
            seen = _seen(reply, job)
        except NoReply:
            pass
        else:
            if _tells(seen) or reply.retry_after is not None:
                return seen
        reply = yield Request("GET", path, headers=headers)
        return _seen(reply, job)

    def look_many(self, jobs: Sequence[Job]) -> LookMany:
        """Read v2's list, which shows of each job what a look does (SRC H1): what the engine last told Sahara.

        So does v1.1's list, but there a look has Sahara ask its engine first, so the list shows less.
        The list is read until all jobs are found, it ends, or it is no longer worth it. Each page names the marker of
        the next one; the job that it names may be on both pages.
        """
        if self.dialect != "v2":
            return {}
        wanted, found = {job.id: job for job in jobs}, dict[str, Observation]()
        known: set[str] = set()
        query = {"limit": PAGE}
        for _ in range(len(jobs) // CALLS_SAVED):
            reply = yield Request("GET", self._jobs, query, HEADERS["v2"])
            listed = items(reply, "jobs", "id")
            if listed is None:
                return found or seen_nothing(_judge(reply, Action.LOOK, jobs[0]))
            new = listed.keys() - known
            known |= new
            shown = {one: _observation(listed[one], wanted[one], reply.date) for one in new & wanted.keys()}
            found |= {job_id: seen for job_id, seen in shown.items() if seen.raw}
            markers = (reply.data or {}).get("markers")  # there may be none at all if this is the last page
            marker = text(markers.get("next"), LONGEST_ID) if isinstance(markers, dict) else ""
            if not new or not marker or wanted.keys() <= known:
                break
            query = {"limit": PAGE, "marker": marker}
        return found

    def change(self, action: Action, job: Job) -> Call:
        """Ask Sahara to stop the job or to remove its record.

        v1.1 stops a job by a GET, which no cache may answer. A delete removes the record some time later, even if the
        job still runs.
        """
        headers, path = HEADERS[self.dialect], (*self._jobs, job.id)
        if action is Action.DELETE:
            request = Request("DELETE", path, headers=headers)
        elif self.dialect == "v2":
            request = Request("PATCH", path, headers=headers, json={"info": {"status": "cancel"}})
        else:
            request = Request("GET", (*path, "cancel"), headers={**headers, "Cache-Control": "no-store"})
        reply = yield request
        if not reply.ok:
            return _judge(reply, action, job)
        if action is Action.DELETE:
            return taken(reply, fits=not reply.body.strip())
        before = _seen(reply, job)
        if isinstance(before, Answer) or _of_anybody(reply, job, before):
            return taken(reply, fits=False)
        ignored = before.provisional
        return replace(
            answer(reply, AnswerKind.REJECTED if ignored else AnswerKind.ACCEPTED, Source.OWN), before=before
        )


def _judge(reply: Reply, action: Action, job: Job) -> Answer:
    """Judge an unsuccessful reply by its `error_name`, or by its status if it has no known one.

    A NOT_FOUND is Sahara's own word about the job only if it names the job: a bad path is NOT_FOUND too.
    """
    data = reply.data or {}
    name, message = text(data.get("error_name")), text(data.get("error_message"), 1000)
    source = Source.OWN if name and message else Source.UNSURE
    if name in ERRORS and reply.status not in {401, 429}:  # these two are clear, whatever error name they have
        kind = ERRORS[name]
        if kind is AnswerKind.NOT_FOUND and not names(job, message):
            source = Source.UNSURE
        return answer(reply, kind, source, code=name, detail=message[:200])
    refuses = AnswerKind.REJECTED if source is Source.OWN else AnswerKind.REFUSED  # such as the error of an engine
    otherwise = AnswerKind.UNANSWERED if action is Action.LOOK else refuses
    missing = reply.status in MISSING
    whose = Source.UNSURE if missing else source
    return common_answer(reply, otherwise, whose, code=name, detail=message[:200], known=False)


def _seen(reply: Reply, job: Job) -> Observation | Answer:
    """Say what a reply that should hold a record shows of the job."""
    if not reply.ok:
        judged = _judge(reply, Action.LOOK, job)
        return unseen(reply, job, judged, judged.code or str(reply.status))
    data = _record(reply)
    # A record that names our job has no state while the engine has reported nothing about it (SEED S4).
    untold = _names(data, job) and not data.get("info", True)
    seen = _observation(data, job, reply.date)
    if not (untold or seen.raw):
        return unusable(reply, "the reply does not say what state the job is in")
    if about_another(job, data.get("id")):
        return unusable(reply, "the reply is about another job")
    return seen


def _tells(seen: Observation | Answer) -> bool:
    """Whether a reply shows something of the job, or why nothing can be shown, and nobody else can have sent it."""
    if isinstance(seen, Observation):
        return seen.source is Source.OWN
    return seen.kind is AnswerKind.BUSY or (seen.kind is AnswerKind.REFUSED and seen.source is not Source.UNSURE)


def _of_anybody(reply: Reply, job: Job, seen: Observation) -> bool:
    """Whether any service may have sent such a body: a bare one that names no job and has no state of Sahara's."""
    return seen.state is JobState.UNKNOWN and job_in(reply, WRAPPERS, lambda body: _names(body, job)) is None


def _record(reply: Reply) -> Mapping[str, Any]:
    return job_in(reply, WRAPPERS, lambda body: "info" in body) or {}


def _names(data: Mapping[str, Any], job: Job) -> bool:
    return text(data.get("id"), LONGEST_ID) == text(job.id, LONGEST_ID)


def _observation(data: Mapping[str, Any], job: Job, clock: datetime | None) -> Observation:
    info = data.get("info")
    raw = text(info.get("status")) if isinstance(info, dict) else ""
    return Observation(
        state=STATES.get(raw.upper(), JobState.UNKNOWN),
        raw=raw,
        source=Source.OWN,
        job_id=job.id,
        clock=clock,
        provisional=raw.upper() in PROVISIONAL,
        facts=facts(data, FACTS),
    )
