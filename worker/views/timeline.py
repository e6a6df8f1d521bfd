"""PURE: the events of a cancellation as a drawn line: its states one after the other, and a mark for each event."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from ..protocol.messages import Event

WIDTH = 1000.0
"""The width of the drawing, in units of its own."""
STILL_OPEN = 0.12
"""The share of the drawing that shows that the last state goes on."""
NARROWEST = 14.0
"""The least distance between two marks, so that both can be seen."""
OVERLAYS = frozenset({"joined", "overdue", "attested", "attestation_void", "released", "held"})
"""Events that leave the state as it is."""


class Moment(Struct, frozen=True):
    """One event: `x` is where it is drawn."""

    name: str
    at: datetime
    x: float


class Phase(Struct, frozen=True):
    """A state from one event to the next; `goes_on` means that it is the current one."""

    state: str
    x: float
    width: float
    goes_on: bool = False


class Timeline(Struct, frozen=True):
    """The whole drawing."""

    moments: tuple[Moment, ...] = ()
    phases: tuple[Phase, ...] = ()


def timeline(events: Sequence[Event]) -> Timeline:
    """Draw the events of a cancellation, oldest first."""
    if not events:
        return Timeline()
    ended = events[-1].name == "finished"
    places = _places([datetime.fromisoformat(event.time) for event in events], 1.0 if ended else 1.0 - STILL_OPEN)
    moments = [
        Moment(event.name, datetime.fromisoformat(event.time), x) for event, x in zip(events, places, strict=True)
    ]
    turns = [moment for moment in moments if moment.name not in OVERLAYS]
    ends = [*(moment.x for moment in turns[1:]), WIDTH][: len(turns)]
    phases = [
        Phase(turn.name, turn.x, max(0.0, end - turn.x), goes_on=turn is turns[-1])
        for turn, end in zip(turns, ends, strict=True)
        if turn.name != "finished"
    ]
    return Timeline(tuple(moments), tuple(phases))


def _places(times: Sequence[datetime], share: float) -> list[float]:
    """Return where moments are drawn: in proportion to time, but never so close that one hides another."""
    first, last = times[0], times[-1]
    whole = (last - first).total_seconds() or 1.0
    room = WIDTH * share - NARROWEST * (len(times) + 1)
    if room <= 0:
        return [WIDTH * share * (index + 1) / (len(times) + 1) for index in range(len(times))]
    return [
        NARROWEST * (index + 1) + room * min(1.0, max(0.0, (at - first).total_seconds() / whole))
        for index, at in enumerate(times)
    ]
