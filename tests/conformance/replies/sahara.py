"""What Sahara answers in both dialects."""

from __future__ import annotations

from dataclasses import replace

from conformance.dialect import (
    ACCEPTED,
    CANCEL,
    DELETE,
    FIRST_CANCEL,
    NO_RIGHT,
    PROJECT,
    REFUSED,
    UNKNOWN_JOB,
    VERBS,
    Dialect,
    Habits,
)

from worker.backends.sahara import Sahara
from worker.domain.model import Action, JobState

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

DIALECTS = (SAHARA_V11, SAHARA_V2)
HABITS: Habits = {"mode": ("sync",), "stale_reads": (True,), "delete_keeps_raced": (True,)}
