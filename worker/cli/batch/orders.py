"""Orders about a whole batch: `pause`, `resume` and `abort`; sent, then awaited until they take effect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from ...client.async_client import Rejected
from ...client.batches import AsyncBatch
from ...protocol.batches import WRONG, BatchState, BatchStatus
from ...settings.signing_key import SigningKey
from ...views.batches import described, progress_line, short
from ..checks.attendance import attendance
from ..exits import Exit
from ..options import ORDER_PATIENCE, By, Json, KeyFile, OrderTimeout, Producer, Why, check_who_and_why
from ..output import Output
from ..session import Session, connected, signer
from .naming import batch_named
from .rejections import rejected_batch

LOOK_EVERY: Final = 0.1

Id = Annotated[
    str, typer.Argument(metavar="ID", help="The id of a batch, the beginning of one, or the file of its plan.")
]
Hold = Annotated[bool, typer.Option("--hold", help="Hold what is open, too: nothing more is sent for it.")]


@dataclass(frozen=True, slots=True)
class Given:
    """An order as it is given."""

    name: str
    by: str
    reason: str
    timeout: float
    key: SigningKey | None
    hold: bool = False


async def pause(
    batch: Id,
    *,
    by: By,
    reason: Why,
    hold: Hold = False,
    patience: OrderTimeout = ORDER_PATIENCE,
    key: KeyFile = None,
    producer: Producer = None,
    json: Json = False,
) -> Exit:
    """Start nothing new; what is open goes on, unless --hold holds it too.

    Exit 0 when it is paused, 3 when it had ended, 4 when the order is rejected, 6 when no worker has taken it in yet.

    canceller batch pause sha256:4f0c1d --by ann --reason "too many refusals"

    canceller batch pause sha256:4f0c1d --hold --by ann --reason "wrong jobs"
    """
    return await _give(batch, Given("pause", by, reason, patience, signer(key, producer), hold), Output(as_json=json))


async def resume(
    batch: Id,
    *,
    by: By,
    reason: Why,
    patience: OrderTimeout = ORDER_PATIENCE,
    key: KeyFile = None,
    producer: Producer = None,
    json: Json = False,
) -> Exit:
    """Go on after a pause: earlier failures no longer count, what was held is released, the rest after a canary starts.

    Exit 0 when it goes on, 3 when it had ended, was not paused or has paused again by itself, 4 when the order is
    rejected, 6 when no worker has taken it in yet.

    canceller batch resume sha256:4f0c1d --by ann --reason "the refusals are fine"

    canceller batch resume nightly-7 --by ann --reason "the window is open"
    """
    return await _give(batch, Given("resume", by, reason, patience, signer(key, producer)), Output(as_json=json))


async def abort(
    batch: Id,
    *,
    by: By,
    reason: Why,
    patience: OrderTimeout = ORDER_PATIENCE,
    key: KeyFile = None,
    producer: Producer = None,
    json: Json = False,
) -> Exit:
    """Abort it: what has not started ends as aborted without a call, and what is open is aborted.

    Exit 0 when all of it has ended, 3 when it had ended before, 4 when the order is rejected, 6 when some of it is
    still open after --timeout, or no worker has taken the order in yet.

    canceller batch abort sha256:4f0c1d --by ann --reason "wrong jobs"

    canceller batch abort nightly-7 --by ann --reason "the window closes" --timeout 2m
    """
    return await _give(batch, Given("abort", by, reason, patience, signer(key, producer)), Output(as_json=json))


@dataclass(frozen=True, slots=True)
class Order:
    """How an order is sent, when it has taken effect, and what is reported then."""

    send: Callable[[AsyncBatch, Given], Awaitable[str]]
    done: Callable[[BatchStatus, Given], bool]
    name: str
    text: str


ORDERS: Final[Mapping[str, Order]] = {
    "pause": Order(
        lambda batch, given: batch.pause(by=given.by, reason=given.reason, hold=given.hold),
        lambda status, given: status.state is BatchState.PAUSED and (status.held or not given.hold),
        "paused",
        "nothing new is started",
    ),
    "resume": Order(
        lambda batch, given: batch.resume(by=given.by, reason=given.reason),
        lambda status, _: status.state is BatchState.RUNNING,
        "resumed",
        "it goes on",
    ),
    "abort": Order(
        lambda batch, given: batch.abort(by=given.by, reason=given.reason),
        lambda status, _: status.state is BatchState.FINISHED and bool(status.reason),
        "aborted",
        "all of it has ended",
    ),
}


async def _give(named: str, given: Given, output: Output) -> Exit:
    check_who_and_why(given.by, given.reason)
    order = ORDERS[given.name]
    async with connected(key=given.key) as session:
        batch = await batch_named(session, named)
        before = await batch.status()
        if before.state.final:
            return await _unmet(session, before, given, before, output)
        if given.name == "resume" and before.state is not BatchState.PAUSED:
            rejected_batch(session, Rejected(WRONG["not_paused"]), output)
            return Exit.NOT_AS_ASKED
        order_id = await order.send(batch, given)
        try:
            status = await _held(session, batch, order_id, given, before)
        except Rejected as rejected:
            after = await batch.status()
            if after.state.final:
                return await _unmet(session, after, given, before, output)
            code = rejected_batch(session, rejected, output)
            return Exit.NOT_AS_ASKED if str(rejected) in WRONG.values() else code
        if order.done(status, given):
            _tell(status, order.name, f"{order.name}: {order.text}: {progress_line(status)}", output)
            return Exit.DONE
        return await _unmet(session, status, given, before, output)


def _paused_again(status: BatchStatus, given: Given, before: BatchStatus) -> bool:
    """Whether a batch has paused by itself since it was resumed."""
    why = (status.by, status.reason)
    return given.name == "resume" and status.by == "canceller" and why != (before.by, before.reason)


async def _held(session: Session, batch: AsyncBatch, order_id: str, given: Given, before: BatchStatus) -> BatchStatus:
    """Look until an order has taken effect, the batch has ended or paused again, or the time is up.

    Raises:
        Rejected: the order was rejected; the text says why.

    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + given.timeout
    while True:
        status = await batch.status()
        settled = ORDERS[given.name].done(status, given) or _paused_again(status, given, before)
        if settled or status.state.final or loop.time() > deadline:
            return status
        if rejection := await session.client.ends.notes.rejection(order_id):
            raise Rejected(rejection)
        await asyncio.sleep(LOOK_EVERY)


async def _unmet(session: Session, status: BatchStatus, given: Given, before: BatchStatus, output: Output) -> Exit:
    """Report why an order has no effect, or none yet."""
    how_far = progress_line(status)
    if status.state.final:
        _tell(status, "too_late", f"too late: batch {short(status.id)} has ended: {how_far}", output)
        return Exit.NOT_AS_ASKED
    if _paused_again(status, given, before):
        _tell(status, "paused", f"it was resumed, and has paused again: {how_far}", output)
        return Exit.NOT_AS_ASKED
    if given.name == "abort" and status.state is BatchState.ABORTING:
        text = f"being aborted, and nothing new is started: {how_far}"
    elif given.name == "pause" and status.state is BatchState.PAUSED:
        text = "paused, but not held yet: calls are in flight, and the hold takes effect when they have ended"
    else:
        there = await attendance(session.settings)
        text = f"sent: no worker has taken the {given.name} in yet; it waits in the queue ({there})"
    _tell(status, "sent", text, output)
    return Exit.STILL_OPEN


def _tell(status: BatchStatus, order: str, text: str, output: Output) -> None:
    if output.json:
        output.object({"order": order, **described(status)})
    else:
        output.line(text)
