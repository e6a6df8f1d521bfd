"""What Oracle ML answers; the replies are the same for both kinds of scripts."""

from __future__ import annotations

from dataclasses import replace

from conformance.dialect import (
    ACCEPTED,
    CANCEL,
    DELETE,
    NO_RIGHT,
    ONCE,
    UNKNOWN_JOB,
    VERBS,
    Dialect,
    Habits,
)

from worker.backends.oracle_ml import OracleMl
from worker.domain.model import JobState

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

DIALECTS = (OML, replace(OML, name="oml-py", adapter=OracleMl("py-scripts")))
HABITS: Habits = {
    "get_after_delete": (404, 500),
    "delete_answer": (202, 204),
    "delete_finished": (400,),
    "list_running_state": ("at work",),
}
