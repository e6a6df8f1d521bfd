"""PURE: compares what the events say with what the simulator knows; every finding names its job."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.chaos.plan import CHECK_IN_EVERY, CHECK_INS, FORCE_AFTER, Plan
from tests.chaos.sim import Asked, Fate

CHANGING = frozenset({"cancel", "delete", "force"})
CANCELLED_WORDS = frozenset({"CANCELLED", "cancelled", "KILLED", "deleted"})
BODILESS = frozenset({"truncated", "cut_body", "slow_drip", "big_body"})
POLL_FIRST = 0.2
SLACK = 0.02
PROVEN = 4.0
Event = Mapping[str, Any]


@dataclass
class Findings:
    """The results of a run: `zeros` must all be zero, the rest are figures."""

    zeros: Counter[str] = field(default_factory=Counter)
    figures: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    effects: Counter[int] = field(default_factory=Counter)
    calls: Counter[int] = field(default_factory=Counter)
    busiest: tuple[int, str] = (0, "")

    def add(self, name: str, text: str) -> None:
        """Count something that must not happen, and keep the first examples."""
        self.zeros[name] += 1
        if len(self.examples[name]) < 12:
            self.examples[name].append(text)


@dataclass
class Case:
    """All that is known about one job."""

    plan: Plan
    fate: Fate | None
    log: list[Asked]
    by_id: Mapping[str, Sequence[Asked]]
    events: list[Event]

    @property
    def changes(self) -> list[Asked]:
        """The calls that ask for a change, to the job and its children."""
        return [one for one in self.log if one.verb in CHANGING]

    def finished(self) -> list[Event]:
        """Return the ends, in order."""
        return [one for one in self.events if one["type"].endswith(".finished.v1")]

    def given_up(self, arrived: float, before: float) -> float:
        """Return when a call was made at the latest: on a busy machine it may arrive only after it was given up."""
        told = [_at(one) for one in self.events if one["data"].get("answer") == "unanswered" and _at(one) < before]
        return min([arrived, *told[-1:]])

    def unanswered(self) -> bool:
        """Whether the product says that a changing call went unanswered."""
        return any(
            one["type"].endswith(("cancel_sent.v1", "delete_sent.v1", "force_sent.v1"))
            and one["data"].get("answer") == "unanswered"
            for one in self.events
        )

    def __str__(self) -> str:
        log = [
            f"{one.verb}@{one.at % 1000:.3f}={one.http}{'!' if one.effect else ''}{one.fault and '~' + one.fault}"
            for one in self.log
        ]
        says = [f"{one['type'].split('.')[-2]}@{_at(one) % 1000:.3f}" for one in self.events]
        ends = [(one["outcome"], one["data"]["detail"]) for one in self.finished()]
        plan = self.plan
        return f"{plan.backend}/{plan.job_id} {plan.life} {plan.verb}: {ends} {self.fate} {log} {says}"


def _at(event: Event) -> float:
    return datetime.fromisoformat(event["time"]).timestamp()


def good_look(one: Asked, lists: Sequence[float]) -> bool:
    """Whether a look may have shown the job."""
    if one.verb not in {"look", "refresh"}:
        return False
    if not one.fault or (one.fault in BODILESS and one.http == 302):
        return True
    return (one.http or 0) >= 500 and any(0 <= at - one.at < 1.5 for at in lists)


def check_sequences(findings: Findings, by_cancellation: Mapping[str, Sequence[Event]], ids: Iterable[str]) -> None:
    """Check that events count 1, 2, 3 …, that each cancellation has one end, the last, and that no id comes twice."""
    for name, events in by_cancellation.items():
        if [int(one["sequence"]) for one in events] != list(range(1, len(events) + 1)):
            findings.add("sequence gaps", f"{name}: {[one['sequence'] for one in events]}")
        ends = [one for one in events if one["type"].endswith(".finished.v1")]
        if not ends:
            findings.add("unfinished", f"{name}: {events[-1]}")
        if len(ends) > 1:
            findings.add("second finished", f"{name}: {ends}")
        if ends and ends[-1] is not events[-1]:
            findings.add("events after the end", f"{name}: {[one['type'] for one in events]}")
    for name, count in Counter(ids).items():
        if count > 1:
            findings.add("duplicate event ids", name)


def check_job(findings: Findings, case: Case, lists: Sequence[float]) -> None:
    """Compare one job's events with its truth."""
    _count(findings, case)
    _check_repeats(findings, case, lists)
    _check_forces(findings, case)
    ends = case.finished()
    for end in ends:
        findings.outcomes[case.plan.backend, end["outcome"]] += 1
    if not ends:
        return
    if [one for one in case.changes if one.at > ends[-1]["arrived"] + 0.05]:  # Redis's clock may have been stepped
        findings.add("changing calls after the end", str(case))
    if case.plan.joined:
        _check_joined(findings, case)
    elif ends[0]["outcome"] not in (allowed := outcomes(case, lists)):
        findings.add("wrong outcomes", f"{ends[0]['outcome']}, allowed {sorted(allowed)}: {case}")
    elif len(allowed) > 1:
        findings.figures["outcomes that may read as after"] += 1


def _count(findings: Findings, case: Case) -> None:
    findings.effects[max(Counter((one.verb) for one in _own(case) if one.effect).values(), default=0)] += 1
    calls = len([one for one in _own(case) if one.verb in CHANGING])
    findings.calls[calls] += 1
    if calls > findings.busiest[0]:
        findings.busiest = calls, str(case)
    for job_id, own in case.by_id.items():
        for verb in CHANGING:
            if sum(one.effect for one in own if one.verb == verb) > 1:
                findings.add("second effects", f"{job_id} {verb}: {case}")


def _own(case: Case) -> Sequence[Asked]:
    return case.by_id.get(case.plan.job_id, ())


def _check_repeats(findings: Findings, case: Case, lists: Sequence[float]) -> None:
    for own in case.by_id.values():
        for verb in CHANGING:
            former: Asked | None = None
            for one in own:
                if one.verb != verb:
                    continue
                if former is not None:
                    _check_repeat(findings, case, lists, former, one)
                former = None if one.http and 400 <= one.http < 500 else one


def _check_repeat(findings: Findings, case: Case, lists: Sequence[float], former: Asked, one: Asked) -> None:
    since = case.given_up(former.at, one.at)
    looks = [look for look in case.log if since < look.at and look.number < one.number and good_look(look, lists)]
    findings.figures["repeats after a look"] += bool(looks)
    if not looks:
        findings.add("blind repeats", f"{one.verb} at {one.at % 1000:.3f}: {case}")
    elif looks[-1].at - since < POLL_FIRST - SLACK and (former.fault or former.http is None):
        findings.add("hasty repeats", f"{one.verb} at {one.at % 1000:.3f}, look at {looks[-1].at % 1000:.3f}: {case}")


def _check_forces(findings: Findings, case: Case) -> None:
    forces = [(job_id, one) for job_id, own in case.by_id.items() for one in own if one.verb == "force"]
    findings.figures["force calls"] += len(forces)
    begun = [one.at for one in _own(case) if one.verb == "cancel" and one.effect]
    for job_id, one in forces:
        due = begun[0] + FORCE_AFTER if begun else math.inf
        if case.plan.life == "checks_in" and begun:
            due += CHECK_IN_EVERY * min(CHECK_INS, math.floor((one.at - begun[0]) / CHECK_IN_EVERY))
        if one.at < due - 0.002 or not case.plan.extra.get("remote_stopped"):
            findings.add("early forces", f"{job_id} {one.at - due:.3f} s too early: {case}")


def _check_joined(findings: Findings, case: Case) -> None:
    ends, gone = case.finished(), case.fate is not None and case.fate.deleted_at is not None
    # A killed worker's messages are redelivered late: the cancel may then open a new cancellation after the delete's.
    right = "deleted" in {end["outcome"] for end in ends} or (len(ends) == 2 and case.plan.system == "oml")
    if not (right and gone) and not _refused_twice(case.log):
        findings.add("wrong outcomes", f"joined: {case}")


def _refused_twice(log: Sequence[Asked]) -> bool:
    answers = [one.http for one in log]
    return any(pair == (401, 401) for pair in itertools.pairwise(answers))


def outcomes(case: Case, lists: Sequence[float]) -> set[str]:
    """Return the outcomes that would be true for a job."""
    plan, fate = case.plan, case.fate
    more = {"refused"} if _refused_twice(case.log) else set()
    if plan.life in {"forbidden", "protected"}:
        return {"refused"}
    if plan.life == "absent" or fate is None:
        return {"not_found"} | more
    if plan.verb == "delete":
        return ({"deleted"} if fate.deleted_at is not None else set()) | more
    if fate.deleted_at is not None:  # Oracle ML: its only stop removes the record
        return {"cancelled"} | more
    if fate.ended_at is None:
        return ({"timed_out"} if plan.life == "held" else set()) | more
    return _after_cancel(case, fate, fate.ended_at, lists) | more


def _unproven(case: Case, ended_at: float) -> bool:
    """Whether a call went unanswered and no time of the backend's proves that the end came before it.

    Oracle ESS says when a request ended; the time of our call on its clock is known to 2 s, plus the fraction of a
    second that a `Date` cuts off.
    """
    sent = case.finished()[0]["data"].get("cancel_sent_at")
    early = case.plan.system == "ess" and sent and ended_at < datetime.fromisoformat(sent).timestamp() - PROVEN
    return case.unanswered() and not early


def _after_cancel(case: Case, fate: Fate, ended_at: float, lists: Sequence[float]) -> set[str]:
    changes = case.changes
    if any(one.effect and one.at <= ended_at for one in changes):
        if any(one.effect and one.verb == "force" for one in changes):
            return {"force_cancelled"}
        return {"cancelled"} if fate.state in CANCELLED_WORDS else {"completed_anyway"}
    if not changes or ended_at <= changes[0].at:
        after = "cancelled" if fate.state in CANCELLED_WORDS else "completed_anyway"
        alive = any(good_look(one, lists) and one.at < ended_at for one in case.log)
        return {"already_finished", after} if alive or _unproven(case, ended_at) else {"already_finished"}
    nothing = all(one.http and 400 <= one.http < 500 for one in changes if one.at <= ended_at)
    return {"completed_anyway", "already_finished"} if nothing else {"completed_anyway"}
