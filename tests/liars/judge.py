"""PURE: compares what the product claims and does in one life with the simulator's truth.

Only the promises of the guide's pages `evidence` and `escalation`, and time limits, are judged. `lies.py` leaves out
lies that no client can tell from the truth, because they test nothing; its docstring lists them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

CHANGING = frozenset({"cancel", "force", "delete"})
LONG_AGO = 10.0
"""Seconds before our first call: an end that old can't be mistaken for our effect, however inexact a `Date` is."""
PATIENCE = 0.8
"""The share of `believe_after` that a lie must have lasted to be believed: calls take time, and looks have jitter."""
IN_A_ROW = 3
"""Doubtful answers that must agree before they are believed."""
TAIL_LOOKS, TAIL_TIME = 6, 2.0
"""The product has no excuse after this many honest looks over this multiple of `believe_after`."""
EARLY = 0.05
"""Seconds by which a wait may seem too short: a busy machine may time-stamp a call that late."""
FINISH_SLACK = 1.0

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Times:
    """The waits of the backend's configuration, in seconds."""

    poll_max: float
    believe_after: float
    force_after: float
    give_up_after: float

    @property
    def most_calls(self) -> int:
        """How often a changing call may be made to one job.

        A call that had no effect may be repeated after a look, with a pause that grows by a factor of 2 from
        `poll.first` to `poll.max`, of which jitter takes a fifth: 4 tries while it grows, then one per `poll.max`. A
        product that repeats at each look, or without a pause, makes several times as many.
        """
        return 4 + math.ceil(self.give_up_after / (0.8 * self.poll_max))


@dataclass(frozen=True, slots=True)
class Called:
    """One call as the layer saw it, and the truth at that moment.

    `told` is the status that the product was given, None for no answer. `lie` names what spoiled the reply; with
    `habit` this backend always behaves like that. `says` is what the reply claims: "gone" or "refused" if it may not
    be the backend's own, "for good" for a refusal in its own words. `silence` is, for a force, how long its target
    had been silent in CANCELLING. `forbids` means that the last reply given to the product said that a force is not
    allowed.
    """

    at: float
    verb: str
    job_id: str
    address: str = ""
    told: int | None = 200
    lie: str = ""
    habit: bool = False
    says: str = ""
    effect: bool = False
    ended_at: float | None = None
    silence: float | None = None
    forbids: bool = False
    retry_after: float = 0.0

    @property
    def honest(self) -> bool:
        """Whether the product was told the truth."""
        return not self.lie or self.habit


@dataclass(frozen=True, slots=True)
class Member:
    """One job of the family, as it really is when the end is reported; `alive` includes the remote process."""

    job_id: str
    alive: bool
    known: bool = True
    ended_at: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One cancellation of a life, complete.

    `members` begins with the job that was asked for, then has its descendants. `obeys` says that it stops when asked,
    `barred` that the backend honestly refuses us; `word` is what became of the producer's word that the process is
    gone: "" for none, "holds" or "refuted". `asked` are the jobs, with their addresses, that its commands name.
    `lag` is how late this machine was at worst, in seconds.
    """

    verb: str
    kind: str
    times: Times
    asked: Sequence[tuple[str, str]]
    members: Sequence[Member]
    calls: Sequence[Called]
    events: Sequence[Event]
    obeys: bool = True
    barred: bool = False
    word: str = ""
    lag: float = 0.0

    @property
    def job(self) -> Member:
        """The job that was asked for."""
        return self.members[0]

    @property
    def end(self) -> Event | None:
        """The first `finished`."""
        return next((one for one in self.events if name_of(one) == "finished"), None)

    @property
    def data(self) -> Mapping[str, Any]:
        """The data of the end; empty while there is none."""
        return self.end["data"] if self.end else {}

    @property
    def changes(self) -> list[Called]:
        """The calls that ask for a change."""
        return [one for one in self.calls if one.verb in CHANGING]

    @property
    def looks(self) -> list[Called]:
        """The looks at the job that was asked for."""
        return [one for one in self.calls if one.verb == "look" and one.job_id == self.job.job_id]


def name_of(event: Event) -> str:
    """Return the middle word of an event's type."""
    return str(event["type"]).split(".")[-2]


def at_of(event: Event) -> float:
    """Return an event's time in seconds since 1970."""
    return datetime.fromisoformat(event["time"]).timestamp()


def false_ends(case: Case) -> Iterator[str]:
    """No claim that the job has stopped while it or one of its children runs."""
    evidence = case.data.get("evidence")
    safe = case.data.get("safe_to_rerun") is True
    if not (safe or evidence in {"reported", "probed"}) or (evidence == "attested" and case.word == "holds"):
        return
    alive = [one.job_id for one in case.members if one.alive]
    if alive:
        yield f"{case.data['outcome']}, {evidence}, safe_to_rerun={safe}, while {', '.join(alive)} runs"


def invented_ends(case: Case) -> Iterator[str]:
    """No claim that a job has stopped that never existed."""
    if not case.job.known and (case.data.get("safe_to_rerun") is True or case.data.get("evidence") == "reported"):
        yield f"{case.data['outcome']}, {case.data['evidence']} of a job that never was"


def foreign_calls(case: Case) -> Iterator[str]:
    """No changing call to a job that was not asked for, except that a child of an asked parent may be forced."""
    asked = {job_id for job_id, _ in case.asked}
    children = {one.job_id for one in case.members[1:]}
    for one in case.changes:
        if one.job_id not in asked and not (one.verb == "force" and one.job_id in children):
            yield f"{one.verb} of {one.job_id or 'no single job'}"


def destroyed(case: Case) -> Iterator[str]:
    """No record is removed unless asked for, nor the result of a job that had finished.

    Oracle ML's only stop removes the record: there a job must have been seen running in the last look before it.
    """
    if case.verb == "delete":
        return
    seen = 0.0
    for one in case.calls:
        if one.verb in {"look", "list"}:
            seen = one.at
        if one.verb == "delete" and case.kind != "oml":
            yield "a record was to be deleted for a cancel"
        if one.verb == "delete" and case.kind == "oml" and one.effect and one.ended_at and one.ended_at < seen:
            yield f"the result of a job that had finished {seen - one.ended_at:.2f} s before the last look"


def early_forces(case: Case) -> Iterator[str]:
    """No force before the job was truly silent in CANCELLING for `force_after`."""
    enough = case.times.force_after - EARLY - case.lag
    for one in case.calls:
        if one.verb == "force" and one.silence is not None and one.silence < enough:
            yield f"{one.job_id} was forced after {max(0.0, one.silence):.2f} s of {case.times.force_after:g} s"


def forbidden_forces(case: Case) -> Iterator[str]:
    """No force if the backend says that it is not allowed."""
    for one in case.calls:
        if one.verb == "force" and one.forbids:
            yield f"{one.job_id} was forced against the backend's own word"


def unbounded(case: Case) -> Iterator[str]:
    """Changing calls are bounded, for each job and verb."""
    for (verb, job_id), count in Counter((one.verb, one.job_id) for one in case.changes).items():
        if count > case.times.most_calls:
            yield f"{count} times {verb} of {job_id}, of {case.times.most_calls} at most"


def late_ends(case: Case) -> Iterator[str]:
    """Each life ends by `give_up_after`, with one `finished` as its last event and no gap in the sequence."""
    ends = [one for one in case.events if name_of(one) == "finished"]
    if not ends:
        yield f"no end; the last event is {name_of(case.events[-1]) if case.events else 'none'}"
        return
    if len(ends) > 1 or ends[-1] is not case.events[-1]:
        yield f"not one last end: {', '.join(map(name_of, case.events))}"
    if [int(one["sequence"]) for one in case.events] != list(range(1, len(case.events) + 1)):
        yield f"sequences: {[one['sequence'] for one in case.events]}"
    took = at_of(ends[0]) - at_of(case.events[0])
    if took > case.times.give_up_after + FINISH_SLACK + 4 * case.lag:
        yield f"it ended after {took:.2f} s of {case.times.give_up_after:g} s (lag {case.lag:.2f} s)"


def calls_after_the_end(case: Case) -> Iterator[str]:
    """No changing call after the end."""
    if case.end:
        over = at_of(case.end) + 0.05
        yield from (f"{one.verb} {one.at - over:.2f} s after it" for one in case.changes if one.at > over)


def claimed_effects(case: Case) -> Iterator[str]:
    """An end counts as our effect only if the backend dates it after our call: ESS and MRS date their ends."""
    if case.kind not in {"ess", "mrs"}:
        return
    if case.data.get("outcome") not in {"cancelled", "force_cancelled", "completed_anyway"} or not case.changes:
        return
    ended = [one.ended_at for one in case.members]
    last = max((at for at in ended if at is not None), default=math.inf)
    if None not in ended and last < case.changes[0].at - LONG_AGO:
        yield f"{case.data['outcome']}, of an end {case.changes[0].at - last:.0f} s before our first call"


def gave_in(case: Case) -> Iterator[str]:
    """No end as refused or unknown because of answers that may not be the backend's own and have not lasted."""
    if case.data.get("outcome") not in {"refused", "not_found"} or not case.job.alive or case.barred:
        return
    streak: list[Called] = []
    for one in reversed(case.calls):
        if one.honest:
            break
        streak.append(one)
    said = [one for one in streak if one.says]
    if not said or any(one.says == "for good" for one in said):
        return
    lasted = said[0].at - said[-1].at
    if len(said) < IN_A_ROW or lasted < PATIENCE * case.times.believe_after:
        yield f"{case.data['outcome']} after {len(said)} such answers in {lasted:.2f} s, while the job runs"
    elif case.data["outcome"] == "refused" and not any(one.verb in CHANGING for one in said) and _taken(case):
        yield "refused by looks, though a call was accepted before"


def _taken(case: Case) -> bool:
    return any(one.effect and one.honest for one in case.changes)


def missed_ends(case: Case) -> Iterator[str]:
    """No `timed_out` if a job has ended and honest looks kept showing it."""
    ended = [one.ended_at for one in case.members]
    if case.data.get("outcome") != "timed_out" or None in ended:
        return
    since = max(at for at in ended if at is not None)
    if _honest_tail(case, since):
        yield "timed_out, though the job has ended and looks were answered honestly"


def missed_stops(case: Case) -> Iterator[str]:
    """No `timed_out` with an obedient job left untouched, while honest looks kept showing it."""
    untouched = not any(one.effect for one in case.changes)
    if case.data.get("outcome") != "timed_out" or not (case.obeys and case.job.alive and untouched) or case.barred:
        return
    if _honest_tail(case, 0.0):
        yield f"timed_out, and none of {len(case.changes)} changing calls reached a job that would have stopped"


def _honest_tail(case: Case, since: float) -> bool:
    """Whether the product got honest looks for long enough since that time and after the last lie."""
    lied = max((one.at for one in case.calls if not one.honest), default=0.0)
    tail = [one.at for one in case.looks if one.honest and one.at > max(since, lied)]
    return len(tail) >= TAIL_LOOKS and tail[-1] - tail[0] >= TAIL_TIME * case.times.believe_after


def never_asked(case: Case) -> Iterator[str]:
    """Each job that a command names is at least looked at, at its own address."""
    called = {(one.job_id, one.address) for one in case.calls}
    if case.data.get("outcome") in {None, "refused", "timed_out"}:
        return
    for job_id, address in case.asked:
        if (job_id, address) not in called:
            yield f"{job_id} at {address or 'its backend'}, and the end says {case.data['outcome']}"


def hurried(case: Case) -> Iterator[str]:
    """A backend that asks for time by `Retry-After` gets it, up to our own deadline."""
    if not case.events:
        return
    deadline = at_of(case.events[0]) + case.times.give_up_after - 0.3
    for former, one in zip(case.calls, case.calls[1:], strict=False):
        waited = one.at - former.at
        if former.retry_after and waited < former.retry_after - EARLY - case.lag and one.at < deadline:
            yield f"{one.verb} {waited:.2f} s after a {former.told} that asked for {former.retry_after:g} s"


RULES: Mapping[str, Callable[[Case], Iterator[str]]] = {
    "a false end": false_ends,
    "an invented end": invented_ends,
    "a call to a stranger": foreign_calls,
    "a result destroyed": destroyed,
    "an early force": early_forces,
    "a forbidden force": forbidden_forces,
    "calls without bound": unbounded,
    "no end in time": late_ends,
    "a call after the end": calls_after_the_end,
    "another's end claimed": claimed_effects,
    "gave in to a passing lie": gave_in,
    "an end missed": missed_ends,
    "a stop missed": missed_stops,
    "a job never asked for": never_asked,
    "Retry-After ignored": hurried,
}
"""Each class of finding and its rule."""


def findings(case: Case) -> list[tuple[str, str]]:
    """Return what is wrong with a life: each finding's class, and a line about it."""
    return [(name, text) for name, rule in RULES.items() for text in rule(case)]
