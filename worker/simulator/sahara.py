"""OpenStack Sahara: v1.1 job-executions and v2 jobs (SRC H1 to H5)."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from .clock import iso_seconds
from .iam import KEYSTONE_ROUTE
from .job import Course, Job, Moment, cancel_takes, moment, vocabulary
from .wire import Reply, Route, System, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from .knobs import SaharaKnobs
    from .wire import Call
    from .world import World

    Handler = Callable[[World, Call], Reply]

_ALIVE = ("PENDING", "READYTORUN", "PREP", "RUNNING", "TOBEKILLED", "TOBESUSPENDED", "SUSPENDED", "PREPSUSPENDED")
_ENDED = ("SUCCEEDED", "FAILED", "KILLED", "DONEWITHERROR", "SUSPENDFAILED")
COURSE = Course(
    running="RUNNING",
    cancelling="TOBEKILLED",
    cancelled="KILLED",
    terminal=frozenset(_ENDED),
    words=vocabulary(
        (*_ALIVE, *_ENDED), {"waiting": "PREP", "warning": "DONEWITHERROR", "error": "FAILED", "cancelled": "KILLED"}
    ),
)
_NAMES = {
    400: "INVALID_PARAMS_ON_REQUEST",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    406: "NOT_ACCEPTABLE",
    500: "INTERNAL_SERVER_ERROR",
}
_ERROR_ID = "5d1cbd29-25ff-4e34-9b1a-0d2c5f9b8d11"


def refuse(_world: World, _call: Call, http: int, text: str, name: str = "", **more: str) -> Reply:
    """Word a refusal; without a `name` it gets the usual one of its status. error_code is a number here (SRC H5)."""
    unnamed = "INTERNAL_SERVER_ERROR" if http >= HTTPStatus.INTERNAL_SERVER_ERROR else ""
    body = {
        "error_code": http,
        "error_name": name or _NAMES.get(http, unnamed),
        "error_message": f"{text}\nError ID: {_ERROR_ID}",
    }
    return json_reply(http, body | more)


def _of_job(handler: Callable[[World, Call, Job], Reply], refusal: str = "") -> Handler:
    """Let a handler answer a call about one job, if there is such a job.

    A `refusal`, the name of an error, means that the call changes the job, which some jobs do not allow.
    """

    def answer(world: World, call: Call) -> Reply:
        job = world.find("sahara", call.job_id, call.now)
        if job is None:
            return refuse(world, call, 404, f"Object 'JobExecution' with id {call.job_id} not found")
        objection = _objection(job, call) if refusal else ""
        return refuse(world, call, 400, objection, refusal) if objection else handler(world, call, job)

    return answer


def moment_of(world: World, job: Job, now: float) -> Moment:
    """Return the true state of a job: what the engine would say."""
    return moment(job, now, COURSE, world.knobs.sahara.engine_delay)


def seen_moment(world: World, job: Job, now: float) -> Moment:
    """Return the state that a plain read shows: the last one written to the database (SRC H5: every 45 s)."""
    knobs = world.knobs.sahara
    if knobs.stale_reads:  # the last write is the periodic task's, a refresh's, or that of a call that changed the job
        tick = math.floor(now / knobs.refresh_every) * knobs.refresh_every
        now = min(now, max(tick, job.refreshed_at, job.last.since))
    return moment_of(world, job, now)


def shown(job: Job, here: Moment, call: Call) -> dict[str, Any]:
    """Show a job with times in ISO without zone (SRC H5); a job killed while pending has no end_time (SRC H3)."""
    early = here.state == "KILLED" and job.cancelled_from == "PENDING"
    ended = here.state in COURSE.terminal and not early
    engine_id = None if here.state == "PENDING" or early else f"engine-{job.id}"
    common = {
        "id": job.id,
        "cluster_id": job.cluster or None,
        "info": {"status": here.state},
        "start_time": iso_seconds(job.created_at),
        "end_time": iso_seconds(here.since) if ended else None,
        "created_at": iso_seconds(job.created_at),
        "updated_at": iso_seconds(here.since),
        "return_code": None,
        "engine_job_id": engine_id,
        "is_protected": job.life.protected,
        "is_public": False,
    }
    project = job.project or call.params.get("project", "project")
    if "project" in call.params:
        return common | {"tenant_id": project, "job_id": f"template-{job.id}", "oozie_job_id": engine_id}
    return common | {"project_id": project, "job_template_id": f"template-{job.id}"}


def _wrapped(http: int, job: Job, here: Moment, call: Call, *, effect: bool = False) -> Reply:
    name = "job_execution" if "project" in call.params else "job"
    return json_reply(http, {name: shown(job, here, call)}, effect=effect)


def show(world: World, call: Call, job: Job, http: int = 200) -> Reply:
    """GET one job execution; v1.1's PATCH answers a cancel the same way, with a 202, and does nothing (SRC H1, H2)."""
    return _wrapped(http, job, seen_moment(world, job, call.now), call)


def show_many(world: World, call: Call) -> Reply:
    """GET the list by id, with `status`, `limit` and `marker` (SRC H1)."""
    query = call.query
    jobs = sorted(world.visible("sahara", call.now), key=lambda job: job.id)
    pairs = [(job, seen_moment(world, job, call.now)) for job in jobs]
    wanted = query.get("status", "").upper()
    found = [shown(job, here, call) for job, here in pairs if wanted in ("", here.state)]
    limit = int(query["limit"]) if query.get("limit", "").isdecimal() else 0
    marker = query.get("marker", "")
    if marker and world.find("sahara", marker, call.now) is None:
        return refuse(world, call, 404, f"Object with {{'marker': '{marker}'}} not found")
    start = next((at for at, job in enumerate(found) if job["id"] == marker), 0)
    name = "job_executions" if "project" in call.params else "jobs"
    body: dict[str, Any] = {name: found[start : start + limit] if limit else found[start:]}
    markers = _markers([job["id"] for job in found], start, limit, first=not marker)
    if marker or any(markers.values()):
        body["markers"] = markers
    return json_reply(200, body)


def _markers(ids: list[str], start: int, limit: int, *, first: bool) -> dict[str, str | None]:
    """Return the markers of the adjacent pages: the first page's `next` is its own last job (SRC H7)."""
    after = start + limit - first
    following = ids[after] if limit and start + limit < len(ids) else None
    return {"prev": ids[start - limit] if limit and start >= limit else None, "next": following}


def refresh(world: World, call: Call, job: Job) -> Reply:
    """GET refresh-status: asks the engine and writes the database (SRC H3)."""
    world.put(replace(job, refreshed_at=call.now))
    return _wrapped(200, job, moment_of(world, job, call.now), call)


def _objection(job: Job, call: Call) -> str:
    if job.project not in ("", call.params.get("project", job.project)):
        return f"JobExecution with id '{job.id}' cannot be changed as it was not created in this tenant"
    return f"JobExecution with id '{job.id}' is marked as protected" if job.life.protected else ""


def cancel(world: World, call: Call, job: Job) -> Reply:
    """GET cancel of v1.1: the answer is the record from before the call, whatever the engine does (SRC H2, H3)."""
    before = seen_moment(world, job, call.now)
    fresh = stopped(job, moment_of(world, job, call.now), call.now, world.knobs.sahara)
    world.put(fresh)
    if world.knobs.sahara.mode == "sync":
        return _wrapped(200, fresh, moment_of(world, fresh, call.now), call, effect=fresh is not job)
    return _wrapped(200, job, before, call, effect=fresh is not job)


def stopped(job: Job, here: Moment, now: float, knobs: SaharaKnobs) -> Job:
    """Return the job after a cancel: a finished one unchanged, a pending one killed at once (SRC H3, H4)."""
    if here.state in COURSE.terminal or here.state == COURSE.cancelling:
        return job
    at_once = here.state == "PENDING" or (
        knobs.mode == "sync" and not job.life.stuck and job.life.falls_back_after is None
    )
    return job.cancelled(COURSE.cancelled if at_once else COURSE.cancelling, here.state, now)


def delete(world: World, call: Call, job: Job) -> Reply:
    """DELETE: 204 at once; later cancels, then destroys the record even if that failed (SRC H2)."""
    effect = job.deleted_at is None
    if effect:
        world.put(_doomed(world, job, call.now))
    return Reply(204, effect=effect)


def _doomed(world: World, job: Job, now: float) -> Job:
    knobs, here = world.knobs.sahara, moment_of(world, job, now)
    fresh = stopped(job, here, now, knobs)
    if fresh.last.state != COURSE.cancelling or here.state in COURSE.terminal:
        return replace(fresh, deleted_at=now)
    if knobs.delete_keeps_raced and job.life.race:
        return replace(fresh, deleted_at=math.inf)
    tried = math.inf if job.life.falls_back_after is not None else cancel_takes(job, knobs.engine_delay)
    return replace(fresh, deleted_at=now + min(tried, knobs.canceling_timeout))


def patch(world: World, call: Call, job: Job) -> Reply:
    """PATCH of v2: `{"info": {"status": "cancel"}}` cancels, after the check for updates (SRC H1)."""
    before, info = moment_of(world, job, call.now), call.json().get("info")
    if info != {"status": "cancel"}:
        return _wrapped(202, job, before, call)
    fresh = world.put(stopped(job, before, call.now, world.knobs.sahara))
    return _wrapped(202, job, before, call, effect=fresh is not job)


def _version_refusal(world: World, call: Call) -> Reply | None:
    words = call.headers.get("openstack-api-version", "").split()
    if words and words != ["data-processing", "2.0"]:
        text = "The requested microversion is not supported"
        return refuse(world, call, 406, text, min_version="2.0", max_version="2.0")
    if call.method == "GET" and "refresh_status" in call.query:
        # The handler reads it, and the filter in front of the handler rejects it (SRC H1).
        return refuse(world, call, 400, "The only valid params are: .")
    return None


def _v2(handler: Handler) -> Handler:
    """Check the version of a call before its handler does."""
    return lambda world, call: _version_refusal(world, call) or handler(world, call)


_V11 = "v1.1/{project}/job-executions"
SAHARA = System(
    "sahara",
    (
        Route("GET", _V11, "list", show_many),
        Route("GET", f"{_V11}/{{id}}", "look", _of_job(show)),
        Route("GET", f"{_V11}/{{id}}/refresh-status", "refresh", _of_job(refresh)),
        Route("GET", f"{_V11}/{{id}}/cancel", "cancel", _of_job(cancel, "CANCELING_FAILED")),
        Route("PATCH", f"{_V11}/{{id}}", "update", _of_job(partial(show, http=202), "UPDATE_FAILED")),
        Route("DELETE", f"{_V11}/{{id}}", "delete", _of_job(delete, "DELETION_FAILED")),
        Route("GET", "v2/jobs", "list", _v2(show_many)),
        Route("GET", "v2/jobs/{id}", "look", _v2(_of_job(show))),
        Route("PATCH", "v2/jobs/{id}", "cancel", _v2(_of_job(patch, "UPDATE_FAILED"))),
        Route("DELETE", "v2/jobs/{id}", "delete", _v2(_of_job(delete, "DELETION_FAILED"))),
        KEYSTONE_ROUTE,
    ),
    refuse,
)
