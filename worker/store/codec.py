"""How a cancellation lies in Redis: the guard that scripts own, the progress that passes own.

The Lua scripts under `lua/` read the guard; its letters are explained in `lua/lib.lua`.
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
from ..domain.model import Action, Force, Lane, Outcome, Verb
from ..errors import NewerFormat, UnreadableRecord
from . import compression

FORMAT = 2
"""The newest format of records that this version reads; `lua/lib.lua` says which records are written in it."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LANES = {Lane.INTERACTIVE: "i", Lane.BATCH: "b"}
LANE_OF = {letter: lane for lane, letter in LANES.items()}
READER = msgspec.msgpack.Decoder(Progress)
WRITER = msgspec.msgpack.Encoder()
JSON_WRITER = msgspec.json.Encoder(enc_hook=str)
NOTHING = Progress()
POLL = 1
"""What `lua/lib.lua` calls so, in the guard's `n`."""


class HoldPart(Struct, frozen=True):
    """A hold as the guard has it."""

    by: str
    reason: str
    at: float
    u: float | None = None
    sg: str = ""
    p: int = 0


class Guard(Struct, frozen=True):
    """The part of a record that the scripts own, by the letters of `lua/lib.lua`; times are in milliseconds."""

    b: str
    j: str
    v: Verb
    p: Force
    fa: float
    g: float
    l: str  # noqa: E741 - the script's letter
    s: str
    x: str
    r: int
    a: int
    q: int
    o: str
    n: int = 0
    i: int = 0
    e: int | None = None
    z: str = ""
    w: str | None = None
    k: dict[str, str] = {}
    d: str = ""
    nb: float | None = None
    sa: int = 0
    sc: dict[str, tuple[str, int]] = {}
    ss: tuple[str, int] | None = None
    scs: dict[str, tuple[str, int]] = {}
    xa: dict[str, str] = {}
    m: float = 0
    h: HoldPart | None = None
    hs: float = 0
    y: int = 0
    ex: tuple[str, ...] = ()


class Placed(Struct, frozen=True):
    """The part of a guard that names a place, in records of any version."""

    d: str = ""


GUARD = msgspec.json.Decoder(Guard)
PLACED = msgspec.json.Decoder(Placed)


class Record(Struct, frozen=True):
    """A cancellation as it is stored, with what only the scripts keep about it.

    `ended_at` is when it finished; `sequence` is that of its last event, `last_event`
    the stream id of its `finished`; `polled` means that its next pass is a poll that a list may spare; `matters_at` is
    when something matters without a call.
    """

    cancellation: Cancellation
    outcome: Outcome | None = None
    ended_at: datetime | None = None
    sequence: int = 0
    last_event: str = ""
    polled: bool = False
    matters_at: datetime = EPOCH


class Snapshot(Struct, frozen=True):
    """All that Redis holds about one cancellation, for people and clients.

    `command` has the producer's own fields, `due_at` is when its next pass comes, `claimed` whether one runs now.
    """

    record: Record
    command_ids: tuple[str, ...] = ()
    command: Mapping[str, Any] = field(default_factory=dict)
    due_at: datetime | None = None
    claimed: bool = False


def moment(milliseconds: float) -> datetime:
    """Return Redis's time as an aware one."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def milliseconds(at: datetime) -> int:
    """Return an aware time as Redis's: milliseconds since 1970, rounded up so that nothing comes early."""
    since: timedelta = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 - (-since.microseconds // 1000)


def unpack(cancellation_id: str, hot: bytes) -> Record:
    """Read the hot part of a record."""
    head, _, tail = hot.partition(b"\n")
    guard = GUARD.decode(head)
    progress = unpack_progress(tail)
    if guard.i > 1:
        progress = replace(progress, intent=Intent(Action.CANCEL, guard.j, moment(guard.i)))
    cancellation = Cancellation(
        cancellation_id, guard.b, guard.j, moment(guard.a), _spec(guard), progress, guard.k, guard.w, guard.d
    )
    ended_at = None if guard.e is None else moment(guard.e)
    outcome = Outcome(guard.o) if guard.o else None
    return Record(cancellation, outcome, ended_at, guard.q, guard.z, guard.n == POLL, moment(guard.m))


def read(cancellation_id: str, hot: bytes, cold: bytes) -> Snapshot:
    """Read both parts of a record, which leaves its place in the schedule open.

    Raises:
        NewerFormat: it was written by a newer version.
        UnreadableRecord: it is damaged, or none of ours.

    """
    try:
        if json.loads(hot.partition(b"\n")[0])["f"] > FORMAT:
            raise NewerFormat(f"the record of {cancellation_id} was written by a newer version")
        return snapshot(unpack(cancellation_id, hot), cold, None, claimed=False)
    except (LookupError, TypeError, ValueError, ArithmeticError, msgspec.MsgspecError, zlib.error) as error:
        raise UnreadableRecord(f"the record of {cancellation_id} can't be read ({type(error).__name__})") from error


def mark_of(hot: bytes) -> str:
    """Read the mark of the place for which a cancellation was accepted; empty where there is none, or none to read."""
    try:
        return PLACED.decode(hot.partition(b"\n")[0]).d
    except ValueError:
        return ""


@lru_cache(maxsize=64)
def place_mark(place: str) -> str:
    """Name a place in a few bytes, as guards keep it; empty for none."""
    return hashlib.sha256(place.encode()).hexdigest()[:12] if place else ""


def _spec(guard: Guard) -> Spec:
    give_up_at = moment(guard.g)
    attestations = {WHOLE: _word(guard.s, guard.sa or guard.a, guard.ss)} if guard.s else {}
    attestations |= {child: _word(by, at, guard.scs.get(child)) for child, (by, at) in guard.sc.items()}
    not_before = None if guard.nb is None else moment(guard.nb)
    return Spec(
        verb=guard.v,
        force=guard.p,
        force_after=guard.fa,
        give_up_at=give_up_at,
        lane=LANE_OF[guard.l],
        attestations=attestations,
        aborted=guard.x and attributed(guard.x, guard.xa.get("signed_by", "")),
        withdrawal=guard.xa,
        revision=guard.r,
        not_before=not_before,
        hold=None if guard.h is None else _hold(guard.h),
        held_for=guard.hs / 1000,
        dry_run=bool(guard.y),
        expect=guard.ex,
    )


def _hold(part: HoldPart) -> OperatorHold:
    until = None if part.u is None else moment(part.u)
    return OperatorHold(part.by, part.reason, moment(part.at), until, part.sg, announced=not part.p)


def _word(by: str, at: int, signature: tuple[str, int] | None) -> Attestation:
    """Read a word; an older version may have renewed it without a word of the signature."""
    signed_by = signature[0] if signature is not None and signature[1] == at else ""
    return Attestation(by, moment(at), signed_by)


def pack_progress(progress: Progress) -> bytes:
    """Write the part of a record that a pass owns; what is at its default is left out."""
    return compression.pack(WRITER.encode(progress)) if progress != NOTHING else b""


def unpack_progress(packed: bytes) -> Progress:
    """Read what `pack_progress` has written; a record that no pass has touched holds nothing."""
    return READER.decode(compression.unpack(packed)) if packed else NOTHING


def snapshot(record: Record, cold: bytes, due_at: float | None, *, claimed: bool) -> Snapshot:
    """Put together what a client sees."""
    ids, _, rest = cold.partition(b"\n")
    fixed = rest.partition(b"\n")[2]
    return Snapshot(
        record,
        command_ids=tuple(json.loads(b"[" + ids + b"]")),
        command=json.loads(b"{" + fixed + b"}"),
        due_at=moment(due_at) if due_at is not None else None,
        claimed=claimed,
    )


def fragment(data: Mapping[str, Any]) -> str:
    """Write the inside of a JSON object, without its braces, for a script to put into an event."""
    return JSON_WRITER.encode(data)[1:-1].decode()
