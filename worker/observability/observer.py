"""The seam between what the product does and who listens: metrics, traces.

Engine, intake and store report what happened as a value to an observer, and know nothing of who is behind it. It is
called in the worker's event loop, takes microseconds, and raises nothing. All times are in seconds; what they measure
has just ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeAlias

from msgspec import Struct

from ..domain.cancellation import Cancellation
from ..domain.event_drafts import EventDraft


class CallMade(Struct, frozen=True):
    """A call to a backend, or an unsuccessful try.

    `action` is a `domain.model.Action`, or `list` for a list in place of many looks. `kind` is a
    `domain.model.AnswerKind`: `accepted` for a call that was answered with what it asks for. A list belongs to no
    single `cancellation`.
    """

    backend: str
    action: str
    kind: str
    seconds: float
    cancellation: Cancellation | None = None


class PassEnded(Struct, frozen=True):
    """The end of a pass, also of one that has failed."""

    cancellation: Cancellation
    seconds: float


class Claimed(Struct, frozen=True):
    """A claim; `late` is how long after its due time each record was claimed, for those of which that is known."""

    backend: str
    late: Sequence[float]


class Committed(Struct, frozen=True):
    """How many passes Redis has stored in one step."""

    passes: int
    seconds: float


class MessageHandled(Struct, frozen=True):
    """What became of a command or an operator action: `accepted`, `joined`, `same` or `rejected`.

    `backend` and `verb` of a rejected one are whatever its sender has written, or empty. `seconds` is how long the
    handling of its message has taken.
    """

    backend: str
    verb: str
    verdict: str
    traceparent: str | None
    seconds: float


class EventEmitted(Struct, frozen=True):
    """An event of a cancellation that a pass has emitted."""

    cancellation: Cancellation
    event: EventDraft


Happened: TypeAlias = CallMade | PassEnded | Claimed | Committed | MessageHandled | EventEmitted
Observer: TypeAlias = Callable[[Happened], object]
"""Listens to one worker process, and ignores what does not concern it."""


def _tell(observers: Sequence[Observer], happened: Happened) -> None:
    for one in observers:
        one(happened)


NOBODY: Final[Observer] = partial(_tell, ())
"""The observer when nobody listens."""


def together(observers: Sequence[Observer]) -> Observer:
    """Return one observer that stands for all of them."""
    if not observers:
        return NOBODY
    return observers[0] if len(observers) == 1 else partial(_tell, observers)
