"""The layer between the product and the simulator: answers one life's calls in process, truthfully or not.

It imports only the simulator from the product. Each call is logged with the given and the true reply.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any

from tests.liars.judge import CHANGING, Called, Member
from tests.liars.lies import Occasion
from tests.liars.places import ids
from tests.liars.plans import Plan
from tests.liars.shapes import Told
from tests.liars.stories import DAY, Telling
from tests.liars.traces import Traced, shown
from worker.simulator import ess_state, mrs_view, oml, sahara
from worker.simulator.clock import Clock
from worker.simulator.dispatch import answer
from worker.simulator.job import Job, Moment
from worker.simulator.knobs import Knobs
from worker.simulator.spec import add
from worker.simulator.systems import COURSES, locate
from worker.simulator.wire import Call, match
from worker.simulator.world import World

VERBS = {"refresh": "look", "result": "look"}
KNOBS = Knobs()


@dataclass
class Liar:
    """One life's world and its lies."""

    plan: Plan
    clock: Clock
    world: World = field(default_factory=World)
    calls: list[Called] = field(default_factory=list)
    traced: list[Traced] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    broken: list[Exception] = field(default_factory=list)
    refuted: bool = False
    started: float = 0.0
    _said_yes: float = math.inf
    _told: Counter[int] = field(default_factory=Counter)
    _honest: Counter[str] = field(default_factory=Counter)
    _first: dict[tuple[str, str], Told] = field(default_factory=dict)
    _forbids: dict[str, bool] = field(default_factory=dict)
    _checked_in: str = ""

    def begin(self) -> None:
        """Make the jobs: the one that is asked for, one that has ended, and strangers of its system."""
        self.started = now = self.clock.now()
        plan = self.plan
        self.world.knobs = KNOBS.changed({**plan.place.knobs, **plan.story.knobs})
        self.world.knobs = self.world.knobs.changed({"all.log_lines": 1})
        cluster = {"cluster": "c1"} if plan.place.kind == "mrs-v2" else {}
        for job in add(self.world, plan.story.spec, now):
            began = now - plan.story.ago
            gone = None if plan.story.gone_after is None else now + plan.story.gone_after
            if plan.story.ago or gone is not None:
                self.world.put(replace(job, created_at=began, last=Moment(job.last.state, began), deleted_at=gone))
        system = plan.place.system
        add(self.world, {"system": system, "id": plan.other, "state": "succeeded", **cluster}, now - DAY)
        add(self.world, {"system": system, "id": ids(plan.place, plan.number, 900), **cluster}, now - DAY)
        if system == "ess":
            stranger = {
                "system": system,
                "id": ids(plan.place, plan.number, 901),
                "life": "stuck",
                "state": "cancelling",
            }
            add(self.world, stranger, now - DAY)

    def exchange(self, method: str, raw: str, headers: Mapping[str, str], body: bytes) -> Told | None:
        """Answer one call; None is no answer. Errors here are kept, as the product would take them for no answer."""
        try:
            return self._exchanged(method, raw, headers, body)
        except Exception as error:
            self.broken.append(error)
            raise

    def _exchanged(self, method: str, raw: str, headers: Mapping[str, str], body: bytes) -> Told | None:
        call = Call(method, raw, self.clock.now(), headers, body, "http://liar")
        system, parts = locate(call.parts)
        route, params = match(system.routes, method, parts) or (None, {})
        verb = VERBS.get(route.verb, route.verb) if route else "unknown"
        job_id = params.get("id", "") or _body_id(call)
        lie = self._telling(verb, call.now)
        reaches = lie is None or lie.lie.reaches or verb not in CHANGING
        before = self._before(verb, job_id, call.now)
        true, effect = self._truly(call) if reaches else (Told(0), False)
        told, telling = self._spoiled(lie, verb, job_id, call, true)
        told = self._with_headers(told, verb, job_id, call) if told else None
        if effect:
            self._said_yes = min(self._said_yes, call.now)
        self._note(call, verb, job_id, params, telling, told, true, before, effect=effect)
        return told

    def _spoiled(
        self, lie: Telling | None, verb: str, job_id: str, call: Call, true: Told
    ) -> tuple[Told | None, Telling | None]:
        """Return the reply to give, and which lie spoiled it: all habits are applied first, then one lie."""
        told, by = true, None
        for habit in self.plan.tellings if true.status else ():
            if habit.lie.habit and not habit.lie.header and self._is_told(habit, verb, call.now):
                changed = habit.lie.tell(self._occasion(habit, verb, job_id, call, told))
                if changed is None:
                    return None, habit
                told, by = (told, by) if changed == told else (changed, habit)
        if lie:
            spoiled = lie.lie.tell(self._occasion(lie, verb, job_id, call, told))
            if spoiled != told:
                self._told[self.plan.tellings.index(lie)] += 1
                return spoiled, lie
        return told, by

    def probe(self, job_id: str) -> int:
        """Answer as the second source: 404 if the remote process is gone."""
        now = self.clock.now()
        job = self.world.jobs.get(("ess", job_id))
        alive = job is not None and self.alive(job, now)
        telling = self._telling("probe", now)
        status = telling.lie.tell(self._bare(telling)).status if telling else 200 if alive else 404  # type: ignore[union-attr]
        lied = telling is not None and status != (200 if alive else 404)
        if telling:
            self._told[self.plan.tellings.index(telling)] += 1
        if not lied:
            self._honest["probe"] += 1
        name = telling.lie.name if telling and lied else ""
        self.fired[name] += bool(name)
        called = Called(now, "probe", job_id, told=status, lie=name)
        self.calls.append(called)
        self.traced.append(Traced(called, f"GET probe {job_id}", "200" if alive else "404", str(status)))
        return status

    def alive(self, job: Job, at: float) -> bool:
        """Whether a job, or its remote process, really runs at that time."""
        if self._closed(job):
            ends = self.plan.story.process_ends
            return ends is None or at < self.started + ends
        return self._moment(job, at).state not in COURSES[job.system].terminal

    def members(self, job_id: str, address: str, at: float) -> list[Member]:
        """Return the truth about a job at an address, and about its descendants."""
        job = self.world.jobs.get((self.plan.place.system, job_id))
        if job is None or job.life.absent or (address and job.cluster not in ("", address)):
            return [Member(job_id, alive=False, known=False)]
        return [self._member(job, at), *(self._member(child, at) for child in self._descendants(job))]

    def _member(self, job: Job, at: float) -> Member:
        here = self._moment(job, at)
        ended = here.since if here.state in COURSES[job.system].terminal else None
        return Member(job.id, self.alive(job, at), ended_at=ended)

    def _descendants(self, job: Job) -> list[Job]:
        children = self.world.children(job.system, job.id)
        return [*children, *(one for child in children for one in self._descendants(child))]

    def _moment(self, job: Job, at: float) -> Moment:
        moments: Mapping[str, Callable[[World, Job, float], Moment]] = {
            "ess": ess_state.moment_of,
            "oml": oml.moment_of,
            "mrs": mrs_view.moment_of,
            "sahara": sahara.moment_of,
        }
        return moments[job.system](self.world, job, at)

    def _closed(self, job: Job) -> bool:
        """Whether a force closed only the record of a job that no cancel stops."""
        return job.system == "ess" and job.life.stuck and job.last.state == ess_state.CANCELLED

    def _telling(self, verb: str, now: float) -> Telling | None:
        lies = (one for one in self.plan.tellings if not one.lie.header and not one.lie.habit)
        return next((one for one in lies if self._is_told(one, verb, now)), None)

    def _is_told(self, one: Telling, verb: str, now: float) -> bool:
        window = one.window
        since = self._said_yes if window.after_yes else self.started
        due = since + window.start <= now < since + window.start + window.seconds
        told = self._told[self.plan.tellings.index(one)]
        return verb in one.on and due and told < window.times and self._honest[verb] >= window.skip

    def _before(self, verb: str, job_id: str, now: float) -> dict[str, Any]:
        job = self.world.jobs.get((self.plan.place.system, job_id))
        if job is None or verb not in CHANGING:
            return {}
        here, knobs = self._moment(job, now), self.world.knobs.ess
        found: dict[str, Any] = {"ended_at": here.since if here.state in COURSES[job.system].terminal else None}
        if verb == "force":
            since = ess_state.last_check_in(job, here.since, now, knobs) if knobs.check_in_shown else here.since
            found["silence"] = now - since if here.state == ess_state.CANCELLING else 0.0
            if here.state in ess_state.TERMINAL:
                found["silence"] = None  # it has ended since the last look, so the force does no harm
            found["forbids"] = self._forbids.get(job_id, False)
        return found

    def _truly(self, call: Call) -> tuple[Told, bool]:
        reply = answer(self.world, call).reply
        headers = {name.lower(): value for name, value in reply.headers.items()} | {
            "date": formatdate(call.now, usegmt=True)
        }
        if reply.body:
            headers["content-type"] = reply.content_type
        return Told(reply.http, headers, reply.body), reply.effect

    def _occasion(self, telling: Telling, verb: str, job_id: str, call: Call, true: Told) -> Occasion:
        def again(raw: str) -> Told:
            return self._truly(dataclasses.replace(call, raw=raw, params={}))[0]

        def refuse(http: int, text: str) -> Told:
            reply = locate(call.parts)[0].refuse(
                self.world, dataclasses.replace(call, params={"id": job_id}), http, text
            )
            return Told(reply.http, {"content-type": reply.content_type}, reply.body)

        first = self._first.get((verb, call.raw))
        place, plan = self.plan.place, self.plan
        victim = plan.story.victim
        return Occasion(
            place.system,
            true,
            call.raw,
            job_id,
            telling.choice,
            first,
            plan.job_id,
            victim,
            plan.other,
            again,
            refuse,
        )

    def _bare(self, telling: Telling) -> Occasion:
        nothing = Told(200)
        plan = self.plan
        return Occasion(
            "ess",
            nothing,
            "",
            plan.job_id,
            telling.choice,
            None,
            plan.job_id,
            "",
            plan.other,
            lambda _raw: nothing,
            lambda _http, _text: nothing,
        )

    def _with_headers(self, told: Told, verb: str, job_id: str, call: Call) -> Told:
        told = dataclasses.replace(told, headers={"date": formatdate(call.now, usegmt=True), **told.headers})
        for one in self.plan.tellings:
            if one.lie.header and self._is_told(one, verb, call.now):
                spoiled = one.lie.tell(self._occasion(one, verb, job_id, call, told))
                if spoiled is not None and spoiled != told:
                    told = spoiled
                    self._told[self.plan.tellings.index(one)] += 1
                    self.fired[one.lie.name] += 1
        return told

    def _note(  # noqa: PLR0913 - one call with all that is known of it
        self,
        call: Call,
        verb: str,
        job_id: str,
        params: Mapping[str, str],
        telling: Telling | None,
        told: Told | None,
        true: Told,
        before: Mapping[str, Any],
        *,
        effect: bool,
    ) -> None:
        lie = telling.lie if telling else None
        honest = lie is None or lie.habit
        self.fired[lie.name if lie else ""] += 1
        if honest:
            self._honest[verb] += 1
            if told and lie is None:
                self._first.setdefault((verb, call.raw), told)
        if told and verb in {"look", "list"}:
            self._learn(told, job_id, honest=honest)
        called = Called(
            call.now,
            verb,
            job_id,
            params.get("cluster", ""),
            told.status if told else None,
            lie.name if lie else "",
            lie.habit if lie else False,
            lie.says if lie else "",
            effect,
            retry_after=float(told.headers.get("retry-after", 0)) if told else 0.0,
            **before,
        )
        self.calls.append(called)
        self.traced.append(
            Traced(
                called,
                f"{call.method} {call.raw.replace('%20', ' ').partition('&fields=')[0].partition('?fields=')[0]}",
                shown(true),
                shown(told),
            )
        )

    def _learn(self, told: Told, job_id: str, *, honest: bool) -> None:
        """Keep what the product was told about a force, and whether the job has shown life since the word was given.

        A job in CANCELLING shows life if its time has moved, or if it has left that state.
        """
        data = told.data
        if self.plan.place.system != "ess":
            return
        if not isinstance(data, dict):  # the product may have unwrapped it; a list may be about anybody
            self._forbids.clear()
            return
        for one in data.get("items") or [{"requestId": job_id, **data}]:
            no = (False, "false")
            flags = (one.get("isForceCancelAllowed", True), one.get("isAsynchronous", True))
            self._forbids[str(one.get("requestId"))] = any(flag in no and flag is not None for flag in flags)
            if not honest or str(one.get("requestId")) != self.plan.job_id:
                continue
            state, since = one.get("state"), str(one.get("stateChangeTime"))
            moved = state == "CANCELLING" and self._checked_in not in ("", since)
            went_back = state == "RUNNING" and self._checked_in != ""
            self.refuted |= moved or went_back
            self._checked_in = since if state == "CANCELLING" else self._checked_in


def _body_id(call: Call) -> str:
    """Return the job that MRS v2's batch delete names."""
    wanted = call.json().get("job_id_list")
    return str(wanted[0]) if isinstance(wanted, list) and len(wanted) == 1 else ""
