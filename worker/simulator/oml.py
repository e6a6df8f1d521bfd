"""Oracle Machine Learning embedded execution, R and Python (SEED S1; DOC O1 to O6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from .iam import OML_ROUTE
from .job import Course, Job, Moment, cancel_takes, moment, vocabulary
from .life import life_from
from .wire import Reply, Route, System, json_reply

if TYPE_CHECKING:
    from .wire import Call
    from .world import World

_STATES = ("waiting", "running", "cancelling", "deleted", "finished", "failed")
COURSE = Course(
    running="running",
    cancelling="cancelling",
    cancelled="deleted",
    terminal=frozenset({"deleted", "finished", "failed"}),
    words=vocabulary(
        _STATES, {"succeeded": "finished", "warning": "finished", "error": "failed", "cancelled": "deleted"}
    ),
)
_FINISHED = frozenset({"finished", "failed"})
_CODES = {400: 1026, 401: 1002, 404: 1004, 500: 1001}


def refuse(world: World, _call: Call, http: int, text: str) -> Reply:
    """Word a refusal; the key style is mixed (SEED S1), and 1026 is not only about missing jobs (DOC O9)."""
    number = f"OML-{world.received:026x}"
    return json_reply(http, {"errorMessage": text, "errorCode": _CODES.get(http, 1001), "request_id": number})


def _missing(world: World, call: Call, http: int = 400) -> Reply:
    return refuse(world, call, http, f"job not found with id '{call.job_id}'")


def moment_of(_world: World, job: Job, now: float) -> Moment:
    """Return the true state of a job: deleted from the moment a delete takes effect."""
    if job.deleted_at is not None and now >= job.deleted_at:
        return Moment("deleted", job.deleted_at)
    return moment(job, now, COURSE, 0.0)


def show(world: World, call: Call) -> Reply:
    """GET a job: 202 while it runs, 302 with Content-Location when it has ended (DOC O1)."""
    job = world.find("oml", call.job_id, call.now)
    if job is None:
        return _missing(world, call, world.knobs.oml.get_after_delete)
    if moment_of(world, job, call.now).state in _FINISHED:
        path = call.raw.partition("?")[0]
        return Reply(302, headers={"Content-Location": f"{call.origin}{path}/result"})
    body = {
        "createdDate": datetime.fromtimestamp(job.created_at, UTC).strftime(" %b %d,%Y %H:%M"),
        "status": "job is still running",
        "elapsedTime": _elapsed(call.now - job.created_at),
    }
    return json_reply(202, body)


def _elapsed(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"


def result(world: World, call: Call) -> Reply:
    """GET the result: 404 when not ready; a failure shows only here (DOC O2, SRC O8)."""
    job = world.find("oml", call.job_id, call.now)
    if job is None:
        return _missing(world, call, world.knobs.oml.get_after_delete)
    state = moment_of(world, job, call.now).state
    if state not in _FINISHED:
        return refuse(world, call, 404, f"result is not ready for job '{job.id}'")
    if state == "failed":
        return json_reply(200, {"errorMessage": "Error in script: simulated failure", "errorCode": 1011})
    return json_reply(200, {"result": "Hello World!"})


def show_many(world: World, call: Call) -> Reply:
    """GET all jobs; FINISH is the only published state word (DOC O3)."""
    listed = []
    for job in world.visible("oml", call.now):
        here = moment_of(world, job, call.now)
        done = here.state in _FINISHED
        listed.append(
            {
                "createdDate": datetime.fromtimestamp(job.created_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
                "job_id": job.id,
                "status": "FINISH" if done else world.knobs.oml.list_running_state,
                "elapsedTime": _elapsed((here.since if done else call.now) - job.created_at),
            }
        )
    return json_reply(200, {"result": listed})


def delete(world: World, call: Call) -> Reply:
    """DELETE: stops the job and removes its record, at once unless its life says otherwise (SEED S1)."""
    job = world.find("oml", call.job_id, call.now)
    if job is None:
        return _missing(world, call)
    done = moment_of(world, job, call.now).state in _FINISHED
    if done and world.knobs.oml.delete_finished != 200:  # noqa: PLR2004  # the refusing alternative of the knob
        return _missing(world, call)
    effect = job.deleted_at is None
    if effect:
        world.put(replace(job, deleted_at=call.now + (0.0 if done else cancel_takes(job, 0.0))))
    http = world.knobs.oml.delete_answer
    if http == 204:  # noqa: PLR2004  # the empty alternative of the knob
        return Reply(http, effect=effect)
    return json_reply(http, {"result": "job deleted successfully"}, effect=effect)


def submit(world: World, call: Call) -> Reply:
    """POST a script: 201 with Location and a session cookie when asynchronous (SEED S1)."""
    if call.json().get("asyncFlag") is not True:
        return json_reply(200, {"result": "Hello World!"})
    job_id = f"OML-SIM-{next(world.numbers):06}-LOW-{round(call.now * 1000)}"
    life = life_from(world.knobs.all.submitted_life, {})
    world.put(Job("oml", job_id, life, call.now, Moment(COURSE.word(life.state), call.now)))
    where = f"{call.origin}/oml/api/{call.params['scripts']}/v2/jobs/{quote(job_id, safe='')}"
    return Reply(
        201, headers={"Location": where, "Set-Cookie": "JSESSIONID=node0sim.node0; Path=/oml; HttpOnly"}, effect=True
    )


_VERBS = ("do-eval", "table-apply", "row-apply", "group-apply", "index-apply")


def _routes(scripts: str) -> list[Route]:
    base = f"oml/api/{scripts}/v2"
    return [
        *(Route("POST", f"oml/api/{{scripts}}/v2/{verb}/{{script}}", "submit", submit) for verb in _VERBS),
        Route("GET", f"{base}/jobs", "list", show_many),
        Route("GET", f"{base}/jobs/{{id}}", "look", show),
        Route("GET", f"{base}/jobs/{{id}}/result", "result", result),
        Route("DELETE", f"{base}/jobs/{{id}}", "delete", delete),
    ]


OML = System("oml", (*_routes("r-scripts"), *_routes("py-scripts"), OML_ROUTE), refuse)
