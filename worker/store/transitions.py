"""The arguments and results of the store's transitions, and how each is written for its script."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from msgspec import Struct, field

from ..domain.cancellation import Progress
from ..domain.event_drafts import EventDraft
from ..domain.model import Lane
from ..protocol.signing import Signed
from .codec import (
    GUARD_LETTERS,
    JSON_WRITER,
    LANES,
    WRITER,
    Record,
    fragment,
    milliseconds,
    moment,
    pack_progress,
    place_mark,
    unpack,
)

log = structlog.get_logger(__name__)

ACCEPTED_AT_ONCE = 50
"""The most commands that one script call accepts, so that each takes a few milliseconds."""
GROUP_BYTES = 256 * 1024


class Acceptance(Struct, frozen=True):
    """A validated command, with the values that apply to it under the backend's policy.

    `said` has the fields in the producer's own words, as events carry them. `address` is what addresses the job beside
    its id, `place` the backend's place in words. `binding` means that its stricter wishes about the force step override
    those of others. `expect` is the state in which the job must be, in the backend's own words, empty for any.
    `another_attests` means that no requester may attest.
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


class Accepted(Struct, frozen=True):
    """The result of a command, as `accept.lua` lists it, and the cancellation that it belongs to."""

    verdict: str
    cancellation_id: str


class Rejection(Struct, frozen=True):
    """A command that is rejected: why, and what is kept of the message. A `stranger` is an unknown sender.

    A `digest` means that the command itself is valid, so it may have been accepted before and be delivered again.
    """

    mark: str
    reason: str
    raw: str
    data: Mapping[str, Any]
    backend: str = ""
    subject: str = ""
    log_reason: str = ""
    expired: bool = False
    digest: str = ""
    stranger: bool = False

    @property
    def command_id(self) -> str:
        """The id of the command, as its sender knows it."""
        return self.mark.rpartition(" ")[0]


class Claim(Struct, frozen=True):
    """A record that this worker may work on until its lease ends.

    `noted` means that the intent of its first cancel is stored already; the record is as it was before. `rides` means
    that it is one of many polls that share one permit: it may make no call of its own.
    """

    token: str
    record: Record
    noted: bool = False
    rides: bool = False


class Claims(Struct, frozen=True):
    """The result of one claim. `next_due` is None if nothing waits; `blind` means that the backend is paused."""

    now: datetime
    suspect: datetime | None
    next_due: datetime | None
    blind: bool
    claims: tuple[Claim, ...]


class Limits(Struct, frozen=True):
    """How much one claim may take. `rate` is in calls per second, 0 for no limit; `lease` in seconds.

    `batch_slots` limits what the batch lane has in flight over all workers, `own_batch_slots` how much more it gets
    here. `per_list` is how many polls one call of a list can answer, 1 without lists.
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

    `unseen` means that a first cancel there goes out without a look, so that its intent is noted with the claim.
    A `silence` means that nobody serves the backend: only what matters without a call is claimed.
    """

    backend: str
    worker: str
    limits: Limits
    unseen: bool = False
    silence: Silence | None = None


class Commit(Struct, frozen=True):
    """What a pass commits, in one of the modes of `commit.lua`.

    `verdict` is on the backend: ok, bad:FAILURES:PAUSE_MS, or empty for none.
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


COMMAND_LETTERS = GUARD_LETTERS | {
    "cancellation_id": "id",
    "command_id": "c",
    "digest": "h",
    "give_up_after": "ga",
    "warn_after": "wa",
    "address": "ad",
    "expect": "ex",
    "another_attests": "at",
    "loose": "lo",
    "signature": "sg",
    "producer": "sp",
    "per_minute": "sm",
}


class CommandArgument(Struct, frozen=True, omit_defaults=True, rename=COMMAND_LETTERS):
    """A command as `accept.lua` reads it; times are in milliseconds, `force_after` in seconds."""

    cancellation_id: str
    command_id: str
    digest: str
    backend: str
    job_id: str
    verb: str
    force: str
    force_after: float
    give_up_after: int
    warn_after: int
    lane: str
    attested: str
    said: str
    effective: str
    traceparent: str | None = None
    not_before: int | None = None
    params: Mapping[str, str] = {}
    address: str = ""
    place: str = ""
    dry_run: int = 0
    expect: str = ""
    another_attests: int = 0
    loose: int = 0
    signature: str | None = None
    producer: str | None = None
    per_minute: int | None = None


def accept_argument(one: Acceptance) -> bytes:
    """Write a command for `accept.lua`."""
    signed = one.signed
    return WRITER.encode(
        CommandArgument(
            cancellation_id=one.cancellation_id,
            command_id=one.command_id,
            digest=one.digest,
            backend=one.backend,
            job_id=one.job_id,
            verb=one.verb,
            force=one.force,
            force_after=one.force_after,
            give_up_after=int(one.give_up_after * 1000),
            warn_after=int(one.warn_after * 1000),
            lane=LANES[one.lane],
            attested=one.remote_stopped,
            said=fragment(one.said),
            effective=fragment(one.effective),
            traceparent=one.traceparent,
            not_before=None if one.not_before is None else milliseconds(one.not_before),
            params=one.params,
            address=one.address,
            place=place_mark(one.place),
            dry_run=int(one.dry_run),
            expect=one.expect,
            another_attests=int(one.another_attests),
            loose=int(not one.binding),
            signature=signed.mark if signed else None,
            producer=signed.producer if signed else None,
            per_minute=signed.per_minute or 0 if signed else None,
        )
    )


def places_argument(many: Sequence[Acceptance]) -> bytes:
    """Write the places of many commands for `accept.lua`; they are few, so each is written once."""
    return JSON_WRITER.encode({place_mark(one.place): one.place for one in many if one.place})


def grouped(arguments: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Cut many commands into groups for one script call each, limited by number and by size."""
    group: list[bytes] = []
    size = 0
    for one in arguments:
        if group and (len(group) == ACCEPTED_AT_ONCE or size + len(one) > GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(one)
        size += len(one)
    if group:
        yield group


def claim_arguments(one: ToClaim) -> list[Any]:
    """Write a request for `claim.lua`."""
    limits = one.limits
    return [
        one.backend,
        one.worker,
        limits.slots,
        int(limits.lease * 1000),
        limits.max_in_flight,
        limits.rate,
        limits.batch_slots,
        limits.own_batch_slots,
        limits.per_list,
        int(one.unseen),
        *([one.silence.announcement, int(one.silence.withdrawn_only)] if one.silence else []),
    ]


def commit_arguments(one: Commit, keep: int) -> tuple[bytes, bytes]:
    """Write a pass for `commit.lua`; `keep` is a finished record's life in seconds."""
    events = [(fact.name, fragment(fact.data), fact.data.get("outcome", "")) for fact in one.facts]
    cancellation = one.record.cancellation
    whole = WRITER.encode(
        (
            cancellation.id,
            one.token,
            cancellation.spec.revision,
            one.mode,
            milliseconds(one.due) if one.due else 0,
            milliseconds(one.matters) if one.matters else 0,
            one.calls,
            one.verdict,
            keep,
            events,
        )
    )
    return whole, pack_progress(one.progress)  # the progress is apart: Redis can't read binary in MessagePack


def read_claims(reply: Sequence[Any]) -> Claims:
    """Read the reply of `claim.lua`."""
    now, suspect, due, blind = (int(part) for part in reply[:4])
    found = (claim_of(*reply[index : index + 3]) for index in range(4, len(reply), 3))
    return Claims(
        now=moment(now),
        suspect=moment(suspect) if suspect else None,
        next_due=moment(due) if due >= 0 else None,
        blind=bool(blind),
        claims=tuple(claim for claim in found if claim is not None),
    )


def claim_of(token: bytes, id_: bytes, hot: bytes) -> Claim | None:
    """Read one claimed record; None for an unreadable one, which is due again when its lease is over."""
    try:
        record = unpack(id_.decode(), hot)
        return Claim(token.decode(), record, token.endswith(b"/noted"), token.endswith(b"/rides"))
    except (ValueError, OverflowError, zlib.error):
        log.exception("record.unreadable", cancellation_id=id_.decode())
        return None


def verdict(entry: bytes) -> Accepted:
    """Read the result of one command of `accept.lua`."""
    return Accepted(*entry.decode().split(" ", 1))
