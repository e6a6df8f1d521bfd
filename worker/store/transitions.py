"""The inputs and results of the store's transitions; `script_arguments.py` converts them for the scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct, field

from ..domain.cancellation import Progress
from ..domain.event_drafts import EventDraft
from ..domain.model import Lane
from ..protocol.signing import Signed
from .codec import Record


class Acceptance(Struct, frozen=True):
    """A validated command, with the values that apply to it under the backend's policy.

    `said` has the fields in the producer's own words, as events carry them. `address` is what addresses the job besides
    its id, `place` the backend's place in words. `binding` means that its stricter wishes about the force step override
    those of others. `expect` is the state in which the job must be, in the backend's own words, empty for any.
    `another_attests` means that no requester may attest. `vouched` means that the part of its batch is signed in place
    of the command itself. `reply_to` names sinks that get the cancellation's events.
    """

    cancellation_id: str
    command_id: str
    digest: str
    backend: str
    job_id: str
    verb: str
    force: str
    force_after: float
    give_up_after: float
    warn_after: float
    lane: Lane
    remote_stopped: str
    said: Mapping[str, Any]
    effective: Mapping[str, Any]
    params: Mapping[str, str] = field(default_factory=dict)
    traceparent: str | None = None
    signed: Signed | None = None
    address: str = ""
    place: str = ""
    not_before: datetime | None = None
    binding: bool = True
    dry_run: bool = False
    expect: str = ""
    another_attests: bool = False
    vouched: bool = False
    reply_to: tuple[str, ...] = ()


class RejectedMember(Struct, frozen=True):
    """A member of a batch that is rejected, and why."""

    command_id: str
    reason: str


class Accepted(Struct, frozen=True):
    """The result of a command, as `accept.lua` and `start.lua` list it, and the cancellation that it belongs to."""

    verdict: str
    cancellation_id: str


class Rejection(Struct, frozen=True):
    """A command that is rejected: why, and what is kept of the message. `unverified` says that its sender is unknown.

    `command_id` is the id of the command, as its sender knows it; `mark` begins with it. A `digest` means that the
    command itself is valid, so this may be a redelivery of a command that was accepted before.
    """

    mark: str
    reason: str
    raw: str
    data: Mapping[str, Any]
    command_id: str = ""
    backend: str = ""
    subject: str = ""
    log_reason: str = ""
    expired: bool = False
    digest: str = ""
    unverified: bool = False


class Claim(Struct, frozen=True):
    """A record that this worker may work on until its lease ends.

    `noted` means that the intent of its first cancel is already stored; `record` is as it was before. `piggy_backed`
    means that it is one of many polls that share one permit: it may make no call of its own. `late` is how many seconds
    after its due time it was claimed, None if that is not known.
    """

    token: str
    record: Record
    noted: bool = False
    piggy_backed: bool = False
    late: float | None = None


class Claims(Struct, frozen=True):
    """The result of one claim. `next_due` is None if nothing waits; `paused` means that the backend is paused."""

    now: datetime
    lost_at: datetime | None
    next_due: datetime | None
    paused: bool
    claims: tuple[Claim, ...]


class Limits(Struct, frozen=True):
    """How much one claim may take. `rate` is in calls per second, 0 for no limit; `lease` in seconds.

    `batch_slots` limits what the batch lane has in flight across all workers, `own_batch_slots` how much more it may
    take in this worker. `per_list` is how many polls one call of a list can answer, 1 without lists.
    """

    slots: int
    lease: float
    max_in_flight: int
    rate: float
    batch_slots: int
    own_batch_slots: int = 1_000_000
    per_list: int = 1


class Silence(Struct, frozen=True):
    """What a worker knows of a backend that nobody serves: the number of its last announcement, 0 for none.

    `withdrawn_only` means that a worker may be back soon: everything waits for it except what an operator has aborted.
    """

    announcement: float
    withdrawn_only: bool


class ToClaim(Struct, frozen=True):
    """A request for records that are due on a backend.

    `unseen` means that a first cancel there goes out without a look, so its intent is noted with the claim.
    A `silence` means that nobody serves the backend: only what must happen even without a call (a deadline, an abort)
    is claimed.
    """

    backend: str
    worker: str
    limits: Limits
    unseen: bool = False
    silence: Silence | None = None


class Commit(Struct, frozen=True):
    """What a pass commits, in one of the modes of `commit.lua`.

    `verdict` judges the backend: ok, bad:FAILURES:PAUSE_MS, or empty for none. `watch_after` is how many seconds after
    the end its job is looked at, empty for never.
    """

    token: str
    record: Record
    mode: str
    progress: Progress
    facts: Sequence[EventDraft] = ()
    due: datetime | None = None
    matters: datetime | None = None
    calls: int = 0
    verdict: str = ""
    watch_after: tuple[float, ...] = ()
