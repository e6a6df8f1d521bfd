"""PURE: what operators may do with a cancellation, one entry for each action.

Decoder, signing, tasks, scripts (`lua/NAME.lua`) and the command line follow this table. Clients have a typed method of
the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ..domain.errors import ActionRejected, UnknownCancellation
from .messages import parse_child, parse_hold_time


def _milliseconds(value: object) -> int:
    return max(1, round(parse_hold_time(value) * 1000))


@dataclass(frozen=True, slots=True)
class OperatorAction:
    """One action; `help` is that of its command.

    `fields` are its arguments besides who and why, each with what reads it for its script or raises InvalidCommand.
    `right` is what the producer who signs it must have.
    """

    name: str
    help: str
    fields: Mapping[str, Callable[[object], Any]] = field(default_factory=dict)
    right: str = "operator"


ACTIONS: Final[Mapping[str, OperatorAction]] = {
    action.name: action
    for action in (
        OperatorAction(
            "abort",
            """Withdraw a cancellation: nothing more is sent, and its outcome is aborted.

            Exit 0 when it has ended as aborted, 3 when it has ended otherwise, 4 when the order is rejected, 6 when no
            worker has taken it in yet.

            canceller abort ess 300100 --by ann --reason "wrong job"

            canceller abort 0198f3c2a1b27d0e8c4f5a6b7c8d9e0f --by ann --reason "wrong job"
            """,
        ),
        OperatorAction(
            "attest",
            """Give your word that the remote process of a job has stopped, which opens a force gate that waits for it.

            For a parent it is about its whole family, or with --child about that child alone.

            Exit 0 when the word is noted, 3 when the cancellation had ended, 4 when the order is rejected, 6 when no
            worker has taken it in yet.

            canceller attest ess 300100 --by ann --reason "no such process on any host"

            canceller attest ess 300100 --child 300101 --by ann --reason "it is gone"
            """,
            {"child": parse_child},
        ),
        OperatorAction(
            "hold",
            """Hold cancellations: nothing is sent that changes a job until they are released.

            Jobs are still looked at, and one that is seen to have ended ends its cancellation. The times to give up
            and to force stand still. With --for it ends by itself. A second hold replaces the first.

            Exit 0 when no call can be in flight any more, 3 when a cancellation had ended, 4 when an order is rejected,
            6 when one is not acknowledged in time.

            canceller hold ess 300100 --by ann --reason "wait for the auditors"

            canceller hold ess 300100 --for 2h --by ann --reason "until the window closes"
            """,
            {"for": _milliseconds},
        ),
        OperatorAction(
            "release",
            """Release cancellations that are held: they go on at once.

            Exit 0 when they go on, 3 when a cancellation had ended, 4 when an order is rejected, for example because
            nothing is held, 6 when no worker has taken one in yet.

            canceller release ess 300100 --by ann --reason "audited"

            canceller release 0198f3c2a1b27d0e8c4f5a6b7c8d9e0f --by ann --reason "audited"
            """,
        ),
    )
}
"""By their names."""

WRONG: Final[Mapping[str, str]] = {
    "ended": "it has ended already: {outcome}",
    "not_held": "it is not held",
    "requester": 'attest = "another": {by} requested this cancellation, so somebody else must attest',
    "unsigned": 'attest = "another": if commands are signed, an attestation counts only with a signature',
}
"""Why scripts reject an action, in words."""

TASKS: Final[Mapping[str, OperatorAction]] = {f"worker.{name}": action for name, action in ACTIONS.items()}
"""By the names of their tasks."""


def backend_acted_on(reply: Sequence[bytes] | None, cancellation_id: str, by: str) -> str:
    """Read what the script of an action replies; return the cancellation's backend.

    Raises:
        UnknownCancellation: there is none.
        ActionRejected: the script has rejected it.

    """
    if reply is None:
        raise UnknownCancellation(f"no cancellation is known as {cancellation_id!r}")
    backend, wrong = (part.decode() for part in reply)
    code, _, outcome = wrong.partition(" ")
    if code:
        raise ActionRejected(WRONG[code].format(by=by, outcome=outcome))
    return backend
