"""What `demo` shows: jobs with scripted lives, a command for each, and its expected outcome. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Case:
    """One command and its job.

    `life` and `script` are the simulator's words for the job; an empty life means that there is no such job. `then` is
    an operator's or producer's next step, and the event after which it is taken. `needs` are events that must be seen.
    With `others` it is a batch of this job and that many other running jobs; `expected` then says how all have ended.
    """

    shows: str
    backend: str
    job_id: str
    expected: str
    life: str = ""
    verb: str = "cancel"
    script: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    evidence: str = ""
    then: tuple[str, str] | None = None
    needs: tuple[str, ...] = ()
    others: int = 0

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """The job as the simulator's jobs file has it."""
        if not self.life:
            return []
        system = self.backend.partition("-")[0]
        others = [{"system": system, "id": f"{self.job_id}{{n}}", "count": self.others}] if self.others else []
        return [{"system": system, "id": self.job_id, "life": self.life, **self.script}, *others]


STOPPED = {"remote_stopped": True, "requested_by": "demo"}
CHILDREN = [{"id": "300201", "life": "runs"}, {"id": "300202", "life": "stuck"}]

CANARY = 5
"""The first members of a batch, which must have ended before the rest starts."""
FORCED_JOB = "300102"
"""The job whose force call is checked against the simulator's own log."""

CASES = (
    Case("a running job is cancelled", "ess", "300101", "cancelled", "runs", evidence="reported"),
    Case(
        "stuck: forced after 30 min",
        "ess",
        FORCED_JOB,
        "force_cancelled",
        "stuck",
        fields=STOPPED,
        evidence="attested",
        needs=("force_sent",),
    ),
    Case(
        "stuck: held until attested",
        "ess",
        "300103",
        "force_cancelled",
        "stuck",
        evidence="attested",
        then=("force_held", "attest"),
        needs=("force_held", "force_sent"),
    ),
    Case(
        "a parent with a stuck child",
        "ess",
        "300200",
        "force_cancelled",
        "runs",
        script={"children": CHILDREN},
        fields=STOPPED,
        evidence="attested",
    ),
    Case("stopped, its record removed", "ess", "300104", "deleted", "runs", verb="delete"),
    Case("it had ended before", "ess", "300105", "already_finished", "finished"),
    Case("it wins against the cancel", "ess", "300106", "completed_anyway", "race"),
    Case("there is no such job", "ess", "300107", "not_found"),
    Case("no right to change it", "ess", "300108", "refused", "forbidden"),
    Case(
        "given up after 4 s, no force",
        "ess",
        "300109",
        "timed_out",
        "stuck",
        fields={"give_up_after": 4, "force": "never"},
    ),
    Case("withdrawn by an operator", "ess", "300110", "aborted", "stuck", then=("cancel_sent", "abort")),
    Case(
        "held for 4 s, then forced",
        "ess",
        "300112",
        "force_cancelled",
        "stuck",
        fields=STOPPED,
        evidence="attested",
        then=("cancel_sent", "hold"),
        needs=("held", "released", "force_sent"),
    ),
    Case("a dry run: nothing is sent", "ess", "300113", "planned", "runs", fields={"dry_run": True}),
    Case("not in the expected state", "ess", "300114", "changed", "runs", fields={"expect": {"raw_state": "BLOCKED"}}),
    Case(
        "a delete joins the cancel",
        "ess",
        "300111",
        "deleted",
        "runs",
        script={"cancels_after": 1200},
        then=("accepted", "delete"),
        needs=("joined",),
    ),
    Case(
        "a batch: canary, one held",
        "ess",
        "3003",
        "50 stopped",
        "stuck",
        fields=STOPPED,
        then=("cancel_sent", "hold"),
        needs=("started", "held", "released", "force_sent"),
        others=49,
    ),
    Case("an unknown backend", "nowhere", "1", "rejected"),
    Case("a running script is stopped", "oml", "oml-1", "cancelled", "runs"),
    Case("ended: its result survives", "oml", "oml-2", "already_finished", "finished"),
    Case("a script and its record", "oml", "oml-3", "deleted", "runs", verb="delete"),
    Case("a running job is cancelled", "mrs", "mrs-1", "cancelled", "runs"),
    Case("the cancel's answer is lost", "mrs", "mrs-2", "cancelled", "runs"),
    Case("a running job is killed", "mrs-v2", "mrs-3", "cancelled", "runs"),
    Case("a job and its record", "mrs-v2", "mrs-4", "deleted", "runs", verb="delete"),
    Case("a running job is cancelled", "sahara", "job-1", "cancelled", "runs"),
    Case(
        "falls back, dies after all",
        "sahara",
        "job-2",
        "cancelled",
        "falls_back",
        script={"killed_after": 120},
    ),
    Case("protected: it will not", "sahara-v2", "job-3", "refused", "protected"),
    Case("a job and its record", "sahara-v2", "job-4", "deleted", "runs", verb="delete"),
)

FAULTS = ({"kind": "lost_answer", "system": "mrs", "verb": "cancel", "job_id": "mrs-2", "times": 1},)


JOBS_FILE = {"jobs": [job for case in CASES for job in case.jobs], "faults": FAULTS}
"""What the simulator is started with."""
