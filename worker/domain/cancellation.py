"""Domain values: our durable record of one job that has to stop. Frozen values only, no rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from msgspec import Struct, field

from .model import FINAL, Action, AnswerKind, Force, Job, JobState, Lane, Verb

WHOLE = ""
"""The key in `Spec.attestations` of an attestation about the job itself and its family."""

FAR = datetime(2900, 1, 1, tzinfo=UTC)
"""Later than any planned moment."""

NEVER_HELD = 0.0
"""The seconds on hold if there was no hold. msgspec omits a field only if its value is its default, the same object."""

REMOVING = (str(Action.CANCEL), str(Action.DELETE))
"""The calls that may remove a job's record, by their keys in `Progress.sent`."""


def attributed(by: str, signed_by: str) -> str:
    """Name who did something: the verified producer, if there is one, then what they call themselves."""
    return " as ".join(part for part in (signed_by and f"{signed_by} (signed)", by) if part)


class Attestation(Struct, frozen=True):
    """Somebody's word that a job's remote process has stopped, and when it was given.

    `by` is what they call themselves, and their reason; `signed_by` is the verified producer, empty if unsigned.
    """

    by: str
    at: datetime
    signed_by: str = ""


class OperatorHold(Struct, frozen=True):
    """An operator's order to make no changing calls from `since` on, until `until` if it ends by itself.

    `announced` says whether its `held` event was emitted; a call in flight delays that.
    """

    by: str
    reason: str
    since: datetime
    until: datetime | None = None
    signed_by: str = ""
    announced: bool = True


class Spec(Struct, frozen=True):
    """What all commands of a cancellation ask for together; joins and operators change it.

    `revision` grows with every change that a decision could depend on.
    """

    verb: Verb
    force: Force
    force_after: float
    give_up_at: datetime
    lane: Lane = Lane.INTERACTIVE
    attestations: Mapping[str, Attestation] = field(default_factory=dict)
    """Who gave their word that a remote process has stopped, by a child's job id, or `WHOLE` for the whole family."""
    aborted: str = ""
    """Who withdrew the cancellation and why; empty if nobody did."""
    withdrawal: Mapping[str, str] = field(default_factory=dict)
    """The same, in the fields of an event's `action`: by, reason, signed_by. Empty in records of older versions."""
    revision: int = 0
    not_before: datetime | None = None
    """No call is made before this time; None if the first may be made at once."""
    hold: OperatorHold | None = None
    held_for: float = 0.0
    """How many seconds earlier holds have lasted; `give_up_at` has been postponed by as much."""
    dry_run: bool = False
    """Only look, and report what would be done."""
    expect: tuple[str, ...] = ()
    """The job states, in the backend's words, in which the first call may be made; empty allows any."""


class Intent(Struct, frozen=True, omit_defaults=True):
    """A changing call that is about to be made, recorded before it is."""

    action: Action
    job_id: str
    at: datetime


class Doubted(StrEnum):
    """The claims of an answer that may not be the backend's own."""

    GONE = "gone"
    REFUSED = "refused"
    CREDENTIAL = "credential"


class Doubt(Struct, frozen=True, omit_defaults=True):
    """A run of answers that make the same claim but may not be the backend's own: first, last, and how many."""

    claim: Doubted
    since: datetime
    last: datetime
    times: int = 1


class Sent(Struct, frozen=True, omit_defaults=True):
    """The history of one changing call to one job.

    `accepted` and `unanswered` say whether any try ended that way; `last` is how the latest one ended, `last_at` when.
    `doubt` is the run of refusals, up to the latest try, that may not be the backend's own.
    For a force, `allowed` is what the backend said about it when it was sent, and `probed` whether the second source
    had just said that the job's process is gone. `retry_after` is in seconds; `held` is how many seconds the record
    had been on hold by `last_at`.
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
    held: float = NEVER_HELD

    @property
    def effective(self) -> bool:
        """Whether the call may have changed something."""
        return self.accepted or self.unanswered


class Sighting(Struct, frozen=True, omit_defaults=True):
    """When we first saw a job in CANCELLING, and the last text that the backend has shown for its time there.

    `not_before` is a time at which it was certainly not in that state yet, None if unknown. `held` is how many seconds
    the record had been on hold by `at`. `hidden` is what the first look in a row that showed no time would have begun:
    such looks may hide a check-in.
    """

    at: datetime
    since_text: str = ""
    not_before: datetime | None = None
    held: float = NEVER_HELD
    hidden: Sighting | None = None


class ClockReading(Struct, frozen=True, omit_defaults=True):
    """A backend's clock beside ours at one moment.

    `steady` says that a later reading had advanced as much as our clock, `anew` that this one did not fit an earlier
    one.
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


class Probed(Struct, frozen=True, omit_defaults=True):
    """A run of equal answers from the second source about a job's process."""

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

    `looked_at`: start of the latest successful look, which may have missed anything that happened after it.
    `alive_at`: start of the latest look that showed the job alive.
    `sent`: by `sent_key`. `waits`: how many waits there were since something last changed. `held`: the reasons of a
    shut force gate that were reported, see `Gate.reason`. `next`: what comes next, in words.
    `worker.domain.evidence` weighs the rest. `doubt`: the current run of looks whose answers may not be the backend's
    own. `cancelling`: the jobs in CANCELLING. `left`: the last text shown for the time of each job that was there, and
    is now shown neither there nor running. `denied`: by job id, the fields of `Observation` by which the backend last
    denied a force. `closed_at`: start of the current run of looks that found the whole family ended. `family_at`: when
    the children were first seen. `children`: those seen alive, in the order in which to ask about them. `probes`: by
    job id. `void`: when an attestation was refuted, by its key in `Spec.attestations`. `pages` and `long`: for the next
    look, see `model.Job`. `quiet_until`: the replies to a look asked us not to look again before then.
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
    left: Mapping[str, str] = field(default_factory=dict)
    denied: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
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
    quiet_until: datetime | None = None


def sent_key(action: Action, job_id: str) -> str:
    """Return the key of a changing call in `Progress.sent`; a force has one for each job."""
    return f"{action}:{job_id}" if action is Action.FORCE else str(action)


class Cancellation(Struct, frozen=True):
    """Our durable record of one job that has to stop.

    `place` is the `place_mark` of the backend when this was accepted; empty in records of older versions.
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
        """When the first call may be made; `warn_after` and `give_up_after` count from then."""
        not_before = self.spec.not_before
        return self.accepted_at if not_before is None else max(self.accepted_at, not_before)

    def stood_still(self, now: datetime) -> float:
        """Return how many seconds it has been on hold so far."""
        return self.spec.held_for + self._holding(now) or NEVER_HELD

    def gives_up_at(self, now: datetime) -> datetime:
        """Return when this cancellation is given up, as far as is known now: a hold stops that clock."""
        give_up_at, hold = self.spec.give_up_at, self.spec.hold
        if hold is None or hold.since >= give_up_at:
            return give_up_at
        return give_up_at + timedelta(seconds=self._holding(now))

    def _holding(self, now: datetime) -> float:
        """Return how many seconds the current hold has lasted, not counting the time before `begins_at`."""
        hold = self.spec.hold
        if hold is None:
            return 0.0
        end = now if hold.until is None else min(now, hold.until)
        return max(0.0, (end - max(hold.since, self.begins_at)).total_seconds())

    def known_until(self, sent: Sent, now: datetime) -> datetime:
        """Return the moment up to which we know what the latest try of a call has done.

        Only a look shows the effect of an unanswered call, and a look may miss what happened after it began.
        """
        looked_at = self.progress.looked_at
        if sent.last is not AnswerKind.UNANSWERED or looked_at is None:
            return now
        return min(now, looked_at)

    @property
    def job(self) -> Job:
        """The job as an adapter needs it."""
        progress = self.progress
        removed = any(progress.sent[key].effective for key in REMOVING if key in progress.sent)
        living = tuple([child_id for child_id, child in progress.children.items() if child.state not in FINAL])
        return Job(self.job_id, self.params, removed, progress.parent, living, progress.pages, progress.long)
