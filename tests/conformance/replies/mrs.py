"""What MRS answers in both dialects, as Open Telekom Cloud and as Huawei runs it."""

from __future__ import annotations

from dataclasses import replace

from conformance.dialect import (
    ACCEPTED,
    CANCEL,
    CLUSTER,
    DELETE,
    FIRST_CANCEL,
    NO_RIGHT,
    NOT_FOUND,
    PROJECT,
    REFUSED,
    REJECTED,
    UNKNOWN_JOB,
    VERBS,
    Dialect,
    Habits,
)

from worker.backends.mrs import Mrs
from worker.domain.model import JobState

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
        (DELETE, "runs"): ACCEPTED,  # the reply to a batch of one says nothing about it: the next look does
        (DELETE, "finished"): ACCEPTED,
        (DELETE, "absent"): ACCEPTED,
    },
    silent=frozenset({CANCEL, DELETE}),
    batch_delete=True,
)

HUAWEI = {"mrs.dialect": "huawei"}
DIALECTS = (MRS_V11, MRS_V11.with_knobs("huawei", **HUAWEI), MRS_V2, MRS_V2.with_knobs("huawei", **HUAWEI))
HABITS: Habits = {
    "missing": ("404",),
    "cancel_finished": (500,),
    "kill_finished": (202,),
    "batch_delete_answer": (200, 202),
}
