"""What is stored of a sink, and what goes into it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from msgspec import Struct


class Lease(Struct, frozen=True):
    """The right to deliver to a sink; `number` tells it from all others. `position` is how far deliveries have come."""

    sink: str
    worker: str
    number: int
    position: str


class Owed(Struct, frozen=True):
    """The state of an event that is owed to a sink; times are in milliseconds, 0 for none.

    `order` is shared by the events that must arrive in their order. `refused_since` is the time from which on every
    answer has said that trying again is of no use.
    """

    tries: int
    due: int
    refused_since: int
    order: str


class Note(Struct):
    """What has changed since the last note: see `sink_note.lua`."""

    position: str
    oldest: str = ""
    owed: Mapping[str, Owed] = {}
    settled: Collection[str] = ()
    replayed: Collection[str] = ()
    delivered: int = 0
    error: str = ""


class SinkState(Struct, frozen=True):
    """A sink as operators see it.

    `lag` is the age in seconds of the oldest event that has not arrived yet, 0 for none. `worker` is the one that
    delivers to it, empty for none. `seen_at` is when a worker last did.
    """

    sink: str
    kind: str
    position: str
    lag: float
    owed: int
    replays: int
    delivered: int
    since: datetime
    seen_at: datetime
    worker: str = ""
    error: str = ""
    error_at: datetime | None = None
