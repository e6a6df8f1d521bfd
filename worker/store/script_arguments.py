"""How transitions are written for their scripts, and how the scripts' replies are read."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import structlog
from msgspec import Struct

from . import compression
from .codec import (
    JSON_WRITER,
    LANES,
    NOTHING,
    WRITER,
    finished_progress,
    fragment,
    milliseconds,
    moment,
    place_mark,
    unpack,
)
from .guard import GUARD_LETTERS
from .retention import DAY
from .transitions import Acceptance, Accepted, Claim, Claims, Commit, RejectedMember, ToClaim

log = structlog.get_logger(__name__)

ACCEPTED_AT_ONCE = 50
"""The most commands that one script call accepts, so that each takes a few milliseconds."""
GROUP_BYTES = 256 * 1024


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
    "reply_to": "rt",
    "signature": "sg",
    "producer": "sp",
    "per_minute": "sm",
}


class CommandArgument(Struct, frozen=True, omit_defaults=True, rename=COMMAND_LETTERS):
    """A command as `command_arguments.lua` describes it; times are in milliseconds, `force_after` in seconds."""

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
    reply_to: tuple[str, ...] = ()
    signature: str | None = None
    producer: str | None = None
    per_minute: int | None = None


def command_arguments(many: Sequence[Acceptance | RejectedMember]) -> tuple[bytes, list[bytes]]:
    """Write commands for the scripts that take them in: their places, each written only once, and then each command.

    A member that is rejected has no place.
    """
    places: dict[str, str] = {}
    arguments: list[bytes] = []
    for one in many:
        if isinstance(one, RejectedMember):
            arguments.append(WRITER.encode({"c": one.command_id, "er": one.reason}))
            continue
        arguments.append(accept_argument(one))
        if one.place:
            places[place_mark(one.place)] = one.place
    return JSON_WRITER.encode(places), arguments


def accept_argument(one: Acceptance) -> bytes:
    """Write a command that is accepted."""
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
            reply_to=one.reply_to,
            signature=signed.mark if signed and not one.vouched else None,
            producer=signed.producer if signed else None,
            per_minute=signed.per_minute or 0 if signed else None,
        )
    )


def grouped(arguments: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Split many commands into groups for one script call each, limited by number and by size."""
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


def commit_arguments(one: Commit, keep: int) -> tuple[bytes, bytes, bytes]:
    """Write a pass for `commit.lua`; `keep` is a finished record's life in seconds."""
    events = [(fact.name, fragment(fact.data), fact.data.get("outcome", "")) for fact in one.facts]
    cancellation, watch = one.record.cancellation, one.watch_after
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
            max(keep, int(watch[-1] + DAY)) if watch else keep,
            events,
            *([int(watch[0] * 1000)] if watch else []),
        )
    )
    # The progress is passed separately: Redis can't read MessagePack's binary type.
    if one.mode == "finish":
        kept, all_of_it = finished_progress(one.progress)
        return whole, all_of_it, kept
    progress = compression.pack(WRITER.encode(one.progress)) if one.progress != NOTHING else b""
    return whole, progress, b""


def read_claims(reply: Sequence[Any]) -> Claims:
    """Read the reply of `claim.lua`."""
    now, lost_at, due, paused = (int(part) for part in reply[:4])
    found = (claim_of(*reply[index : index + 4]) for index in range(4, len(reply), 4))
    return Claims(
        now=moment(now),
        lost_at=moment(lost_at) if lost_at else None,
        next_due=moment(due) if due >= 0 else None,
        paused=bool(paused),
        claims=tuple(claim for claim in found if claim is not None),
    )


def claim_of(token: bytes, id_: bytes, hot: bytes, late: int) -> Claim | None:
    """Read one claimed record; None for an unreadable one, which is due again when its lease ends."""
    try:
        record = unpack(id_.decode(), hot)
        noted, piggy_backed = token.endswith(b"/noted"), token.endswith(b"/rides")
        return Claim(token.decode(), record, noted, piggy_backed, None if late < 0 else late / 1000)
    except (ValueError, OverflowError, zlib.error):
        log.exception("record.unreadable", cancellation_id=id_.decode())
        return None


def verdict(entry: bytes) -> Accepted:
    """Read the verdict on one command."""
    return Accepted(*entry.decode().split(" ", 1))
