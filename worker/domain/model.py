"""Domain values: the vocabulary, a job, what was seen of it, how calls were answered, what a backend allows.

Frozen values only: no IO, no clock, no vendor's vocabulary.
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
    """When the force step may be taken; later members allow less."""

    AUTO = "auto"
    ATTESTED = "attested"
    NEVER = "never"


STRICTNESS = {Force.AUTO: 0, Force.ATTESTED: 1, Force.NEVER: 2}


class JobState(StrEnum):
    """A job's state in our vocabulary; the backend's own word is kept beside it."""

    ACTIVE = "active"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    GONE = "gone"
    UNKNOWN = "unknown"


FINAL = frozenset({JobState.CANCELLED, JobState.SUCCEEDED, JobState.FAILED, JobState.GONE})
"""The states in which a job has stopped for good; an unknown word never means that."""


class Outcome(StrEnum):
    """How a cancellation ended; the guide's page `events` says what each means."""

    CANCELLED = "cancelled"
    FORCE_CANCELLED = "force_cancelled"
    DELETED = "deleted"
    ALREADY_FINISHED = "already_finished"
    COMPLETED_ANYWAY = "completed_anyway"
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    ABORTED = "aborted"
    PLANNED = "planned"
    CHANGED = "changed"


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
    """The call may have had an effect; only a look can show whether it did."""
    REJECTED = "rejected"
    """Nothing happened, as the job's state forbids it: look, then decide."""
    BUSY = "busy"
    """Nothing happened: try again later."""
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    """The backend will not do it: no permission, not supported, or protected."""


class Source(StrEnum):
    """Whose words a reply holds, as far as can be told. Adapters report it; `worker.domain.evidence` weighs it."""

    OWN = "own"
    """The API's own words, about this very job."""
    UNSURE = "unsure"
    """A gateway, a proxy or a stale replica could have said the same."""
    CREDENTIAL = "credential"
    """It is about our credential and says nothing about the job."""
    NOBODY = "nobody"
    """There was no reply, or no usable one."""


class Job(Struct, frozen=True):
    """The remote job, as far as a call needs it.

    `stop_sent` says whether one of our calls may have removed the job's record. The rest is known from earlier looks:
    `parent` says that the job may have children; `living` are the children not seen to end, in the order in which to
    ask about them; for `pages` and `long` see `Observation`.
    """

    id: str
    params: Mapping[str, str] = field(default_factory=dict)
    stop_sent: bool = False
    parent: bool = False
    living: tuple[str, ...] = ()
    pages: int = 0
    long: bool = False


class Observation(Struct, frozen=True):
    """A backend's answer about a job, normalised, with its raw word. What to believe of it is decided elsewhere.

    `source`: whose words these are. `since` and `ended_at` are the backend's own times and `clock` is its `Date`:
    compare them with each other, never with our clocks. A time without a zone is None. `since_text` is the backend's
    text for `since`; it shows a change even of a time without a zone.
    `asynchronous` and `force_allowed`: what the backend says about a force, None if it says nothing. `unreadable`:
    which of the two hold something other than yes or no.
    `provisional`: the backend itself may take this end back. `undeletable`: why the record can't be deleted, empty if
    it can.
    Families: `parent` says that the job may have children, even if none was found; `grouping` that it only groups them
    or waits for them, and runs no process itself. `above` is the job directly above a child, empty if unknown.
    `unlisted` says why not all children could be seen. `pages` is how many leading pages of their list need not be read
    again; `long` says that the list is too long to read whole. Both are passed to the next look.
    `retry_after`: for how many seconds the backend asked not to be called again, 0 if it did not. Adapters leave it at
    0; whoever makes the calls sets it.
    """

    state: JobState
    raw: str
    source: Source
    job_id: str = ""
    since: datetime | None = None
    since_text: str = ""
    clock: datetime | None = None
    ended_at: datetime | None = None
    asynchronous: bool | None = None
    force_allowed: bool | None = None
    unreadable: frozenset[str] = frozenset()
    provisional: bool = False
    undeletable: str = ""
    detail: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    parent: bool = False
    grouping: bool = False
    above: str = ""
    children: tuple[Observation, ...] = ()
    unlisted: Answer | None = None
    pages: int = 0
    long: bool = False
    retry_after: float = 0.0

    @property
    def ended(self) -> bool:
        """Whether the job itself has stopped for good, whatever its children do."""
        return self.state in FINAL and not self.provisional

    @property
    def final(self) -> bool:
        """Whether the job and all its children have stopped for good."""
        return self.ended and self.unlisted is None and all(child.final for child in self.children)


class Answer(Struct, frozen=True):
    """A backend's answer to a changing call, or why a look showed nothing.

    `source`: whose words these are. `before`: a snapshot of the job from before the call, if the answer holds one.
    `retry_after` is in seconds; `clock` is the reply's `Date`.
    """

    kind: AnswerKind
    source: Source
    status: int | None = None
    code: str = ""
    detail: str = ""
    retry_after: float | None = None
    before: Observation | None = None
    clock: datetime | None = None


def unanswered(detail: str, status: int | None = None) -> Answer:
    """Return the answer for a call that may or may not have had an effect."""
    return Answer(AnswerKind.UNANSWERED, Source.NOBODY, status, detail=detail)


class Poll(Struct, frozen=True):
    """How the waits between looks grow, in seconds."""

    first: float = 2.0
    max: float = 60.0
    factor: float = 2.0


class Steps(Struct, frozen=True):
    """A backend's escalation as data.

    `look_before_cancel`: its cancel must not be sent without a look.
    `cancel_removes`: the only call that stops a job also removes its record, so a job that vanished was cancelled.
    `delete_stops`: its delete may be sent to a running job, and stops it.
    `force`: it has a force step.
    `gone_means_stopped`: its own delete never removes the record of a running job.
    """

    look_before_cancel: bool
    cancel_removes: bool = False
    delete_stops: bool = False
    force: bool = False
    gone_means_stopped: bool = True


class Policy(Struct, frozen=True):
    """What a backend's configuration allows; all times in seconds.

    `believe_after`: how long an answer that may not be the backend's own must persist before it is believed.
    `appears_within`: how long after its command was accepted a job that the backend does not know may still appear.
    `clock_speed`: how many seconds the backend's clock moves per second of ours, 1 except for a simulator.
    `stop_times`: how soon its jobs typically stop, as learned; see `worker.domain.polling`.
    """

    steps: Steps
    force: Force = Force.ATTESTED
    force_after: float = 1800.0
    give_up_after: float = 86400.0
    warn_after: float = 3600.0
    poll: Poll = Poll()
    timeout: float = 10.0
    gone_means_stopped: bool = True
    believe_after: float = 120.0
    appears_within: float = 0.0
    probes: bool = False
    clock_speed: float = 1.0
    stop_times: tuple[float, ...] = ()

    def stricter(self, force: Force, force_after: float) -> tuple[Force, float]:
        """Return the `force` and `force_after` that apply: a command can only be stricter than its backend."""
        return max(force, self.force, key=STRICTNESS.__getitem__), max(force_after, self.force_after)
