"""A dialect: one way of speaking to one backend, with the answers that its vendor's pages promise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from worker.backends.adapter import Adapter
from worker.domain.model import Action, AnswerKind, JobState

PROJECT = "p1"
CLUSTER = "c1"

ACCEPTED, REJECTED, REFUSED = AnswerKind.ACCEPTED, AnswerKind.REJECTED, AnswerKind.REFUSED
NOT_FOUND = AnswerKind.NOT_FOUND
CANCEL, DELETE, FORCE = Action.CANCEL, Action.DELETE, Action.FORCE

States = Mapping[str, tuple[JobState, str]]
Answers = Mapping[tuple[Action, str], AnswerKind]
Habits = Mapping[str, tuple[object, ...]]
"""What a vendor's pages leave open: the simulator's switches with their settings. Each must lead to the right end."""


@dataclass(frozen=True)
class Dialect:
    """One way of speaking to one backend.

    `states` maps each state of the simulator to what a look must make of it; `answers` maps a call and the job's
    life to the kind of answer. `verbs` has the names of our calls in the simulator's log, `steps` the calls that a
    command makes to a running job. `silent` are the calls whose success has no body.
    """

    name: str
    system: str
    adapter: Adapter
    states: States
    answers: Answers
    stopped: str
    missing: str
    verbs: Mapping[Action, str]
    steps: Mapping[str, tuple[Action, ...]]
    silent: frozenset[Action]
    text_ids: bool = True
    batch_delete: bool = False
    knobs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def changing(self) -> tuple[Action, ...]:
        """The calls that change something here, each once."""
        return tuple(action for action in (CANCEL, FORCE, DELETE) if action in self.verbs)

    def with_knobs(self, name: str, **knobs: Any) -> Dialect:
        """Return this dialect as spoken by a backend with other settings."""
        return replace(self, name=f"{self.name}-{name}", knobs={**self.knobs, **knobs})


ONCE = {"cancel": (CANCEL,), "delete": (DELETE,)}
FIRST_CANCEL = {"cancel": (CANCEL,), "delete": (CANCEL, DELETE)}
VERBS = {Action.LOOK: "look", CANCEL: "cancel", DELETE: "delete"}
UNKNOWN_JOB: Answers = {(CANCEL, "absent"): NOT_FOUND, (DELETE, "absent"): NOT_FOUND}
NO_RIGHT: Answers = {(CANCEL, "forbidden"): REFUSED, (DELETE, "forbidden"): REFUSED}
