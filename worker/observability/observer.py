"""The seam between what the product does and who listens: metrics, traces.

Engine, intake and store call these hooks with plain values and know nobody behind them. A hook is called in the
worker's event loop, takes microseconds, and raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..domain.cancellation import Cancellation
from ..domain.event_drafts import EventDraft


class Observer:
    """Listens to one worker process, or ignores what it does not override.

    All times are in seconds; what took them has just ended.
    """

    def call_made(
        self, backend: str, action: str, kind: str, seconds: float, cancellation: Cancellation | None = None
    ) -> None:
        """Note a call to a backend, or an unsuccessful try.

        `action` is a `domain.model.Action`, or `list` for a list in place of many looks. `kind` is a
        `domain.model.AnswerKind`: `accepted` for a call that was answered with what it asks for. A list is of no one
        `cancellation`.
        """

    def pass_ended(self, cancellation: Cancellation, seconds: float) -> None:
        """Note the end of a pass, also of one that has failed."""

    def claimed(self, backend: str, late: Sequence[float]) -> None:
        """Note a claim; `late` is by how much each record was claimed after it had come due, where that is known."""

    def committed(self, passes: int, seconds: float) -> None:
        """Note how many passes Redis has stored in one step."""

    def message_handled(self, backend: str, verb: str, verdict: str, traceparent: str | None, seconds: float) -> None:
        """Note what became of a command or an operator action: `accepted`, `joined`, `same` or `rejected`.

        `backend` and `verb` of a rejected one are whatever its sender has written, or empty. `seconds` is since its
        message began to be handled.
        """

    def event_emitted(self, cancellation: Cancellation, event: EventDraft) -> None:
        """Note an event of a cancellation that a pass has emitted."""


HOOKS = tuple(name for name in vars(Observer) if not name.startswith("_"))


def _call_each(hooks: Sequence[Callable[..., None]], *values: Any, **named: Any) -> None:
    for hook in hooks:
        hook(*values, **named)


NOBODY = Observer()
"""Nobody listens."""


def together(observers: Sequence[Observer]) -> Observer:
    """Return one observer that stands for all of them."""
    if len(observers) <= 1:
        return observers[0] if observers else NOBODY
    every = Observer()
    for name in HOOKS:
        setattr(every, name, partial(_call_each, [getattr(one, name) for one in observers]))
    return every
