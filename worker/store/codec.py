"""How a cancellation is stored in Redis: the guard belongs to the scripts, the progress to the passes.

The Lua scripts under `lua/` own the guard. They use short names, because every byte is stored once per open
cancellation; here the fields have full names.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from ..domain.cancellation import WHOLE, Attestation, Cancellation, Intent, OperatorHold, Progress, Spec, attributed
from ..domain.errors import NewerFormat, UnreadableRecord
from ..domain.model import Action, Lane, Outcome
from . import compression
from .guard import FORMATTED, GUARD, PLACED, Guard, HoldPart

FORMAT = 3
"""The newest format of records that this version reads; `lua/include/record.lua` says which records have it."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LANES = {Lane.INTERACTIVE: "i", Lane.BATCH: "b"}
LANE_OF = {letter: lane for lane, letter in LANES.items()}
READER = msgspec.msgpack.Decoder(Progress)
WRITER = msgspec.msgpack.Encoder()
JSON_WRITER = msgspec.json.Encoder(enc_hook=str)
NOTHING = Progress()
POLL = 1
"""As in `lua/include/record.lua`: the next pass is a poll that may be piggy-backed."""


class Record(Struct, frozen=True):
    """A cancellation as it is stored, with what only the scripts keep about it.

    `ended_at` is when it finished, `sequence` the number of its last event, `last_event` the stream id of its
    `finished` event. `polled` means that its next pass is a poll that a list can answer. `matters_at` is when something
    must happen even without a call. `reappeared` means that an event has reported that its job is alive again.
    """

    cancellation: Cancellation
    outcome: Outcome | None = None
    ended_at: datetime | None = None
    sequence: int = 0
    last_event: str = ""
    polled: bool = False
    matters_at: datetime = EPOCH
    reappeared: bool = False


class Snapshot(Struct, frozen=True):
    """All that Redis holds about one cancellation, for people and clients.

    `command` has the producer's own fields, `due_at` is when its next pass is due, `claimed` whether one is under way.
    """

    record: Record
    command_ids: tuple[str, ...] = ()
    command: Mapping[str, Any] = field(default_factory=dict)
    due_at: datetime | None = None
    claimed: bool = False


def moment(milliseconds: float) -> datetime:
    """Return the aware time of milliseconds since 1970."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def milliseconds(at: datetime) -> int:
    """Return the milliseconds since 1970 of an aware time, rounded up so that nothing happens early."""
    since: timedelta = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 - (-since.microseconds // 1000)


def unpack(cancellation_id: str, hot: bytes) -> Record:
    """Read the hot part of a record."""
    head, _, tail = hot.partition(b"\n")
    guard = GUARD.decode(head)
    progress = READER.decode(compression.unpack(tail)) if tail else NOTHING
    if guard.intent > 1:
        progress = replace(progress, intent=Intent(Action.CANCEL, guard.job_id, moment(guard.intent)))
    cancellation = Cancellation(
        id=cancellation_id,
        backend=guard.backend,
        job_id=guard.job_id,
        accepted_at=moment(guard.accepted_at),
        spec=_spec(guard),
        progress=progress,
        params=guard.params,
        traceparent=guard.traceparent,
        place=guard.place,
    )
    return Record(
        cancellation,
        outcome=Outcome(guard.outcome) if guard.outcome else None,
        ended_at=None if guard.ended_at is None else moment(guard.ended_at),
        sequence=guard.sequence,
        last_event=guard.last_event,
        polled=guard.next_pass == POLL,
        matters_at=moment(guard.matters_at),
        reappeared=bool(guard.reappeared),
    )


def read(cancellation_id: str, hot: bytes, cold: bytes | None = None) -> Snapshot:
    """Read a record, whatever may have written it, and its cold part if that is given.

    Its place in the schedule is stored elsewhere.

    Raises:
        NewerFormat: it was written by a newer version.
        UnreadableRecord: it is damaged, or something else wrote it.

    """
    try:
        if FORMATTED.decode(hot.partition(b"\n")[0]).format > FORMAT:
            raise NewerFormat(f"the record of {cancellation_id} was written by a newer version")
        record = unpack(cancellation_id, hot)
        if not cold:
            return Snapshot(record)
        ids, _, rest = cold.partition(b"\n")
        fixed = rest.partition(b"\n")[2]
        return Snapshot(record, tuple(json.loads(b"[" + ids + b"]")), json.loads(b"{" + fixed + b"}"))
    except (LookupError, TypeError, ValueError, ArithmeticError, msgspec.MsgspecError, zlib.error) as error:
        text = f"the record of {cancellation_id} can't be read ({type(error).__name__})"
        raise UnreadableRecord(text) from error


def mark_of(hot: bytes) -> str:
    """Read the mark of the place for which a cancellation was accepted; empty if there is none or it is unreadable."""
    try:
        return PLACED.decode(hot.partition(b"\n")[0]).place
    except ValueError:
        return ""


@lru_cache(maxsize=64)
def place_mark(place: str) -> str:
    """Return the short mark by which guards refer to a place; empty for none."""
    return hashlib.sha256(place.encode()).hexdigest()[:12] if place else ""


def _spec(guard: Guard) -> Spec:
    return Spec(
        verb=guard.verb,
        force=guard.force,
        force_after=guard.force_after,
        give_up_at=moment(guard.give_up_at),
        lane=LANE_OF[guard.lane],
        attestations=_attestations(guard),
        aborted=guard.aborted and attributed(guard.aborted, guard.withdrawal.get("signed_by", "")),
        withdrawal=guard.withdrawal,
        revision=guard.revision,
        not_before=None if guard.not_before is None else moment(guard.not_before),
        hold=None if guard.hold is None else _hold(guard.hold),
        held_for=guard.held_for / 1000,
        dry_run=bool(guard.dry_run),
        expect=guard.expected,
    )


def _hold(part: HoldPart) -> OperatorHold:
    return OperatorHold(
        part.by,
        part.reason,
        since=moment(part.at),
        until=None if part.until is None else moment(part.until),
        signed_by=part.signed_by,
        announced=not part.pending,
    )


def _attestations(guard: Guard) -> dict[str, Attestation]:
    """Read the attestations. An older version may have renewed one and left a signature of an earlier time."""
    said = [(child, by, at, guard.child_signatures.get(child)) for child, (by, at) in guard.child_attestations.items()]
    if guard.attested:
        said.insert(0, (WHOLE, guard.attested, guard.attested_at or guard.accepted_at, guard.attestation_signature))
    return {
        child: Attestation(by, moment(at), signature[0] if signature and signature[1] == at else "")
        for child, by, at, signature in said
    }


def finished_progress(progress: Progress) -> tuple[bytes, bytes]:
    """Write the progress of a pass that ends a cancellation: the part to keep, and all of it in case it does not end.

    The part to keep is what people are shown and what looks after the end need. Both are read rarely, so they are not
    compressed.
    """
    kept = Progress(
        intent=progress.intent,
        sent=progress.sent,
        looks=progress.looks,
        failed_looks=progress.failed_looks,
        looked_at=progress.looked_at,
        state=progress.state,
        raw=progress.raw,
        end=progress.end,
        parent=progress.parent,
        overdue=progress.overdue,
        held=progress.held,
        facts=progress.facts,
        note=progress.note,
        children=progress.children,
        void=progress.void,
        pages=progress.pages,
        long=progress.long,
    )
    return compression.keep_plain(WRITER.encode(kept)), compression.keep_plain(WRITER.encode(progress))


def fragment(data: Mapping[str, Any]) -> str:
    """Write the inside of a JSON object, without its braces, for a script to put into an event."""
    return JSON_WRITER.encode(data)[1:-1].decode()
