"""The control API under `/_sim/`: make jobs, break things, read the truth. For tests and for people."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from .clock import iso_utc
from .dispatch import CHANGING
from .faults import Rule, fault_from
from .spec import add
from .systems import SYSTEMS
from .truth import checked_system, shown_entry, shown_job
from .wire import Address, Reply, json_reply, match

if TYPE_CHECKING:
    from collections.abc import Callable

    from .clock import Clock
    from .wire import Call
    from .world import World

    Handler = Callable[[World, Clock, Call], Reply]

PREFIX = "_sim"


def handle(world: World, clock: Clock, call: Call) -> Reply:
    """Answer a call to the control API; one that cannot be read gets a 400 with an explanation."""
    found = match(_ROUTES, call.method, call.parts)
    if found is None:
        paths = [f"{route.method} /{route.pattern}" for route in _ROUTES]
        return json_reply(404, {"error": "no such path", "paths": paths})
    route, params = found
    try:
        return route.handler(world, clock, dataclasses.replace(call, params=params))
    except ValueError as error:
        return json_reply(400, {"error": str(error)})


def _make_job(world: World, _clock: Clock, call: Call) -> Reply:
    made = add(world, call.json(), call.now)
    shown = [shown_job(world, job, call.now) for job in made]
    return json_reply(201, shown[0] | {"made": len(made)} if shown else {"made": 0})


def _list_jobs(world: World, _clock: Clock, call: Call) -> Reply:
    wanted = call.query.get("system", "")
    jobs = [job for job in world.jobs.values() if wanted in ("", job.system)]
    return json_reply(200, {"jobs": [shown_job(world, job, call.now) for job in jobs]})


def _job(world: World, _clock: Clock, call: Call) -> Reply:
    """Show a job and all calls that were about it; a DELETE drops the job."""
    system, job_id = call.params["system"], call.params["id"]
    if call.method == "DELETE":
        return Reply(204) if world.jobs.pop((system, job_id), None) else json_reply(404, {"error": "no such job"})
    job = world.jobs.get((checked_system(system), job_id))
    log = [shown_entry(entry) for entry in world.log(system, job_id)]
    if job is None and not log:
        return json_reply(404, {"error": f"no job {job_id!r} in {system}, and nobody asked for it"})
    shown = shown_job(world, job, call.now) if job else {"system": system, "id": job_id, "state": None}
    return json_reply(200, shown | {"known": job is not None, "log": log})


def _faults(world: World, _clock: Clock, call: Call) -> Reply:
    """Show the active faults, with how often each has fired; a POST adds and shows one, a DELETE removes all."""
    if call.method == "DELETE":
        world.faults.clear()
        return Reply(204)
    if call.method == "POST":
        fault = fault_from(call.json())
        world.faults.append(Rule(fault))
        return json_reply(201, dataclasses.asdict(fault))
    faults = [dataclasses.asdict(rule.fault) | {"fired": rule.fired} for rule in world.faults]
    return json_reply(200, {"faults": faults})


def _show_log(world: World, _clock: Clock, call: Call) -> Reply:
    """Show all changing calls; `?all=true` adds the reads, `system` and `verb` narrow it down."""
    query = call.query
    entries = world.log(query.get("system", ""), verb=query.get("verb", ""))
    everything = query.get("all") == "true" or "verb" in query
    return json_reply(200, {"log": [shown_entry(entry) for entry in entries if everything or entry.verb in CHANGING]})


def _knobs(world: World, _clock: Clock, call: Call) -> Reply:
    """Show the switches; a POST changes some of them first."""
    if call.method == "POST":
        world.knobs = world.knobs.changed(call.json())
    return json_reply(200, dataclasses.asdict(world.knobs))


def _time(_world: World, clock: Clock, call: Call) -> Reply:
    """Show the clock; a POST moves it, or changes its speed, first."""
    if call.method == "POST":
        body = call.json()
        wrong = [key for key in body if key not in ("advance", "speed") or not isinstance(body[key], int | float)]
        if wrong or not body:
            raise ValueError("the clock takes 'advance' (seconds) and 'speed', both numbers")
        if "speed" in body:
            clock.set_speed(body["speed"])
        clock.advance(body.get("advance", 0))
    now = clock.now()
    return json_reply(200, {"now": iso_utc(now), "seconds": now, "speed": clock.speed})


def revoke(world: World, system: str | None) -> int:
    """Revoke every token, or those that one system trusts, and return how many."""
    return world.tokens.revoke(SYSTEMS[checked_system(system)].issuer if system else None)


def _revoke_tokens(world: World, _clock: Clock, call: Call) -> Reply:
    return json_reply(200, {"revoked": revoke(world, call.query.get("system"))})


def _reset(world: World, _clock: Clock, _call: Call) -> Reply:
    world.jobs.clear()
    world.faults.clear()
    world.journal.clear()
    world.received = 0
    world.tokens.revoke()
    return Reply(204)


@dataclasses.dataclass(frozen=True, slots=True)
class _ControlRoute(Address):
    handler: Handler


_ROUTES = (
    _ControlRoute("POST", "_sim/jobs", _make_job),
    _ControlRoute("GET", "_sim/jobs", _list_jobs),
    _ControlRoute("GET", "_sim/jobs/{system}/{id}", _job),
    _ControlRoute("DELETE", "_sim/jobs/{system}/{id}", _job),
    _ControlRoute("POST", "_sim/faults", _faults),
    _ControlRoute("GET", "_sim/faults", _faults),
    _ControlRoute("DELETE", "_sim/faults", _faults),
    _ControlRoute("GET", "_sim/log", _show_log),
    _ControlRoute("GET", "_sim/knobs", _knobs),
    _ControlRoute("POST", "_sim/knobs", _knobs),
    _ControlRoute("GET", "_sim/clock", _time),
    _ControlRoute("POST", "_sim/clock", _time),
    _ControlRoute("DELETE", "_sim/tokens", _revoke_tokens),
    _ControlRoute("POST", "_sim/reset", _reset),
)
