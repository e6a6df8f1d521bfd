"""The one table of this suite: each row is a dialect, with what its backend's pages promise. A new backend is a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from worker.backends.adapter import Adapter
from worker.backends.mrs import Mrs
from worker.backends.oracle_ess import OracleEss
from worker.backends.oracle_ml import OracleMl
from worker.backends.sahara import Sahara
from worker.domain.model import Action, AnswerKind, JobState

PROJECT = "p1"
CLUSTER = "c1"

ACCEPTED, REJECTED, REFUSED = AnswerKind.ACCEPTED, AnswerKind.REJECTED, AnswerKind.REFUSED
NOT_FOUND = AnswerKind.NOT_FOUND
CANCEL, DELETE, FORCE = Action.CANCEL, Action.DELETE, Action.FORCE

States = Mapping[str, tuple[JobState, str]]
Answers = Mapping[tuple[Action, str], AnswerKind]


@dataclass(frozen=True)
class Dialect:
    """One way of speaking to one backend.

    `states` maps the simulator's state to what a look must make of it; `answers` a call to a job of some
    life to what its answer says. `verbs` is how the simulator's log names our calls, `steps` which of them
    a command makes to a running job. `silent` are those whose success has no body.
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
        """Return this dialect as spoken by a backend with other habits."""
        return replace(self, name=f"{self.name}-{name}", knobs={**self.knobs, **knobs})


ONCE = {"cancel": (CANCEL,), "delete": (DELETE,)}
FIRST_CANCEL = {"cancel": (CANCEL,), "delete": (CANCEL, DELETE)}
VERBS = {Action.LOOK: "look", CANCEL: "cancel", DELETE: "delete"}
UNKNOWN_JOB: Answers = {(CANCEL, "absent"): NOT_FOUND, (DELETE, "absent"): NOT_FOUND}
NO_RIGHT: Answers = {(CANCEL, "forbidden"): REFUSED, (DELETE, "forbidden"): REFUSED}

ESS = Dialect(
    name="ess",
    system="ess",
    adapter=OracleEss(),
    states={
        word: (state, word)
        for state, words in {
            JobState.UNKNOWN: "UNKNOWN",
            JobState.ACTIVE: "WAIT READY RUNNING COMPLETED BLOCKED HOLD PAUSED PENDING_VALIDATION SCHEDULE_ENDED "
            "ERROR_AUTO_RETRY ERROR_MANUAL_RECOVERY",
            JobState.CANCELLING: "CANCELLING",
            JobState.CANCELLED: "CANCELLED",
            JobState.FAILED: "EXPIRED ERROR VALIDATION_FAILED",
            JobState.SUCCEEDED: "WARNING SUCCEEDED FINISHED",
        }.items()
        for word in words.split()
    },
    answers={
        (CANCEL, "runs"): ACCEPTED,
        (CANCEL, "finished"): REJECTED,
        (DELETE, "runs"): REJECTED,
        (DELETE, "finished"): ACCEPTED,
        (FORCE, "runs"): REJECTED,
        (FORCE, "absent"): NOT_FOUND,
        (FORCE, "forbidden"): REFUSED,
        **UNKNOWN_JOB,
        **NO_RIGHT,
    },
    stopped="CANCELLED",
    missing="404",
    verbs={**VERBS, FORCE: "force"},
    steps={**FIRST_CANCEL, "force": (CANCEL, FORCE)},
    silent=frozenset({DELETE}),
    text_ids=False,
)

OML = Dialect(
    name="oml-r",
    system="oml",
    adapter=OracleMl("r-scripts"),
    states={
        "waiting": (JobState.ACTIVE, "job is still running"),
        "running": (JobState.ACTIVE, "job is still running"),
        "cancelling": (JobState.ACTIVE, "job is still running"),
        "succeeded": (JobState.SUCCEEDED, "FINISH"),
        "failed": (JobState.SUCCEEDED, "FINISH"),
    },
    answers={
        (CANCEL, "runs"): ACCEPTED,
        (CANCEL, "finished"): ACCEPTED,
        (DELETE, "runs"): ACCEPTED,
        (DELETE, "finished"): ACCEPTED,
        **UNKNOWN_JOB,
        **NO_RIGHT,
    },
    stopped="deleted",
    missing="job not found",
    verbs={**VERBS, CANCEL: "delete"},
    steps=ONCE,
    silent=frozenset(),
)

MRS_V11 = Dialect(
    name="mrs-v1.1",
    system="mrs",
    adapter=Mrs(PROJECT),
    states={
        "submitting": (JobState.ACTIVE, "1/0"),
        "starting": (JobState.ACTIVE, "1/0"),
        "running": (JobState.ACTIVE, "2/0"),
        "cancelling": (JobState.ACTIVE, "2/0"),
        "abnormal": (JobState.ACTIVE, "4/0"),
        "cancelled": (JobState.CANCELLED, "-1/3"),
        "succeeded": (JobState.SUCCEEDED, "3/2"),
        "completed_failed": (JobState.FAILED, "3/1"),
        "failed": (JobState.FAILED, "5/1"),
    },
    answers={
        (CANCEL, "runs"): ACCEPTED,
        (CANCEL, "finished"): ACCEPTED,
        (DELETE, "runs"): REJECTED,
        (DELETE, "finished"): ACCEPTED,
        **UNKNOWN_JOB,
        **NO_RIGHT,
    },
    stopped="cancelled",
    missing="0176",
    verbs=VERBS,
    steps=FIRST_CANCEL,
    silent=frozenset({DELETE}),
)

MRS_V2 = replace(
    MRS_V11,
    name="mrs-v2",
    adapter=Mrs(PROJECT, "v2", CLUSTER),
    states={
        "submitting": (JobState.ACTIVE, "NEW/UNDEFINED"),
        "starting": (JobState.ACTIVE, "ACCEPTED/UNDEFINED"),
        "running": (JobState.ACTIVE, "RUNNING/UNDEFINED"),
        "cancelling": (JobState.ACTIVE, "RUNNING/UNDEFINED"),
        "abnormal": (JobState.ACTIVE, "RUNNING/UNDEFINED"),
        "cancelled": (JobState.CANCELLED, "KILLED/KILLED"),
        "succeeded": (JobState.SUCCEEDED, "FINISHED/SUCCEEDED"),
        "completed_failed": (JobState.FAILED, "FINISHED/FAILED"),
        "failed": (JobState.FAILED, "FAILED/FAILED"),
    },
    answers={
        (CANCEL, "runs"): ACCEPTED,
        (CANCEL, "finished"): REJECTED,
        (CANCEL, "absent"): NOT_FOUND,
        (CANCEL, "forbidden"): REFUSED,
        (DELETE, "runs"): ACCEPTED,  # of a batch of one nothing is told: the next look does
        (DELETE, "finished"): ACCEPTED,
        (DELETE, "absent"): ACCEPTED,
    },
    silent=frozenset({CANCEL, DELETE}),
    batch_delete=True,
)

SAHARA_V11 = Dialect(
    name="sahara-v1.1",
    system="sahara",
    adapter=Sahara(PROJECT),
    states={
        word: (state, word)
        for state, words in {
            JobState.ACTIVE: "PENDING READYTORUN PREP RUNNING TOBESUSPENDED SUSPENDED PREPSUSPENDED",
            JobState.CANCELLING: "TOBEKILLED",
            JobState.SUCCEEDED: "SUCCEEDED",
            JobState.FAILED: "FAILED DONEWITHERROR SUSPENDFAILED",
            JobState.CANCELLED: "KILLED",
        }.items()
        for word in words.split()
    },
    answers={
        (CANCEL, "runs"): ACCEPTED,
        (CANCEL, "finished"): ACCEPTED,
        (CANCEL, "protected"): REFUSED,
        (DELETE, "runs"): ACCEPTED,
        (DELETE, "finished"): ACCEPTED,
        (DELETE, "protected"): REFUSED,
        **UNKNOWN_JOB,
        **NO_RIGHT,
    },
    stopped="KILLED",
    missing="NOT_FOUND",
    verbs={**VERBS, Action.LOOK: "refresh"},
    steps=FIRST_CANCEL,
    silent=frozenset({DELETE}),
)
SAHARA_V2 = replace(SAHARA_V11, name="sahara-v2", adapter=Sahara(PROJECT, "v2"), verbs=VERBS)

HUAWEI = {"mrs.dialect": "huawei"}
DIALECTS = (
    ESS,
    OML,
    replace(OML, name="oml-py", adapter=OracleMl("py-scripts")),
    MRS_V11,
    MRS_V11.with_knobs("huawei", **HUAWEI),
    MRS_V2,
    MRS_V2.with_knobs("huawei", **HUAWEI),
    SAHARA_V11,
    SAHARA_V2,
)

HABITS: Mapping[str, Mapping[str, tuple[object, ...]]] = {
    "ess": {
        "cancel_in_cancelling": (409, 200),
        "cancel_terminal": (409,),
        "race_outcome": ("SUCCEEDED", "WARNING", "ERROR"),
        "times": ("naive",),
        "force_allowed_shown": ("absent", "state"),
        "search_from": (1,),
        "count_is_total": (True,),
    },
    "oml": {
        "get_after_delete": (404, 500),
        "delete_answer": (202, 204),
        "delete_finished": (400,),
        "list_running_state": ("at work",),
    },
    "mrs": {"missing": ("404",), "cancel_finished": (500,), "kill_finished": (202,), "batch_delete_answer": (200, 202)},
    "sahara": {"mode": ("sync",), "stale_reads": (True,), "delete_keeps_raced": (True,)},
}
"""What the vendors' pages leave open, by system: each reading of them must end right."""


def habitual() -> Iterator[Dialect]:
    """Each dialect with each single habit that its backend may have."""
    for dialect in DIALECTS:
        for knob, values in HABITS[dialect.system].items():
            for value in values:
                yield dialect.with_knobs(f"{knob}={value}", **{f"{dialect.system}.{knob}": value})


each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
each_text_dialect = pytest.mark.parametrize(
    "dialect", [one for one in DIALECTS if one.text_ids], ids=lambda dialect: dialect.name
)
