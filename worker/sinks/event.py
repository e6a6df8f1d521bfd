"""PURE: what a sink needs to know of an event, and which events it wants."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

CANCELLATION = "canceller.cancellation."
"""How the types of events about a command or a cancellation begin."""
JOB = "canceller.job."
"""The same for events about a job after the end of a cancellation, which `data` names."""


class Data(Struct, frozen=True):
    """The parts of `data` that say where an event goes."""

    cancellation_id: Any = None
    reply_to: Any = None


class Head(Struct, frozen=True):
    """The parts of a CloudEvent that say where it goes; nothing else of it is decoded."""

    id: str
    type: str
    source: str = ""
    subject: str = ""
    backend: str | None = None
    outcome: str | None = None
    cancellationid: str | None = None
    data: Data | str | bool | int | float | list[Any] | None = None

    @property
    def order(self) -> str:
        """The key that it shares with the events that must arrive in order."""
        if self.cancellationid:
            return self.cancellationid
        if self.type.startswith(CANCELLATION):  # a rejection, which no other event follows
            return self.id
        if self.type.startswith(JOB) and isinstance(self.data, Data) and self.data.cancellation_id:
            return str(self.data.cancellation_id)
        return f"{self.source} {self.subject}"


READER = msgspec.json.Decoder(Head)


def read(body: bytes) -> Head | None:
    """Read an event as it is in the stream; None if it is none."""
    try:
        return READER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class Filter(Struct, frozen=True):
    """Which events a sink wants besides those of commands that name it; None for all."""

    sink: str
    types: frozenset[str] | None = None
    backends: frozenset[str] | None = None
    outcomes: frozenset[str] | None = None

    def wants(self, head: Head) -> bool:
        """Say whether an event is delivered to the sink."""
        named = head.data.reply_to if isinstance(head.data, Data) else None
        if isinstance(named, list) and self.sink in named:
            return True
        return (
            (self.types is None or head.type in self.types)
            and (self.backends is None or head.backend in self.backends)
            and (self.outcomes is None or head.outcome is None or head.outcome in self.outcomes)
        )
