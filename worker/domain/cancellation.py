"""Inner values: our durable record of one job that has to stop. Only frozen values, no rule."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from msgspec import Struct, field

from .model import Action, AnswerKind, Force, Job, JobState, Lane, Verb

WHOLE = ""
"""The key in `Spec.attestations` of a word about the job itself and its family."""

FAR = datetime(2900, 1, 1, tzinfo=UTC)
"""Later than anything that is planned."""

REMOVING = (str(Action.CANCEL), str(Action.DELETE))
"""The calls that may remove a job's record; see `sent_key`."""


def attributed(by: str, signed_by: str) -> str:
    """Say who did something: what they call themselves, behind the verified producer if there is one."""
    return " as ".join(part for part in (signed_by and f"{signed_by} (signed)", by) if part)


class Attestation(Struct, frozen=True):
    """Somebody's word that a job's remote process has stopped: whose, and when it was given.

    `by` is what they call themselves, and why; `signed_by` is the verified producer, empty where nobody signed.
    """

    by: str
    at: datetime
    signed_by: str = ""

    @property
    def whose(self) -> str:
        """Whose word it is, the verified producer first."""
        return attributed(self.by, self.signed_by)


class OperatorHold(Struct, frozen=True):
    """An operator's order that no changing call is made: since when, and until when if it has an end of its own.

    `announced` is whether its `held` event was emitted, which a call in flight puts off.
    """

    by: str
    reason: str
    since: datetime
    until: datetime | None = None
    signed_by: str = ""
    announced: bool = True

    @property
    def whose(self) -> str:
        """Who holds it, the verified producer first."""
        return attributed(self.by, self.signed_by)


class Spec(Struct, frozen=True):
    """What the commands of a cancellation demand together; joins and operators change it.

    `revision` moves with every change that a decision could depend on.
    """

    verb: Verb
    force: Force
    force_after: float
    give_up_at: datetime
    lane: Lane = Lane.INTERACTIVE
    attestations: Mapping[str, Attestation] = field(default_factory=dict)
    """Who gave their word that a remote process has stopped: by a child's job id, or `WHOLE` for the whole family."""
    aborted: str = ""
    """Who withdrew the cancellation and why; empty when nobody did."""
    withdrawal: Mapping[str, str] = field(default_factory=dict)
    """The same as events tell an operator's action: by, reason, signed_by. Empty in records of older versions."""
    revision: int = 0
    not_before: datetime | None = None
    """No call is made before it; None where the first may be made at once."""
    hold: OperatorHold | None = None
    held_for: float = 0.0
    """Seconds that earlier holds have lasted; `give_up_at` has moved by them."""
    dry_run: bool = False
    """Only look, and say what would be done."""
    expect: tuple[str, ...] = ()
    """The backend's words for the states in which the job may be touched first; any if there is none."""


class Intent(Struct, frozen=True, omit_defaults=True):
    """A changing call that is about to be made, noted before it is."""

    action: Action
    job_id: str
    at: datetime


class Doubted(StrEnum):
    """What an answer that may not be the backend's own says of a job, and of our right to it."""

    GONE = "gone"
    REFUSED = "refused"
    CREDENTIAL = "credential"


class Doubt(Struct, frozen=True, omit_defaults=True):
    """Answers in a row that all made one claim and may not be the backend's own: since when, until when, how many."""

    claim: Doubted
    since: datetime
    last: datetime
    times: int = 1


class Sent(Struct, frozen=True, omit_defaults=True):
    """The history of one changing call to one job.

    `accepted` and `unanswered` say whether any try ended so; `last` is how the latest one did, and `last_at` when.
    `doubt` is the row of refusals, up to the latest try, that may not be the backend's own.
    Of a force, `allowed` is what the backend said when it was sent, `probed` whether the second source had just said
    that the job's process is gone. `retry_after` is in seconds, `held` how many holds had lasted by `last_at`.
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
    doubt: Doubt | None = None
    held: float = 0.0

    @property
    def effective(self) -> bool:
        """Whether the call may have changed something."""
        return self.accepted or self.unanswered


class Sighting(Struct, frozen=True, omit_defaults=True):
    """When we first saw a job in CANCELLING, and the backend's text for its time then.

    `not_before` is when it was certainly not there yet, None if that is not known. `held` is how many seconds holds
    had lasted by then.
    """

    at: datetime
    since_text: str = ""
    not_before: datetime | None = None
    held: float = 0.0


class ClockReading(Struct, frozen=True, omit_defaults=True):
    """A backend's clock beside ours at one moment.

    `steady` says that a later reading has moved as our time did, `anew` that an earlier one did not fit this one.
    """

    theirs: datetime
    ours: datetime
    steady: bool = False
    anew: bool = False


class Child(Struct, frozen=True, omit_defaults=True):
    """A child that was seen alive: when first and last, and its end once that was seen."""

    first_at: datetime
    alive_at: datetime
    state: JobState = JobState.UNKNOWN
    raw: str = ""
    ended_at: datetime | None = None

    @property
    def living(self) -> bool:
        """Whether it has not been seen to end."""
        return not self.state.final


class Probed(Struct, frozen=True, omit_defaults=True):
    """What the second source says of a job's process, in a row of equal answers."""

    gone: bool
    since: datetime
    last: datetime
    times: int = 1


class End(Struct, frozen=True, omit_defaults=True):
    """The final state of a job whose record is still to be deleted."""

    state: JobState
    raw: str


class Progress(Struct, frozen=True, omit_defaults=True):
    """What a cancellation has done and seen so far; only a pass writes it.

    `looked_at` is when the latest look that showed something began: what came later it may not have seen; `alive_at`
    is that of the latest one that showed the job alive.
    `sent` is keyed by `sent_key`. `waits` counts the waits since something last changed.
    `held` keeps which reasons of a shut force gate were told. `next` says in words what comes next.
    `worker.domain.evidence` weighs the rest: `doubt`, answers of looks that may not be the backend's own; `closed_at`,
    when
    the first of the looks in a row began that found a whole family ended; `family_at`, when its children were first
    seen; `children`, those seen alive, the ones to be asked about first in front; `clock`; `probes`, by job id;
    `void`, when a word was refuted, by its key in `Spec.attestations`. `pages` and `long` are for the next look, see
    `model.Job`.
    """

    intent: Intent | None = None
    sent: Mapping[str, Sent] = field(default_factory=dict)
    looks: int = 0
    failed_looks: int = 0
    waits: int = 0
    looked_at: datetime | None = None
    seen_alive: bool = False
    alive_at: datetime | None = None
    state: JobState | None = None
    raw: str = ""
    end: End | None = None
    parent: bool = False
    cancelling: Mapping[str, Sighting] = field(default_factory=dict)
    overdue: bool = False
    held: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    next: str = ""
    doubt: Doubt | None = None
    closed_at: datetime | None = None
    family_at: datetime | None = None
    children: Mapping[str, Child] = field(default_factory=dict)
    clock: ClockReading | None = None
    probes: Mapping[str, Probed] = field(default_factory=dict)
    void: Mapping[str, datetime] = field(default_factory=dict)
    pages: int = 0
    long: bool = False


def sent_key(action: Action, job_id: str) -> str:
    """Name a changing call in `Progress.sent`; a force counts for each job by itself."""
    return f"{action}:{job_id}" if action is Action.FORCE else str(action)


class Cancellation(Struct, frozen=True):
    """Our durable record of one job that has to stop.

    `place` is the mark of the backend's place when this was accepted; empty in records of older versions.
    """

    id: str
    backend: str
    job_id: str
    accepted_at: datetime
    spec: Spec
    progress: Progress = field(default_factory=Progress)
    params: Mapping[str, str] = field(default_factory=dict)
    traceparent: str | None = None
    place: str = ""

    @property
    def begins_at(self) -> datetime:
        """When the first call may be made: the waits that end a cancellation, or warn of it, run from then."""
        not_before = self.spec.not_before
        return self.accepted_at if not_before is None else max(self.accepted_at, not_before)

    def stood_still(self, now: datetime) -> float:
        """Return for how many seconds holds have lasted until now."""
        return self.spec.held_for + self._holding(now)

    def gives_up_at(self, now: datetime) -> datetime:
        """Return when it is given up, as far as it is known now: that time stands still while it is held."""
        give_up_at, hold = self.spec.give_up_at, self.spec.hold
        if hold is None or hold.since >= give_up_at:
            return give_up_at
        return give_up_at + timedelta(seconds=self._holding(now))

    def _holding(self, now: datetime) -> float:
        """Return for how many seconds the hold in force has lasted; before the first call may be made none count."""
        hold = self.spec.hold
        if hold is None:
            return 0.0
        end = now if hold.until is None else min(now, hold.until)
        return max(0.0, (end - max(hold.since, self.begins_at)).total_seconds())

    def seen_at(self, now: datetime) -> datetime:
        """Return the moment up to which the latest look may have seen what happened."""
        looked_at = self.progress.looked_at
        return now if looked_at is None else min(now, looked_at)

    @property
    def job(self) -> Job:
        """The job as an adapter needs it."""
        one = self.progress
        removed = any(one.sent[key].effective for key in REMOVING if key in one.sent)
        living = tuple([child_id for child_id, child in one.children.items() if child.living])
        return Job(self.job_id, self.params, removed, one.parent, living, one.pages, one.long)
