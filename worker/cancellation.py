"""Inner values: our durable record of one job that has to stop. Only frozen values, no rule."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field

from worker.model import Action, AnswerKind, Force, Job, JobState, Lane, Verb

REMOVING = (str(Action.CANCEL), str(Action.DELETE))
"""The calls that may remove a job's record; see `sent_key`."""


class Orders(Struct, frozen=True):
    """What the commands of a cancellation demand together; joins and operators change it.

    `revision` moves with every change that a decision could depend on.
    """

    verb: Verb
    force: Force
    force_after: float
    give_up_at: datetime
    lane: Lane = Lane.INTERACTIVE
    remote_stopped: str = ""
    """Who gave the word that the remote process has stopped; empty when nobody did."""
    aborted: str = ""
    """Who withdrew the cancellation and why; empty when nobody did."""
    revision: int = 0
    not_before: datetime | None = None
    """No call is made before it; None where the first may be made at once."""


class Intent(Struct, frozen=True, omit_defaults=True):
    """A changing call that is about to be made, noted before it is."""

    action: Action
    job_id: str
    at: datetime


class Sent(Struct, frozen=True, omit_defaults=True):
    """The history of one changing call to one job.

    `accepted` and `unanswered` say whether any try ended so; `last` is how the latest one did, and `last_at` when.
    Of a force, `allowed` is what the backend said when it was sent, `probed` whether the second source had just said
    that the job's process is gone. `retry_after` is in seconds.
    """

    first_at: datetime
    last_at: datetime
    last: AnswerKind
    count: int = 1
    accepted: bool = False
    unanswered: bool = False
    allowed: bool | None = None
    probed: bool = False
    detail: str = ""
    retry_after: float | None = None

    @property
    def effective(self) -> bool:
        """Whether the call may have changed something."""
        return self.accepted or self.unanswered


class Sight(Struct, frozen=True, omit_defaults=True):
    """When we first saw a job in CANCELLING, and the backend's text for its time then."""

    at: datetime
    since_text: str = ""


class End(Struct, frozen=True, omit_defaults=True):
    """The final state of a job whose record is still to be deleted."""

    state: JobState
    raw: str
    verified: bool = True


class Progress(Struct, frozen=True, omit_defaults=True):
    """What a cancellation has done and seen so far; only a pass writes it.

    `looked_at` is when the latest look that showed something began: what came later it may not have seen; `vague_at`
    when the first of those did that, in a row up to it, found the job gone in words not the backend's own.
    `sent` is keyed by `sent_key`. `waits` counts the waits since something last changed.
    `held` keeps which reasons of a shut force gate were told. `next` says in words what comes next.
    """

    intent: Intent | None = None
    sent: Mapping[str, Sent] = field(default_factory=dict)
    looks: int = 0
    failed_looks: int = 0
    waits: int = 0
    looked_at: datetime | None = None
    seen_alive: bool = False
    state: JobState | None = None
    raw: str = ""
    end: End | None = None
    parent: bool = False
    cancelling: Mapping[str, Sight] = field(default_factory=dict)
    probed_gone: bool = False
    overdue: bool = False
    held: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    next: str = ""
    vague_at: datetime | None = None


def sent_key(action: Action, job_id: str) -> str:
    """Name a changing call in `Progress.sent`; a force counts for each job by itself."""
    return f"{action}:{job_id}" if action is Action.FORCE else str(action)


class Cancellation(Struct, frozen=True):
    """Our durable record of one job that has to stop."""

    id: str
    backend: str
    job_id: str
    accepted_at: datetime
    orders: Orders
    progress: Progress = field(default_factory=Progress)
    params: Mapping[str, str] = field(default_factory=dict)
    traceparent: str | None = None

    @property
    def begins_at(self) -> datetime:
        """When the first call may be made: the waits that end a cancellation, or warn of it, run from then."""
        not_before = self.orders.not_before
        return self.accepted_at if not_before is None else max(self.accepted_at, not_before)

    def seen_at(self, now: datetime) -> datetime:
        """Return the moment up to which the latest look may have seen what happened."""
        looked_at = self.progress.looked_at
        return now if looked_at is None else min(now, looked_at)

    @property
    def job(self) -> Job:
        """The job as an adapter needs it."""
        sent = self.progress.sent
        removed = any(key in sent and sent[key].effective for key in REMOVING)
        return Job(self.job_id, self.params, stop_sent=removed, parent=self.progress.parent)
