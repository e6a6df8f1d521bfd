"""How MRS shows jobs: the numeric states of v1.1, the words of v2, the Sahara-shaped record (DOC M1 to M3). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .clock import iso_seconds, millis
from .job import Course, Job, Moment, moment, vocabulary

if TYPE_CHECKING:
    from .wire import Call
    from .world import World

V11 = {
    "submitting": (1, 0),
    "starting": (1, 0),
    "running": (2, 0),
    "cancelling": (2, 0),
    "cancelled": (-1, 3),
    "succeeded": (3, 2),
    "completed_failed": (3, 1),
    "failed": (5, 1),
    "abnormal": (4, 0),
}
"""`job_state` and `job_final_status` for each word of ours (DOC M2); 3 with 1 is in the vendor's own sample."""

V2 = {
    "submitting": ("NEW", "UNDEFINED"),
    "starting": ("ACCEPTED", "UNDEFINED"),
    "running": ("RUNNING", "UNDEFINED"),
    "cancelling": ("RUNNING", "UNDEFINED"),
    "cancelled": ("KILLED", "KILLED"),
    "succeeded": ("FINISHED", "SUCCEEDED"),
    "completed_failed": ("FINISHED", "FAILED"),
    "failed": ("FAILED", "FAILED"),
    "abnormal": ("RUNNING", "UNDEFINED"),
}
"""`job_state` and `job_result` of v2 for each word of ours (DOC M3)."""

COURSE = Course(
    running="running",
    cancelling="cancelling",
    cancelled="cancelled",
    terminal=frozenset({"cancelled", "succeeded", "completed_failed", "failed"}),
    words=vocabulary(V11, {"waiting": "starting", "warning": "completed_failed", "error": "failed"}),
)

_CLUSTER = "ef7b54f2-3d92-49b2-a6d7-94607e1ea7df"


def moment_of(world: World, job: Job, now: float) -> Moment:
    """Return the true state of a job."""
    return moment(job, now, COURSE, world.knobs.mrs.cancel_delay)


def compatible(_world: World, job: Job, call: Call) -> dict[str, Any]:
    """Show a job the Sahara way; info, end_time and the like stay null whatever happens (SEED S4)."""
    nulls = (
        "end_time",
        "oozie_job_id",
        "return_code",
        "input_id",
        "output_id",
        "is_public",
        "engine_job_id",
        "job_configs",
    )
    return dict.fromkeys((*nulls, "data_source_urls", "info")) | {
        "created_at": iso_seconds(job.created_at),
        "updated_at": iso_seconds(job.last.since),
        "start_time": iso_seconds(job.created_at),
        "id": job.id,
        "tenant_id": call.params["project"],
        "job_id": "",
        "cluster_id": job.cluster or _CLUSTER,
        "is_protected": False,
    }


def native(world: World, job: Job, call: Call) -> dict[str, Any]:
    """Show a job with numeric states and millisecond times (DOC M2)."""
    here = moment_of(world, job, call.now)
    state, final = V11[here.state]
    ended = millis(here.since) if here.state in COURSE.terminal else None
    return {
        "id": job.id,
        "job_id": "",
        "job_name": job.id,
        "tenant_id": call.params["project"],
        "cluster_id": job.cluster or _CLUSTER,
        "create_at": millis(job.created_at),
        "update_at": millis(here.since),
        "start_time": millis(job.created_at),
        "end_time": ended,
        "job_state": state,
        "job_final_status": final,
        "spend_time": (ended or millis(call.now)) - millis(job.created_at),
    }


def newer(world: World, job: Job, call: Call) -> dict[str, Any]:
    """Show a job the v2 way (DOC M3)."""
    here = moment_of(world, job, call.now)
    state, result = V2[here.state]
    ended = millis(here.since) if here.state in COURSE.terminal else 0
    return {
        "job_id": job.id,
        "job_name": job.id,
        "job_state": state,
        "job_result": result,
        "submitted_time": millis(job.created_at),
        "started_time": millis(job.created_at),
        "finished_time": ended,
        "elapsed_time": (ended or millis(call.now)) - millis(job.created_at),
    }
