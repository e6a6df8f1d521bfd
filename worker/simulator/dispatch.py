"""From a call to its answer: route, fault, rights, handler, log. No HTTP library."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from .faults import GATEWAYS, KINDS, UNANSWERED, Fault, fault_for
from .systems import SYSTEMS, locate
from .tokens import refusal
from .wire import Reply, Route, match
from .world import Entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from .wire import Call, System
    from .world import World

CHANGING = frozenset({"cancel", "force", "delete", "hold", "release", "update", "report", "submit", "check_in"})
"""Verbs that ask for a change."""


class Answer(NamedTuple):
    """The reply to send, and the fault that spoils it."""

    reply: Reply
    fault: Fault | None


def answer(world: World, call: Call) -> Answer:
    """Answer one call completely: this is the simulator without its socket."""
    system, parts = locate(call.parts)
    route, params = match(system.routes, call.method, parts) or (None, {})
    call = dataclasses.replace(call, params=params)
    verb = route.verb if route else "unknown"
    fault = fault_for(world.faults, system.name, verb, call.job_id, call.raw)
    carried_out = fault is None or (KINDS[fault.kind].applied if fault.applied is None else fault.applied)
    true = _true_reply(world, system, route, call) if carried_out else Reply(200)
    sent = _spoiled(world, system, call, true, fault) if fault else true
    http = None if fault and fault.kind in UNANSWERED else sent.http
    number, kind = world.received + 1, fault.kind if fault else ""
    world.note(Entry(number, call.now, system.name, verb, call.job_id, call.method, call.raw, http, true.effect, kind))
    return Answer(sent, fault)


def _true_reply(world: World, system: System, route: Route | None, call: Call) -> Reply:
    if route is None:
        return system.refuse(world, call, 404, "no such path")
    if route.verb == "token":
        return route.handler(world, call)
    objection = refusal(world.tokens, world.knobs, system.name, SYSTEMS[system.name].issuer, call)
    if objection:
        return system.refuse(world, call, 401, objection)
    job = world.find(system.name, call.job_id, call.now)
    if job is not None and job.life.forbidden and route.verb in CHANGING:
        return system.refuse(world, call, SYSTEMS[system.name].forbidden, "not authorized for this job")
    return route.handler(world, call)


def _spoiled(world: World, system: System, call: Call, true: Reply, fault: Fault) -> Reply:
    http = fault.http or KINDS[fault.kind].http
    if fault.kind in _REFUSALS and http:
        refused = system.refuse(world, call, http, f"simulated fault: {fault.kind}")
        if fault.kind != "throttled" or fault.retry_after is None:
            return refused
        return dataclasses.replace(refused, headers={"Retry-After": str(fault.retry_after)})
    if fault.kind == "gateway":
        kind, body = GATEWAYS[world.received % len(GATEWAYS)]
        return Reply(http or 404, body, content_type=kind)
    spoil = _SPOILERS.get(fault.kind)
    return spoil(true, fault) if spoil else true


_REFUSALS = frozenset({"error", "error_after", "throttled", "expired_token"})
_HTML = b"<html><head><title>Proxy</title></head><body><h1>The proxy could not handle the request</h1></body></html>"


_SPOILERS: dict[str, Callable[[Reply, Fault], Reply]] = {
    "html": lambda _true, fault: Reply(fault.http or 502, _HTML, content_type="text/html"),
    "truncated": lambda true, _fault: dataclasses.replace(true, body=true.body[: len(true.body) // 2]),
    "big_body": lambda true, fault: dataclasses.replace(true, body=true.body.ljust(fault.size)),
}
