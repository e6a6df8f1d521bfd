"""How a cancellation lies in Redis: the guard that scripts own, the progress that passes own.

The Lua scripts under `lua/` read the guard; its letters are explained in `lua/lib.lua`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct, field
from pydantic import TypeAdapter

from worker import packing
from worker.cancellation import Cancellation, Orders, Progress
from worker.model import Force, Lane, Outcome, Verb

PROGRESS = TypeAdapter(Progress)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LANES = {Lane.INTERACTIVE: "i", Lane.BATCH: "b"}
LANE_OF = {letter: lane for lane, letter in LANES.items()}


class Record(Struct, frozen=True):
    """A cancellation as it is stored, with what only the scripts keep about it.

    `ended_at` is when it finished; `sequence` is that of its last event, `last_event`
    the stream id of its `finished`.
    """

    cancellation: Cancellation
    outcome: Outcome | None = None
    ended_at: datetime | None = None
    sequence: int = 0
    last_event: str = ""


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
    return -((EPOCH - at) // timedelta(milliseconds=1))


def unpack(cancellation_id: str, hot: bytes) -> Record:
    """Read the hot part of a record."""
    head, _, tail = hot.partition(b"\n")
    guard = json.loads(head)
    cancellation = Cancellation(
        id=cancellation_id,
        backend=guard["b"],
        job_id=guard["j"],
        accepted_at=moment(guard["a"]),
        orders=_orders(guard),
        progress=PROGRESS.validate_json(packing.unpack(tail)),
        params=guard.get("k") or {},
        traceparent=guard.get("w"),
    )
    return Record(
        cancellation,
        outcome=Outcome(guard["o"]) if guard["o"] else None,
        ended_at=moment(guard["e"]) if "e" in guard else None,
        sequence=int(guard["q"]),
        last_event=guard.get("z", ""),
    )


def _orders(guard: Mapping[str, Any]) -> Orders:
    return Orders(
        verb=Verb(guard["v"]),
        force=Force(guard["p"]),
        force_after=float(guard["fa"]),
        give_up_at=moment(guard["g"]),
        lane=LANE_OF[guard["l"]],
        remote_stopped=guard["s"],
        aborted=guard["x"],
        revision=int(guard["r"]),
    )


def pack_progress(progress: Progress) -> bytes:
    """Write the part of a record that a pass owns; what is at its default is left out."""
    return packing.pack(PROGRESS.dump_json(progress, exclude_defaults=True))


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
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), default=str)[1:-1]
