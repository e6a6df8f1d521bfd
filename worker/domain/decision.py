"""Domain values: what a pass may decide, and the force gate, which decides between a force and a `Hold`."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from .model import Action, Evidence, Outcome

CONDITIONS = ("in_cancelling", "time_over", "asynchronous", "backend_allows", "policy_allows", "remote_stopped")
"""The names of the preconditions of the force step."""


class Condition(Struct, frozen=True):
    """One precondition of the force step; `met` is None if that is unknown, or if the condition does not apply."""

    name: str
    met: bool | None
    evidence: str


class Gate(Struct, frozen=True):
    """All preconditions of the force step for one job.

    `wait` is how many seconds of waiting time are left. `shut` names the conditions that are not met.
    """

    job_id: str
    conditions: tuple[Condition, ...]
    wait: float
    shut: tuple[str, ...]

    @property
    def reason(self) -> str:
        """Which job is held, and by which conditions; each reason is reported once. `read_reason` is the inverse."""
        return "+".join((self.job_id, *self.shut))


def read_reason(reason: str) -> tuple[str, tuple[str, ...]]:
    """Return the job and the conditions of a `Gate.reason`; a job id may contain a plus itself."""
    job_id, conditions = reason, list[str]()
    while True:
        rest, plus, last = job_id.rpartition("+")
        if not plus or last not in CONDITIONS:
            return job_id, tuple(conditions)
        job_id = rest
        conditions.insert(0, last)


class Send(Struct, frozen=True):
    """Decision: make this changing call now. `allowed` is what the backend says about a force."""

    action: Action
    job_id: str
    allowed: bool | None = None


class Wait(Struct, frozen=True):
    """Decision: nothing to do before `until`; `why` is for people."""

    until: datetime
    why: str


class Hold(Struct, frozen=True):
    """Decision: the force step is due but its gate is shut; look again at `until`."""

    until: datetime
    gate: Gate


class Plan(Struct, frozen=True):
    """The result of a dry run: what would be sent (`cancel`, `delete` or `nothing`), and why."""

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
        """Whether the job is known to have stopped, so that its work may be started again."""
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
