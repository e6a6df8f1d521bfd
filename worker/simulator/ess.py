"""Oracle Enterprise Scheduler: the REST operations (SEED S2, S3; DOC E1, E2)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from .ess_state import (
    CANCELLED,
    CANCELLING,
    COURSE,
    REFUSED,
    REPORTED,
    TERMINAL,
    cancel_effect,
    force_objection,
    moment_of,
)
from .ess_view import BASE, Details, chosen, href, narrowed, number
from .iam import OAUTH2_ROUTE
from .job import Job, Moment
from .life import life_from
from .wire import Reply, Route, System, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from .knobs import EssKnobs
    from .wire import Call
    from .world import World

_ONE = "application/vnd.oracle.resource+json;type=singular"
_MANY = "application/vnd.oracle.resource+json;type=collection"
_TITLES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict"}
_FIRST_ID = 300_000
HANDLE = "handle-{}"
"""The handle that a job itself knows, by its id."""


def refuse(_world: World, _call: Call, http: int, text: str) -> Reply:
    """Word a refusal as SimpleExceptionDetail (SEED S2)."""
    title = _TITLES.get(http, "Scheduling sub-system error")
    name = title.lower().replace(" ", "-")
    uri = f"https://www.rfc-editor.org/rfc/rfc9110#name-{http}-{name}"
    return json_reply(http, {"type": uri, "title": title, "status": http, "detail": text, "errorCode": "ESS-00500"})


def _of_job(handler: Callable[[World, Call, Job], Reply]) -> Callable[[World, Call], Reply]:
    """Let a handler answer a call about one job, if there is such a job."""

    def answer(world: World, call: Call) -> Reply:
        job = world.find("ess", call.job_id, call.now)
        if job is None:
            return refuse(world, call, 404, f"request {call.job_id} is not found")
        return handler(world, call, job)

    return answer


def _accepted(call: Call, *, effect: bool) -> Reply:
    return json_reply(200, {"rel": "self", "href": href(call, call.job_id)}, effect=effect)


def show(world: World, call: Call, job: Job) -> Reply:
    """GET one request."""
    return json_reply(200, narrowed(Details(world, job, call), call.query), content_type=_ONE)


def show_many(world: World, call: Call) -> Reply:
    """GET a page of requests, or with `id=` a batch of them (DOC E2; the shape of a batch entry is INFERRED)."""
    query = call.query
    if "id" in query:
        wanted = dict.fromkeys(text.strip() for text in query["id"].split(","))
        jobs = [job for job_id in wanted if (job := world.find("ess", job_id, call.now)) is not None]
        batch = [narrowed(Details(world, job, call), query) for job in jobs]
        return json_reply(200, {"batch": batch, "links": []}, content_type=_MANY)
    try:
        found = chosen(world, call)
        page = int(call.params.get("page", world.knobs.ess.search_from))
    except ValueError as error:
        return refuse(world, call, 400, str(error))
    return json_reply(200, _page(found, page, world.knobs.ess, call), content_type=_MANY)


def _page(found: list[Details], page: int, knobs: EssKnobs, call: Call) -> dict[str, Any]:
    """Show a page; its first number, and whether `count` is the page's or the list's, are switches (INFERRED)."""
    start = max(page - knobs.search_from, 0) * knobs.page_size
    items = [narrowed(item, call.query) for item in found[start : start + knobs.page_size]]
    links = [{"rel": "self", "href": call.origin + call.raw}]
    count = len(found) if knobs.count_is_total else len(items)
    return {"items": items, "count": count, "pageIndex": page, "links": links, "batch": None}


def cancel(world: World, call: Call, job: Job) -> Reply:
    """POST cancel: begins or completes a cancellation; for a parent, also those of all its children (SEED S2)."""
    state = moment_of(world, job, call.now).state
    effect = cancel_effect(state, world.knobs.ess, is_parent=bool(world.children("ess", job.id)))
    if effect != REFUSED:
        _cancel_tree(world, job, call.now)
        return _accepted(call, effect=True)
    # 400 or 409 (SEED S2), or 200 as a no-op (INFERRED).
    http = world.knobs.ess.cancel_in_cancelling if state == CANCELLING else world.knobs.ess.cancel_terminal
    if http == 200:  # noqa: PLR2004  # the no-op alternative of the knob
        return _accepted(call, effect=False)
    return refuse(world, call, http, f"request {job.id} is in state {state}")


def _cancel_tree(world: World, job: Job, now: float) -> None:
    children = world.children("ess", job.id)
    state = moment_of(world, job, now).state
    effect = cancel_effect(state, world.knobs.ess, is_parent=bool(children))
    if effect != REFUSED:
        world.put(job.cancelled(effect, state, now))
    for child in children:
        _cancel_tree(world, child, now)


def force(world: World, call: Call, job: Job) -> Reply:
    """POST forceCancel: ends an asynchronous request after 30 silent minutes (SEED S3); no cascade (INFERRED)."""
    here, is_parent = moment_of(world, job, call.now), bool(world.children("ess", job.id))
    objection = force_objection(job, here, call.now, world.knobs.ess, is_parent=is_parent)
    if objection:
        return refuse(world, call, world.knobs.ess.force_refused, objection)
    world.put(replace(job, last=Moment(CANCELLED, call.now)))
    return _accepted(call, effect=True)


def delete(world: World, call: Call, job: Job) -> Reply:
    """DELETE: hides a submitted request that has ended, with its children (DOC E2)."""
    if job.parent:
        return refuse(world, call, 400, f"request {job.id} is not a submitted request")
    state = moment_of(world, job, call.now).state
    if state not in TERMINAL:
        return refuse(world, call, 400, f"request {job.id} is in state {state}")
    _hide_tree(world, job, call.now)
    return Reply(204, effect=True)


def _hide_tree(world: World, job: Job, now: float) -> None:
    for child in world.children("ess", job.id):
        _hide_tree(world, child, now)
    world.put(replace(job, deleted_at=now))


_STEPS = {"hold": (("WAIT", "READY"), "HOLD"), "release": (("HOLD",), "WAIT")}


def _step(world: World, call: Call, job: Job, verb: str) -> Reply:
    """POST hold, from WAIT or READY, or release, from HOLD (DOC E5)."""
    if not _step_tree(world, job, call.now, verb):
        state = moment_of(world, job, call.now).state
        return refuse(world, call, 400, f"request {job.id} is in state {state}")
    return _accepted(call, effect=True)


def _step_tree(world: World, job: Job, now: float, verb: str) -> bool:
    sources, target = _STEPS[verb]
    moves = moment_of(world, job, now).state in sources
    children = [_step_tree(world, child, now, verb) for child in world.children("ess", job.id)]
    if moves:
        world.put(replace(job, last=Moment(target, now)))
    return moves or any(children)


def report(world: World, call: Call, job: Job) -> Reply:
    """POST executionStatus: the job reports its own result; only the job knows the handle (DOC E2)."""
    body = call.json()
    if body.get("requestHandle") != HANDLE.format(job.id):
        return refuse(world, call, 400, "the request handle is not valid")
    state = moment_of(world, job, call.now).state
    target = REPORTED.get(str(body.get("status", "")))
    if state in TERMINAL or target is None:
        return _accepted(call, effect=False)
    world.put(replace(job, last=Moment(target, call.now)))
    return _accepted(call, effect=True)


def check_in(world: World, call: Call, job: Job) -> Reply:
    """POST checkInCancelling: answers whether the job is being cancelled, and resets the force clock (DOC E2, E3)."""
    asked = moment_of(world, job, call.now).state == CANCELLING
    if asked:
        world.put(replace(job, check_ins=(*job.check_ins, call.now)))
    return json_reply(200, asked, effect=asked)


def submit(world: World, call: Call) -> Reply:
    """POST a request: a new job with the life that the `all.submitted_life` switch names."""
    job_id = _FIRST_ID + next(world.numbers)
    while ("ess", str(job_id)) in world.jobs:
        job_id = _FIRST_ID + next(world.numbers)
    life = life_from(world.knobs.all.submitted_life, {})
    world.put(Job("ess", str(job_id), life, call.now, Moment(COURSE.word(life.state), call.now)))
    links = [{"rel": "self", "href": href(call, str(job_id))}]
    return json_reply(201, {"id": number(str(job_id)), "links": links}, effect=True)


_R = f"{BASE}/requests"
ESS = System(
    "ess",
    (
        Route("POST", _R, "submit", submit),
        Route("POST", f"{_R}/submitArgs", "submit", submit),
        Route("GET", _R, "list", show_many),
        Route("GET", f"{_R}/search/{{page}}", "list", show_many),
        Route("GET", f"{_R}/{{id}}", "look", _of_job(show)),
        Route("DELETE", f"{_R}/{{id}}", "delete", _of_job(delete)),
        Route("POST", f"{_R}/{{id}}/cancel", "cancel", _of_job(cancel)),
        Route("POST", f"{_R}/{{id}}/forceCancel", "force", _of_job(force)),
        Route("POST", f"{_R}/{{id}}/hold", "hold", _of_job(partial(_step, verb="hold"))),
        Route("POST", f"{_R}/{{id}}/release", "release", _of_job(partial(_step, verb="release"))),
        Route("POST", f"{_R}/{{id}}/executionStatus", "report", _of_job(report)),
        Route("POST", f"{_R}/{{id}}/checkInCancelling", "check_in", _of_job(check_in)),
        OAUTH2_ROUTE,
    ),
    refuse,
)
