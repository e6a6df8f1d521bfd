"""Inner values: the field's words, a job, what was seen of it, what was answered, what a backend allows.

Only frozen values live here: no IO, no clock, no vendor's word.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field


class Verb(StrEnum):
    """What a producer asks for."""

    CANCEL = "cancel"
    DELETE = "delete"


class Action(StrEnum):
    """A call to a backend; all but `LOOK` change something there."""

    LOOK = "look"
    CANCEL = "cancel"
    FORCE = "force"
    DELETE = "delete"


class Lane(StrEnum):
    """How urgent a command is; `BATCH` never delays `INTERACTIVE`."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


class Force(StrEnum):
    """When the force step may be taken; later members are stricter."""

    AUTO = "auto"
    ATTESTED = "attested"
    NEVER = "never"

    @property
    def strictness(self) -> int:
        """Order of the policies: a higher number allows less."""
        return STRICTNESS[self]

    def stricter(self, other: Force) -> Force:
        """Return whichever of the two allows less."""
        return max(self, other, key=lambda force: force.strictness)


STRICTNESS = {Force.AUTO: 0, Force.ATTESTED: 1, Force.NEVER: 2}


class JobState(StrEnum):
    """A job's state in our words; the backend's own word is kept beside it."""

    ACTIVE = "active"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    GONE = "gone"
    UNKNOWN = "unknown"

    @property
    def final(self) -> bool:
        """Whether the job can run no more; a word that we do not know never is."""
        return self in FINAL


FINAL = frozenset({JobState.CANCELLED, JobState.SUCCEEDED, JobState.FAILED, JobState.GONE})


class Outcome(StrEnum):
    """How a cancellation ended; the contract gives each its meaning."""

    CANCELLED = "cancelled"
    FORCE_CANCELLED = "force_cancelled"
    DELETED = "deleted"
    ALREADY_FINISHED = "already_finished"
    COMPLETED_ANYWAY = "completed_anyway"
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    ABORTED = "aborted"


class Evidence(StrEnum):
    """What stands behind the claim that the job has stopped."""

    REPORTED = "reported"
    PROBED = "probed"
    ATTESTED = "attested"
    UNVERIFIED = "unverified"
    NONE = "none"


class AnswerKind(StrEnum):
    """What an answer says about the effect of a call."""

    ACCEPTED = "accepted"
    UNANSWERED = "unanswered"
    """Nobody knows whether it had an effect: a look must tell."""
    REJECTED = "rejected"
    """Nothing happened, the job's state forbids it: look, then decide."""
    BUSY = "busy"
    """Nothing happened, come back later."""
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    """The backend will not: no right, not supported, protected."""


class Job(Struct, frozen=True):
    """The remote thing, as far as a call needs it.

    `stop_sent` says whether a call of ours may have removed the job's record, `parent` whether an
    earlier look has shown that it may have children.
    `living` holds the ids of the children that were seen alive and not seen ended since; a look that
    can't ask about all of them asks about the first ones. `pages` and `long` come from the latest
    observation of the job.
    """

    id: str
    params: Mapping[str, str] = field(default_factory=dict)
    stop_sent: bool = False
    parent: bool = False
    living: tuple[str, ...] = ()
    pages: int = 0
    long: bool = False


class Observation(Struct, frozen=True):
    """A backend's answer about a job, normalised, with the raw word kept.

    `since` and `ended_at` are the backend's own times and `clock` its `Date`: they may be
    compared with each other, never with a clock of ours. A time without a zone is None here.
    `since_text` is the backend's text for `since`, which also tells when a naive time moved.
    `asynchronous` and `force_allowed` are what the backend says about a force, None when silent.
    `verified` is false where the backend's final state does not prove that the work stopped.
    `vague` is true of a job that is gone by an answer which may not be the API's own, such as a gateway's 404.
    `undeletable` says why the record can't be deleted, empty when it can. `parent` says that the
    job may have children, also where none was found.
    `unlisted` says why the job's children could not all be seen, None if they were. A child that was seen
    alive before and not in this look is among the `children`, in `UNKNOWN` and without a raw word.
    `pages` is how many leading pages of the list of children the next look need not read, and `long` says
    that the list is too long to be read whole each time.
    `unreadable` names those of `asynchronous` and `force_allowed` whose value can't be understood.
    """

    state: JobState
    raw: str
    job_id: str = ""
    since: datetime | None = None
    since_text: str = ""
    clock: datetime | None = None
    ended_at: datetime | None = None
    asynchronous: bool | None = None
    force_allowed: bool | None = None
    verified: bool = True
    undeletable: str = ""
    detail: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    parent: bool = False
    vague: bool = False
    children: tuple[Observation, ...] = ()
    unlisted: Answer | None = None
    pages: int = 0
    long: bool = False
    unreadable: frozenset[str] = frozenset()

    @property
    def final(self) -> bool:
        """Whether the job and every child of it can run no more; never so while children may be unseen."""
        return self.unlisted is None and self.state.final and all(child.final for child in self.children)

    @property
    def family(self) -> tuple[Observation, ...]:
        """The job itself, then its children."""
        return (self, *self.children)


class Answer(Struct, frozen=True):
    """What a backend said to a changing call, or why a look showed nothing.

    `before` is a snapshot of the job from before the call, where the backend's answer holds one.
    `retry_after` is in seconds.
    """

    kind: AnswerKind
    status: int | None = None
    code: str = ""
    detail: str = ""
    retry_after: float | None = None
    before: Observation | None = None


class Poll(Struct, frozen=True):
    """How the waits between two looks grow, in seconds."""

    first: float = 2.0
    max: float = 60.0
    factor: float = 2.0


class Steps(Struct, frozen=True):
    """A backend's escalation as data.

    `look_before_cancel`: its cancel must not be sent blindly.
    `cancel_removes`: its only stop takes the record away too, so a vanished job is a cancelled one.
    `delete_stops`: its delete may be sent to a running job, and stops it.
    `force`: it has a force step.
    """

    look_before_cancel: bool
    cancel_removes: bool = False
    delete_stops: bool = False
    force: bool = False


class Policy(Struct, frozen=True):
    """What a backend's configuration allows; all times in seconds.

    `usual` is what was learned of when its jobs stop, see `worker.plan`.
    """

    steps: Steps
    force: Force = Force.ATTESTED
    force_after: float = 1800.0
    give_up_after: float = 86400.0
    warn_after: float = 3600.0
    poll: Poll = Poll()
    timeout: float = 10.0
    gone_means_stopped: bool = True
    probes: bool = False
    usual: tuple[float, ...] = ()
