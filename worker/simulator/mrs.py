"""MapReduce Service: the v1.1 Sahara-shaped and native job calls, and v2 (SEED S4; DOC M1 to M5)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from .iam import KEYSTONE_ROUTE
from .mrs_view import COURSE, compatible, moment_of, native, newer
from .wire import Reply, Route, System, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from .job import Job
    from .wire import Call
    from .world import World

    Handler = Callable[[World, Call], Reply]

ERRORS = {
    "0160": (500, "Failed to terminate the job."),
    "0161": (500, "Failed to delete the job."),
    "0162": (500, "Failed to query the job."),
    "0167": (500, "The V2 interface cannot be accessed."),
    "0175": (500, "Failed to terminate the job."),
    "0176": (500, "The job does not exist."),
    "0180": (500, "The job is being submitted."),
    "0183": (500, "The job is running."),
    "12000001": (401, "Invalid authentication."),
    "12000002": (400, "Invalid parameter."),
    "12000085": (400, "Use the V2 interface."),
    "APIGW.0101": (404, "The API does not exist or has not been published in the environment."),
    "APIGW.0302": (403, "No permission."),
    "APIGW.0308": (429, "The throttling threshold has been reached."),
}
"""HTTP status and text for each `error_code` in the OTC dialect (DOC M4), and for the gateway's codes (DOC M5)."""

_BY_HTTP = {400: "12000002", 401: "12000001", 403: "APIGW.0302", 404: "APIGW.0101", 429: "APIGW.0308"}


def refuse(_world: World, _call: Call, http: int, text: str) -> Reply:
    """Word a refusal that carries a given HTTP status."""
    return json_reply(http, {"error_code": _BY_HTTP.get(http, "0162"), "error_msg": text})


def _error(world: World, code: str) -> Reply:
    http, text = ERRORS[code]
    if code.startswith("0") and world.knobs.mrs.dialect == "huawei":
        http = 400
    return json_reply(http, {"error_code": code, "error_msg": text})


def _of_job(handler: Callable[[World, Call, Job], Reply]) -> Handler:
    """Let a handler answer a call about one job; if there is none: 0176, with its status or 404 (SRC M6, DOC M4)."""

    def answer(world: World, call: Call) -> Reply:
        job = world.find("mrs", call.job_id, call.now)
        if job is not None and _inside(job, call):
            return handler(world, call, job)
        missing = _error(world, "0176")
        return replace(missing, http=404) if world.knobs.mrs.missing == "404" else missing

    return answer


def _inside(job: Job, call: Call) -> bool:
    cluster = call.params.get("cluster") or call.query.get("cluster_id", "")
    return job.project in ("", call.params["project"]) and (not cluster or job.cluster in ("", cluster))


def _all(world: World, call: Call) -> list[Job]:
    return [job for job in world.visible("mrs", call.now) if _inside(job, call)]


def _show(
    world: World, call: Call, job: Job, *, http: int, name: str, view: Callable[[World, Job, Call], dict[str, Any]]
) -> Reply:
    """GET one job; v2 answers 202 (DOC M3)."""
    return json_reply(http, {name: view(world, job, call)})


def list_compatible(world: World, call: Call) -> Reply:
    """GET job-executions."""
    jobs = [compatible(world, job, call) for job in _all(world, call)]
    return json_reply(200, {"markers": {}, "job_executions": jobs})


def list_native(world: World, call: Call) -> Reply:
    """GET job-exes, with page_size, current_page, state and id."""
    query, jobs = call.query, [native(world, job, call) for job in _all(world, call)]
    found = [
        job
        for job in jobs
        if query.get("id", "") in ("", job["id"]) and query.get("state", "") in ("", str(job["job_state"]))
    ]
    page = _page(found, query.get("page_size", "10"), query.get("current_page", "1"))
    return (
        _error(world, "12000002")
        if page is None
        else json_reply(200, {"totalRecord": len(found), "job_executions": page})
    )


def _page(found: list[dict[str, Any]], size: str, at: str, *, counts: str = "pages") -> list[dict[str, Any]] | None:
    """Cut out a page; `at` counts pages or jobs, from 1."""
    if not (at.isdecimal() and size.isdecimal() and int(at) and 1 <= int(size) <= 100):  # noqa: PLR2004  # DOC M2
        return None
    start = (int(at) - 1) * (int(size) if counts == "pages" else 1)
    return found[start : start + int(size)]


def cancel(world: World, call: Call, job: Job) -> Reply:
    """GET cancel: its method is a read's, its effect is to stop; the answer does not show the outcome (SEED S4)."""
    refused, effect = _stop(world, job, call.now)
    if refused and (refused == "0180" or world.knobs.mrs.cancel_finished != 200):  # noqa: PLR2004  # the refusing alternative
        return _error(world, refused)
    return json_reply(200, {"job_execution": compatible(world, job, call)}, effect=effect)


def kill(world: World, call: Call, job: Job) -> Reply:
    """POST v2 kill: an empty 202 (DOC M3)."""
    refused, effect = _stop(world, job, call.now)
    if refused and (refused == "0180" or world.knobs.mrs.kill_finished != 202):  # noqa: PLR2004  # the refusing alternative
        return _error(world, refused)
    return Reply(202, effect=effect)


def _stop(world: World, job: Job, now: float) -> tuple[str, bool]:
    state = moment_of(world, job, now).state
    if state in COURSE.terminal:
        return "0175", False
    if state == "submitting":
        return "0180", False
    if state == "cancelling":
        return "", False
    world.put(job.cancelled("cancelling", state, now))
    return "", True


def delete(world: World, call: Call, job: Job) -> Reply:
    """DELETE the record; a running job must be cancelled first (DOC M1; 0183 DOC M4)."""
    if moment_of(world, job, call.now).state not in COURSE.terminal:
        return _error(world, "0183")
    world.put(replace(job, deleted_at=call.now))
    return Reply(204, effect=True)


def list_newer(world: World, call: Call) -> Reply:
    """GET v2 list, with limit, offset (from 1, in an undocumented unit), job_state and job_result: 202 (DOC M3)."""
    query, jobs = call.query, [newer(world, job, call) for job in _all(world, call)]
    names = ("job_state", "job_result")
    found = [job for job in jobs if all(query.get(name, "") in ("", job[name]) for name in names)]
    counts = world.knobs.mrs.offset_counts
    page = _page(found, query.get("limit", "10"), query.get("offset", "1"), counts=counts)
    return (
        _error(world, "12000002") if page is None else json_reply(202, {"total_record": len(found), "job_list": page})
    )


def batch_delete(world: World, call: Call) -> Reply:
    """POST v2 batch-delete: deletes what has ended and says nothing about the rest (DOC M3)."""
    wanted = call.json().get("job_id_list")
    if not isinstance(wanted, list):
        return _error(world, "12000002")
    ended = [
        job
        for job in _all(world, call)
        if job.id in wanted and moment_of(world, job, call.now).state in COURSE.terminal
    ]
    for job in ended:
        world.put(replace(job, deleted_at=call.now))
    return Reply(world.knobs.mrs.batch_delete_answer, effect=bool(ended))


_VERSIONS = {
    "v1.1": ("v1.1/{project}/", "v11_supported", "12000085"),
    "v2": ("v2/{project}/clusters/{cluster}/", "v2_supported", "0167"),
}
"""Per version: the beginning of its paths, the switch that says whether it is supported, and the error if not."""


def _route(version: str, method: str, path: str, verb: str, handler: Handler) -> Route:
    root, knob, code = _VERSIONS[version]

    def guarded(world: World, call: Call) -> Reply:
        return handler(world, call) if getattr(world.knobs.mrs, knob) else _error(world, code)

    return Route(method, root + path, verb, guarded)


MRS = System(
    "mrs",
    (
        _route("v1.1", "GET", "job-executions", "list", list_compatible),
        _route(
            "v1.1",
            "GET",
            "job-executions/{id}",
            "look",
            _of_job(partial(_show, http=200, name="job_execution", view=compatible)),
        ),
        _route("v1.1", "GET", "job-executions/{id}/cancel", "cancel", _of_job(cancel)),
        _route("v1.1", "DELETE", "job-executions/{id}", "delete", _of_job(delete)),
        _route("v1.1", "GET", "job-exes", "list", list_native),
        _route(
            "v1.1", "GET", "job-exes/{id}", "look", _of_job(partial(_show, http=200, name="job_execution", view=native))
        ),
        _route("v2", "POST", "job-executions/batch-delete", "delete", batch_delete),
        _route("v2", "GET", "job-executions", "list", list_newer),
        _route(
            "v2", "GET", "job-executions/{id}", "look", _of_job(partial(_show, http=202, name="job_detail", view=newer))
        ),
        _route("v2", "POST", "job-executions/{id}/kill", "cancel", _of_job(kill)),
        KEYSTONE_ROUTE,
    ),
    refuse,
)
