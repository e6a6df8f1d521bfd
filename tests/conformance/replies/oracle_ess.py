"""What Oracle ESS answers."""

from __future__ import annotations

from conformance.dialect import (
    ACCEPTED,
    CANCEL,
    DELETE,
    FIRST_CANCEL,
    FORCE,
    NO_RIGHT,
    NOT_FOUND,
    REFUSED,
    REJECTED,
    UNKNOWN_JOB,
    VERBS,
    Dialect,
    Habits,
)

from worker.backends.oracle_ess import OracleEss
from worker.domain.model import JobState

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

DIALECTS = (ESS,)
HABITS: Habits = {
    "cancel_in_cancelling": (409, 200),
    "cancel_terminal": (409,),
    "race_outcome": ("SUCCEEDED", "WARNING", "ERROR"),
    "times": ("naive",),
    "force_allowed_shown": ("absent", "state"),
    "search_from": (1,),
    "count_is_total": (True,),
}
