"""A small model of a backend, whose jobs live their own lives and which has its own clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from msgspec.structs import replace

from worker.domain.model import FINAL, Action, Answer, AnswerKind, JobState, Observation, Source, unanswered

T = datetime(2026, 11, 22, 10, tzinfo=UTC)
LEASE = 40.0
ENDS = {
    "stops": JobState.CANCELLED,
    "succeeds": JobState.SUCCEEDED,
    "fails": JobState.FAILED,
    "closes first": JobState.CANCELLED,
    "was cancelled": JobState.CANCELLED,
    "had succeeded": JobState.SUCCEEDED,
}


@dataclass
class Member:
    """A job of the model: what the backend says about it, and whether its process really runs."""

    id: str
    life: str
    state: JobState = JobState.ACTIVE
    since: float = 0.0
    ended: float | None = None
    final: JobState | None = None
    running: bool = True

    def turn(self, state: JobState, at: float) -> None:
        self.state, self.since = state, at
        if state in FINAL:
            self.ended = at if self.ended is None else self.ended
            self.final = self.final or state

    def stop(self, state: JobState, at: float) -> None:
        self.running = False
        self.turn(state, at)


@dataclass
class World:
    """A backend as a walk's script wants it. Times are seconds on Redis's clock, `log` has each changing call."""

    script: Any
    chance: Random
    at: float = -5.0
    log: list[tuple[Action, str, float]] = field(default_factory=list)
    refused: bool = False
    root: Member = field(init=False)
    children: list[Member] = field(init=False)

    def __post_init__(self) -> None:
        self.root = Member("1", self.script.life, since=self.at)
        self.children = [
            Member(str(2 + n), self.chance.choice(("stops", "stuck"))) for n in range(self.script.children)
        ]
        if self.script.life in {"had succeeded", "was cancelled"}:
            for member in self.family:
                member.stop(ENDS[self.script.life], self.chance.uniform(-60, -0.1))
        if self.script.life == "absent":
            self.root.stop(JobState.GONE, -60)
            self.children = []

    @property
    def family(self) -> list[Member]:
        return [self.root, *self.children]

    def maybe(self, fault: str, odds: float = 0.25) -> bool:
        return fault in self.script.faults and self.chance.random() < odds

    # Life

    def advance(self, to: float, *, known: bool) -> None:
        """Advance the jobs to this time; a record vanishes only if its job is `known`, that is, was seen alive."""
        if to <= self.at:
            return
        for member in reversed(self.family):
            self._live(member, self.chance.uniform(self.at, to))
        self.at = to
        if known and all(one.state in FINAL for one in self.family) and self.maybe("vanish", 0.5):
            self.root.turn(JobState.GONE, to)

    def _live(self, member: Member, at: float) -> None:
        if self.maybe("dies", 0.2):
            member.running = False
        if self.chance.random() < 0.6 or member.state in FINAL or self._keeps_open(member):
            return
        cancelling = member.state is JobState.CANCELLING
        if member.life in {"succeeds", "fails"} or (cancelling and member.life in {"stops", "closes first"}):
            member.stop(ENDS[member.life], at)
        elif cancelling and member.life == "checks in":
            member.since = at
        elif cancelling and member.life == "falls back":
            member.turn(JobState.ACTIVE, at)
        elif member.life == "falls back" and self.log:
            member.turn(JobState.CANCELLING, at)

    def _keeps_open(self, member: Member) -> bool:
        """Whether a parent waits for its children, as most do."""
        return (
            member is self.root
            and member.life != "closes first"
            and any(one.state not in FINAL for one in self.children)
        )

    # Looks

    def vendor(self, at: float) -> datetime:
        """The backend's own clock."""
        return T + timedelta(seconds=self.script.offset + self.script.rate * at)

    def spent(self, member: Member, at: float) -> float:
        """How long a job has been in its state, on the backend's own clock."""
        return float((at - member.since) * self.script.rate)

    def look(self, at: float) -> Observation | Answer:
        if self.maybe("look fails", 0.4):
            kind = self.chance.choice((AnswerKind.UNANSWERED, AnswerKind.BUSY))
            return Answer(kind, Source.NOBODY, 503, retry_after=self.chance.choice((None, 1.0, 300.0)))
        if self.maybe("gateway", 0.4):
            return self._gateway()
        root, *children = (self._show(member, at) for member in self.family)
        if self.root.state is JobState.GONE:
            return Observation(**root)
        return Observation(**{**root, "children": tuple(Observation(**child) for child in children)})

    def _gateway(self) -> Observation | Answer:
        """What a gateway answers instead of the backend."""
        return self.chance.choice(
            (
                Observation(JobState.GONE, "404", Source.UNSURE, "1"),
                Answer(AnswerKind.REFUSED, Source.UNSURE, 403),
                Answer(AnswerKind.REFUSED, Source.CREDENTIAL, 401),
            )
        )

    def _show(self, member: Member, at: float) -> dict[str, Any]:
        state = JobState.UNKNOWN if member.state not in FINAL and self.maybe("unknown", 0.1) else member.state
        since, clock, times = self.vendor(member.since), self.vendor(at).replace(microsecond=0), self.script.times
        shows = times in {"full", "no date"}
        ended = member.ended is not None and self.script.rate <= 1
        allowed = self.spent(member, at) >= self.script.window if self.script.says_allowed else None
        return {
            "state": state,
            "raw": str(state).upper(),
            "source": Source.OWN,
            "job_id": member.id,
            "force_allowed": allowed,
            "asynchronous": self.script.asynchronous,
            "since": since if shows else None,
            "since_text": since.isoformat() if times != "none" else "",
            "clock": clock if times == "full" else None,
            "ended_at": self.vendor(member.ended or 0) if ended and shows else None,
        }

    # Changing calls

    def call(self, action: Action, job_id: str, at: float) -> Answer:
        """Take a call; its effect and its answer may differ."""
        self.log.append((action, job_id, at))
        if self.maybe("refused", 0.05):
            self.refused = True
            return Answer(AnswerKind.REFUSED, Source.OWN, 403)
        if self.maybe("gateway"):
            return Answer(AnswerKind.REFUSED, self.chance.choice((Source.UNSURE, Source.CREDENTIAL)), 403)
        if self.maybe("busy"):
            return Answer(AnswerKind.BUSY, Source.OWN, 429, retry_after=self.chance.choice((None, 3.0, 300.0)))
        if self.maybe("lost before"):
            return unanswered("")
        member = next(one for one in self.family if one.id == job_id)
        before = self.look(at) if self.script.kind == "sahara" and action is Action.CANCEL else None
        answer = self._effect(action, member, at)
        if self.maybe("lost after"):
            return unanswered("")
        clock = self.vendor(at).replace(microsecond=0) if self.script.times == "full" else None
        if (
            isinstance(before, Observation)
            and before.state is not JobState.GONE
            and answer.kind is not AnswerKind.NOT_FOUND
        ):
            return Answer(AnswerKind.ACCEPTED, Source.OWN, 200, before=before, clock=clock)
        return replace(answer, clock=clock)

    def _effect(self, action: Action, member: Member, at: float) -> Answer:
        if member.state is JobState.GONE:
            return Answer(AnswerKind.NOT_FOUND, Source.OWN, 404)
        effect = {Action.CANCEL: self._cancel, Action.FORCE: self._force, Action.DELETE: self._delete}[action]
        ignored = action is not Action.FORCE and self.maybe("ignored", 0.4)
        if ignored or effect(member, at):
            return Answer(AnswerKind.ACCEPTED, Source.OWN, 200)
        return Answer(AnswerKind.REJECTED, Source.OWN, 400)

    def _cancel(self, member: Member, at: float) -> bool:
        if self.script.kind == "oml":
            return self._delete(member, at)
        taken = member.state is JobState.ACTIVE
        for one in self.family:
            if taken and one.state is JobState.ACTIVE:
                one.turn(JobState.CANCELLING, at)
        return taken or self.script.kind == "mrs"

    def _force(self, member: Member, at: float) -> bool:
        taken = member.state is JobState.CANCELLING and self.spent(member, at) >= self.script.window
        if taken:
            member.turn(JobState.CANCELLED, at)
        return taken

    def _delete(self, member: Member, at: float) -> bool:
        if member.state not in FINAL and self.script.kind in {"ess", "sahara"}:
            return False
        member.running = member.running and member.state in FINAL
        member.turn(JobState.GONE, at)
        return True
