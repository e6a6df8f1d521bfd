"""`abort` and `attest`: an operator's word on an open cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from ...client.async_client import Rejected
from ...domain.cancellation import WHOLE, Word
from ...protocol.messages import order_texts
from ...protocol.signing import NOT_ACCEPTED
from ...settings.signing_key import SigningKey
from ...store.codec import Snapshot
from ..checks.attendance import attendance
from ..exits import Exit
from ..naming import cancellation_named
from ..options import ORDER_PATIENCE, By, Json, KeyFile, One, OrderTimeout, Producer, Why, one_named
from ..output import Output
from ..session import UNSIGNED, Session, connected, signer

LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Given:
    """An order as it is given: by whom and why, for how long to wait for it, and with what to sign it."""

    by: str
    reason: str
    timeout: float
    key: SigningKey | None


Child = Annotated[
    str | None,
    typer.Option("--child", metavar="JOB_ID", help="The word is about this child of the job alone."),
]


def abort(
    named: One,
    *,
    by: By,
    reason: Why,
    timeout: OrderTimeout = ORDER_PATIENCE,
    key: KeyFile = None,
    producer: Producer = None,
    json: Json = False,
) -> None:
    """Withdraw a cancellation: nothing more is sent, and its outcome is aborted.

    Exit 0 when it has ended as aborted, 3 when it has ended otherwise, 4 when the order is rejected, 6 when no worker
    has taken it in yet.
    """
    _checked(named, by, reason)
    given = Given(by, reason, timeout, signer(key, producer))
    raise typer.Exit(asyncio.run(_abort(named, given, Output(as_json=json))))


def attest(
    named: One,
    *,
    by: By,
    reason: Why,
    child: Child = None,
    timeout: OrderTimeout = ORDER_PATIENCE,
    key: KeyFile = None,
    producer: Producer = None,
    json: Json = False,
) -> None:
    """Give your word that the remote process of a job has stopped, which opens a force gate that waits for it.

    For a parent it is about its whole family, or with --child about that child alone.

    Exit 0 when the word is noted, 3 when the cancellation had ended, 4 when the order is rejected, 6 when no worker has
    taken it in yet.
    """
    _checked(named, by, reason)
    given = Given(by, reason, timeout, signer(key, producer))
    raise typer.Exit(asyncio.run(_attest(named, given, child, Output(as_json=json))))


def _checked(named: Sequence[str], by: str, reason: str) -> None:
    one_named(named)
    for option, text in (("--by", by), ("--reason", reason)):
        if not text.strip():
            raise typer.BadParameter("it is kept with the order and can't be empty", param_hint=option)


async def _abort(named: Sequence[str], given: Given, output: Output) -> Exit:
    async with connected(key=given.key) as session:
        before = await cancellation_named(session, named)
        if before.record.outcome is not None:
            return _too_late(before, output)
        reference = before.record.cancellation.id
        order_id = await session.client.abort(reference, by=given.by, reason=given.reason)
        try:
            seen = await _seen(session, reference, order_id, given, lambda seen: seen.record.outcome is not None)
        except Rejected as rejected:
            return _rejected(session, reference, rejected, output)
        if seen is None:
            return await _not_taken(session, "abort", reference, output)
    if seen.record.outcome != "aborted":
        return _too_late(seen, output)
    return _tell(seen, "aborted", f"aborted: {_whose(seen)} is withdrawn; the job itself is left as it is", output)


async def _attest(named: Sequence[str], given: Given, child: str | None, output: Output) -> Exit:
    async with connected(key=given.key) as session:
        before = await cancellation_named(session, named)
        if before.record.outcome is not None:
            return _too_late(before, output)
        reference, earlier = before.record.cancellation.id, _word(before, child)

        def noted(seen: Snapshot) -> bool:
            word = _word(seen, child)
            return (
                word is not None
                and word != earlier
                and word.by == "{}: {}".format(*order_texts(given.by, given.reason))
            )

        order_id = await session.client.attest(reference, by=given.by, reason=given.reason, child=child)
        try:
            seen = await _seen(
                session, reference, order_id, given, lambda seen: noted(seen) or seen.record.outcome is not None
            )
        except Rejected as rejected:
            return _rejected(session, reference, rejected, output)
        if seen is None:
            return await _not_taken(session, "attest", reference, output)
    if not noted(seen):
        return _too_late(seen, output)
    about = f"job {child} in {_whose(seen)}" if child else _whose(seen)
    return _tell(seen, "attested", f"attested: the word on {about} is noted", output)


def _word(seen: Snapshot, child: str | None) -> Word | None:
    return seen.record.cancellation.orders.words.get(child or WHOLE)


async def _seen(
    session: Session, reference: str, order_id: str, given: Given, done: Callable[[Snapshot], bool]
) -> Snapshot | None:
    """Look at a cancellation until something holds; None when the time is over.

    Raises:
        Rejected: the order was, and why.

    """
    deadline = asyncio.get_running_loop().time() + given.timeout
    while True:
        seen = await session.client.get(reference)
        if done(seen):
            return seen
        rejection = await session.client.ends.notes.rejection(order_id)
        if rejection:
            raise Rejected(rejection)
        if asyncio.get_running_loop().time() > deadline:
            return None
        await asyncio.sleep(LOOK_EVERY)


def _whose(seen: Snapshot) -> str:
    cancellation = seen.record.cancellation
    return f"the {cancellation.orders.verb} of {cancellation.backend} {cancellation.job_id}"


def _too_late(seen: Snapshot, output: Output) -> Exit:
    outcome = str(seen.record.outcome)
    _tell(seen, "too_late", f"too late: {_whose(seen)} has ended as {outcome}", output)
    return Exit.NOT_AS_ASKED


def _rejected(session: Session, reference: str, rejected: Rejected, output: Output) -> Exit:
    if output.json:
        output.object({"order": "rejected", "id": reference, "error": str(rejected)})
    else:
        output.line("", f"rejected: {rejected}")
    if str(rejected) == NOT_ACCEPTED and not session.signs:
        output.note(UNSIGNED)
    return Exit.NOT_ALLOWED


async def _not_taken(session: Session, order: str, reference: str, output: Output) -> Exit:
    if output.json:
        output.object({"order": "sent", "id": reference})
    else:
        there = await attendance(session.settings)
        output.line(f"sent: no worker has taken the {order} in yet; it waits in the queue ({there})")
    return Exit.STILL_OPEN


def _tell(seen: Snapshot, order: str, text: str, output: Output) -> Exit:
    cancellation = seen.record.cancellation
    if output.json:
        output.object({"order": order, "cancellation_id": cancellation.id, "outcome": seen.record.outcome})
    else:
        output.line(text)
    return Exit.DONE
