"""Inner values: what a pass may decide, and the force gate that stands behind two of them."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from .model import Action, Evidence, Outcome


class Condition(Struct, frozen=True):
    """One precondition of the force step; `met` is None where nobody can tell."""

    name: str
    met: bool | None
    evidence: str


class Gate(Struct, frozen=True):
    """All preconditions of the force step for one job; `wait` is how many seconds the time needs yet."""

    job_id: str
    conditions: tuple[Condition, ...]
    wait: float

    @property
    def shut(self) -> tuple[str, ...]:
        """The names of the conditions that do not hold; what nobody can tell does not shut the gate."""
        return tuple(condition.name for condition in self.conditions if condition.met is False)

    @property
    def reason(self) -> str:
        """What is told once: which job is held, and by what."""
        return "+".join((self.job_id, *self.shut))


class Send(Struct, frozen=True):
    """Decision: make this changing call now. `allowed` is what the backend says of a force."""

    action: Action
    job_id: str
    allowed: bool | None = None


class Wait(Struct, frozen=True):
    """Decision: nothing to do until then; `why` is for people."""

    until: datetime
    why: str


class Hold(Struct, frozen=True):
    """Decision: the force step is due and its gate is shut; look again at `until`."""

    until: datetime
    gate: Gate


class Plan(Struct, frozen=True):
    """What a dry run has found: what would be sent (`cancel`, `delete` or `nothing`), and why."""

    would: str
    because: str


class Finish(Struct, frozen=True):
    """Decision: the cancellation has ended."""

    outcome: Outcome
    evidence: Evidence
    detail: str = ""
    plan: Plan | None = None

    @property
    def safe_to_rerun(self) -> bool:
        """Whether the job is known to run no more, so that its work may be started again."""
        return self.outcome in ENDED and self.evidence in PROVEN


ENDED = frozenset(
    {
        Outcome.CANCELLED,
        Outcome.FORCE_CANCELLED,
        Outcome.DELETED,
        Outcome.ALREADY_FINISHED,
        Outcome.COMPLETED_ANYWAY,
    }
)
"""The outcomes in which the job itself has ended."""

PROVEN = frozenset({Evidence.REPORTED, Evidence.PROBED, Evidence.ATTESTED})

Decision = Send | Wait | Hold | Finish
