"""PURE: moments at which work is told to stop: what each one stops, and whether the promises were kept."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.chaos.truth import Findings, check_sequences

MUST_BE_ZERO = (
    "changing calls after the acknowledgement",
    "starts after the acknowledgement",
    "starts over a second after the order",
    "orders that were not acknowledged",
    "unfinished",
    "lost",
    "wrong outcomes",
    "wrong counts",
    "second finished",
    "sequence gaps",
    "events after the end",
    "duplicate event ids",
    "left in Redis",
    "workers that ended by themselves",
    "tracebacks in the logs",
    "failures of the bench",
)
START_BAR = 1.0
NEAR = 0.5
"""Seconds around an order and its acknowledgement in which another moment's kill counts as near."""
LATE = 1.0
"""Seconds by which a call may arrive after its worker has given it up: it may wait in a socket."""
TICK = 0.001
"""Seconds: an event's time is that of its stream entry, which is truncated to milliseconds."""


class Kind(NamedTuple):
    """A kind of order: the events that acknowledge it and that lift it, and what it forbids."""

    acknowledged: str
    lifted: str = ""
    calls: bool = True

    @property
    def about_batch(self) -> bool:
        """Whether the order is about a batch."""
        return self.acknowledged.startswith("batch.")

    @property
    def ends(self) -> bool:
        """Whether the order ends the batch or cancellation that it is about."""
        return not self.lifted


KINDS = {
    "batch abort": Kind("batch.finished"),
    "batch pause": Kind("batch.paused", "batch.resumed", calls=False),
    "batch pause --hold": Kind("batch.paused", "batch.resumed"),
    "hold": Kind("cancellation.held", "cancellation.released"),
    "abort": Kind("cancellation.finished"),
}
ENDS = {("stuck", "cancel"): "force_cancelled", ("runs", "cancel"): "cancelled", ("runs", "delete"): "deleted"}
"""How a job that is not aborted ends, by its life and the command."""
LIVES = [("stuck", "cancel")] * 6 + [("runs", "cancel"), ("runs", "delete")]
SLOW = {0.0: 5, 0.4: 4, 1.6: 1}
"""The longest delay of the backend in seconds, with its weight; calls that exceed the `timeout` go unanswered."""
AIMS = {
    "starting": (2, 0.0, 0.6),
    "before": (3, -0.4, -0.05),
    "at": (10, -0.08, 0.08),
    "after": (4, 0.05, 0.4),
}
"""When an order comes: weight, earliest and latest time, in seconds from the due force (`starting`: from the start)."""
SIZES = range(5, 11)


class Told(NamedTuple):
    """An event: when it was written, its short type, and what it says."""

    at: float
    name: str
    event: Mapping[str, Any]


@dataclass(eq=False)
class Call:
    """A changing call as the backend saw it: when it arrived, and when it was over."""

    verb: str
    arrived: float
    left: float = math.inf


class Job(NamedTuple):
    """A job and the command for it."""

    id: str
    life: str
    verb: str


@dataclass
class Moment:
    """One order to stop, and all that is known about its batch or job; times in seconds since 1970.

    `told` are all events by subject, `calls` all calls by job; `report` is each member's outcome and cancellation.
    """

    kind: str
    number: int
    name: str
    jobs: Sequence[Job]
    aim: str
    slow: float
    sent_at: float = math.inf
    killed: bool = False
    told: Mapping[str, Sequence[Told]] = field(default_factory=dict)
    calls: Mapping[str, Sequence[Call]] = field(default_factory=dict)
    report: Sequence[tuple[str | None, str | None]] = ()

    @property
    def terms(self) -> Kind:
        """The kind of the order, with what it promises."""
        return KINDS[self.kind]

    @property
    def subject(self) -> str:
        """The subject of the order's events: the batch, or the job."""
        return self.name if self.terms.about_batch else self.jobs[0].id

    def first(self, subject: str, name: str) -> Told | None:
        """Return the first event of one type."""
        return next((one for one in self.told.get(subject, ()) if one.name == name), None)

    @property
    def acknowledged(self) -> Told | None:
        """The event that acknowledges the order, or the end of its batch or job if that came first."""
        scope = "batch" if self.terms.about_batch else "cancellation"
        return self.first(self.subject, self.terms.acknowledged) or self.first(self.subject, f"{scope}.finished")

    @property
    def lifted_at(self) -> float:
        """When the order was lifted."""
        lifted = self.first(self.subject, self.terms.lifted)
        return lifted.at if lifted else math.inf

    @property
    def missed(self) -> bool:
        """Whether everything had ended before the order."""
        seen = self.acknowledged
        if seen is None or not self.terms.ends:
            return seen is not None and seen.name != self.terms.acknowledged
        counts = seen.event["data"].get("counts", {"finished": [seen.event.get("outcome")]})
        return "aborted" not in counts["finished"]

    def events(self) -> Iterator[Told]:
        """Yield the events of its batch and jobs that are numbered in a sequence."""
        for subject in (self.name, *(job.id for job in self.jobs)):
            yield from (one for one in self.told.get(subject, ()) if "sequence" in one.event)

    def made(self) -> Iterator[tuple[Job, Call]]:
        """Yield its calls."""
        for job in self.jobs:
            yield from ((job, call) for call in self.calls.get(job.id, ()))

    def __str__(self) -> str:
        says = [(one.at, f"{one.name} {one.event['subject']}") for one in self.events()]
        calls = [(one.arrived, f"{one.verb} {job.id} until {one.left - self.sent_at:.3f}") for job, one in self.made()]
        story = [f"{at - self.sent_at:+.3f} {text}" for at, text in sorted([*says, *calls])]
        what = f"{self.kind} {self.number} ({self.aim}, slow {self.slow:g} s{', killed' if self.killed else ''})"
        return f"{what}: {list(self.jobs)} {self.report} {story}"


def plan(seed: int, kind: str, number: int) -> Moment:
    """Choose what a moment is about; the first job is stuck."""
    dice = random.Random(f"{seed} {kind} {number}")  # noqa: S311 - repeatable dice
    place = 1_000_000 * (1 + list(KINDS).index(kind)) + 100 * number
    count = dice.choice(SIZES) if KINDS[kind].about_batch else 1
    jobs = [Job(str(place), *LIVES[0]), *(Job(str(place + at), *dice.choice(LIVES)) for at in range(1, count))]
    aim = dice.choices(list(AIMS), [share for share, *_ in AIMS.values()])[0]
    slow = dice.choices(list(SLOW), list(SLOW.values()))[0]
    return Moment(kind, number, f"{kind.replace(' ', '-')}-{number}", jobs, aim, slow)


def late_calls(moment: Moment, *, given_up: bool = False) -> list[str]:
    """Return the changing calls that began when none was allowed.

    Calls that only arrived late do not count: their worker had given them up, or died during them, and this was
    reported before. With `given_up`, only those calls are returned.
    """
    found = []
    for job, call in moment.made():
        begun = [begin for begin, end in _quiet(moment, job) if begin + TICK < call.arrived < end]
        if begun and _was_given_up(moment, job, call, min(begun)) == given_up:
            found.append(f"{call.verb} of {job.id} {1000 * (call.arrived - min(begun)):.0f} ms after")
    return found


def _quiet(moment: Moment, job: Job) -> Iterator[tuple[float, float]]:
    """Yield the spans of time in which no changing call may be made for a job."""
    held, released = (moment.first(job.id, f"cancellation.{name}") for name in ("held", "released"))
    if held:
        yield held.at, released.at if released else math.inf
    if finished := moment.first(job.id, "cancellation.finished"):
        yield finished.at, math.inf
    if moment.terms.calls and moment.acknowledged:
        yield moment.acknowledged.at, moment.lifted_at


def _was_given_up(moment: Moment, job: Job, call: Call, begin: float) -> bool:
    """Whether the call was reported before that time: more calls were reported than had arrived before this one."""
    name = f"cancellation.{call.verb}_sent"
    told = [one.at for one in moment.told.get(job.id, ()) if one.at <= begin and one.name == name]
    earlier = [one for one in moment.calls[job.id] if one.verb == call.verb and one.arrived < call.arrived]
    return len(told) > len(earlier) and call.arrived < told[-1] + LATE


def starts(moment: Moment) -> list[float]:
    """Return when each job was taken in that was taken in before the order was lifted."""
    accepted = (moment.first(job.id, "cancellation.accepted") for job in moment.jobs)
    return [one.at for one in accepted if one and one.at < moment.lifted_at]


def latest_start(moment: Moment, kills: Sequence[float]) -> float | None:
    """Return how long after the order the last job was started, in seconds.

    None if the order is not about a batch, or if a killed worker may have held its message, which is redelivered late.
    """
    seen = moment.acknowledged
    if not moment.terms.about_batch or seen is None or any(moment.sent_at - 1 < at < seen.at for at in kills):
        return None
    return max([0.0, *(at - moment.sent_at for at in starts(moment))])


def judge(moments: Sequence[Moment], kills: Sequence[float]) -> Findings:
    """Check every moment against the promises of its order; `kills` are the times at which workers were killed."""
    findings = Findings()
    by_cancellation: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    ids = []
    for moment in moments:
        _check_order(findings, moment, kills)
        _check_ends(findings, moment)
        for one in moment.events():
            by_cancellation[one.event.get("cancellationid", one.event["subject"])].append(one.event)
            ids.append(one.event["id"])
    check_sequences(findings, by_cancellation, ids)
    return findings


def _check_order(findings: Findings, moment: Moment, kills: Sequence[float]) -> None:
    seen = moment.acknowledged
    if seen is None:
        findings.add("orders that were not acknowledged", str(moment))
        return
    for late in late_calls(moment):
        findings.add("changing calls after the acknowledgement", f"{late}: {moment}")
    if moment.terms.about_batch and any(at > seen.at + TICK for at in starts(moment)):
        findings.add("starts after the acknowledgement", str(moment))
    if (latest_start(moment, kills) or 0.0) > START_BAR:
        findings.add("starts over a second after the order", str(moment))


def _check_ends(findings: Findings, moment: Moment) -> None:
    ends = [moment.first(job.id, "cancellation.finished") for job in moment.jobs]
    for job, end in zip(moment.jobs, ends, strict=True):
        right = {ENDS[job.life, job.verb], *(["aborted"] if moment.terms.ends else [])}
        if end is not None and end.event["outcome"] not in right:
            findings.add("wrong outcomes", f"{job.id} {end.event['outcome']}: {moment}")
        if end is None and (moment.told.get(job.id) or not (moment.terms.about_batch and moment.terms.ends)):
            findings.add("lost", f"{job.id}: {moment}")
        if end is None and moment.calls.get(job.id):
            findings.add("changing calls after the acknowledgement", f"{job.id} has never started: {moment}")
    if not moment.terms.about_batch:
        return
    outcomes = [end.event["outcome"] if end else "aborted" for end in ends]
    ids = [end.event["cancellationid"] if end else None for end in ends]
    if list(moment.report) != list(zip(outcomes, ids, strict=True)):
        findings.add("lost", f"by the report: {moment}")
    end = moment.first(moment.name, "batch.finished")
    if end is not None and end.event["data"]["counts"]["finished"] != dict(Counter(outcomes)):
        findings.add("wrong counts", f"{end.event['data']['counts']}: {moment}")


def row(moments: Sequence[Moment], kills: Sequence[float]) -> dict[str, float]:
    """Return the figures of one kind of order."""
    acknowledged = [(one, one.acknowledged.at) for one in moments if one.acknowledged]
    waits = sorted(1000 * (at - one.sent_at) for one, at in acknowledged if not one.missed)
    latest = [found for one in moments if (found := latest_start(one, kills)) is not None]
    calls = [(one, at, call) for one, at in acknowledged for _, call in one.made()]
    flying = {one.number for one, at, call in calls if call.left > one.sent_at and call.arrived < at}
    return {
        "moments": len(moments),
        "kills": sum(one.killed for one in moments),
        "killed near": sum(any(one.sent_at - NEAR < kill < at + NEAR for kill in kills) for one, at in acknowledged),
        "ended before": sum(one.missed for one in moments),
        "calls before": sum(call.arrived <= at for _, at, call in calls),
        "with calls under way": len(flying),
        "calls after": sum(len(late_calls(one)) for one in moments),
        "given up before": sum(len(late_calls(one, given_up=True)) for one in moments),
        "latest start (ms)": round(1000 * max(latest, default=0.0)),
        "acknowledged p50 (ms)": round(statistics.median(waits)) if waits else 0,
        "acknowledged max (ms)": round(waits[-1]) if waits else 0,
    }
