"""An operator's actions on open cancellations: `abort`, `attest`, `hold` and `release`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from ...client.async_client import AsyncClient, Rejected
from ...domain.cancellation import WHOLE
from ...protocol.messages import order_texts
from ...protocol.signing import NOT_ACCEPTED
from ...settings.signing_key import SigningKey
from ...store.codec import Snapshot
from ..checks.attendance import attendance
from ..exits import Exit, most_severe
from ..naming import cancellation_named, cancellations_named
from ..options import (
    ORDER_PATIENCE,
    By,
    Json,
    KeyFile,
    One,
    OrderTimeout,
    Producer,
    SeveralOpen,
    Why,
    check_who_and_why,
    duration,
    one_named,
)
from ..output import Output
from ..session import UNSIGNED, Session, connected, signer

LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Given:
    """An action as it is given: by whom and why, how long to wait for it, and the key to sign it with.

    `child` is for an attestation, and `seconds` for a hold.
    """

    action: str
    by: str
    reason: str
    timeout: float
    key: SigningKey | None
    child: str | None = None
    seconds: float | None = None


Child = Annotated[
    str | None,
    typer.Option("--child", metavar="JOB_ID", help="Attest only that this child of the job has stopped."),
]
For = Annotated[
    float | None,
    typer.Option("--for", parser=duration, metavar="DURATION", help="Release it automatically after this time."),
]


async def abort(
    named: One,
    *,
    by: By,
    reason: Why,
    patience: OrderTimeout = ORDER_PATIENCE,
    key: KeyFile = None,
    producer: Producer = None,
    json: Json = False,
) -> Exit:
    """Withdraw a cancellation."""
    one_named(named)
    return await _give_all(named, Given("abort", by, reason, patience, signer(key, producer)), Output(as_json=json))


async def attest(
    named: One,
    *,
    by: By,
    reason: Why,
    child: Child = None,
    patience: OrderTimeout = ORDER_PATIENCE,
    key: KeyFile = None,
    producer: Producer = None,
    json: Json = False,
) -> Exit:
    """Attest that the remote process of a job has stopped."""
    one_named(named)
    given = Given("attest", by, reason, patience, signer(key, producer), child=child)
    return await _give_all(named, given, Output(as_json=json))


async def hold(
    named: SeveralOpen,
    *,
    by: By,
    reason: Why,
    for_: For = None,
    patience: OrderTimeout = ORDER_PATIENCE,
    key: KeyFile = None,
    producer: Producer = None,
    json: Json = False,
) -> Exit:
    """Hold cancellations."""
    given = Given("hold", by, reason, patience, signer(key, producer), seconds=for_)
    return await _give_all(named, given, Output(as_json=json))


async def release(
    named: SeveralOpen,
    *,
    by: By,
    reason: Why,
    patience: OrderTimeout = ORDER_PATIENCE,
    key: KeyFile = None,
    producer: Producer = None,
    json: Json = False,
) -> Exit:
    """Release cancellations that are held."""
    return await _give_all(named, Given("release", by, reason, patience, signer(key, producer)), Output(as_json=json))


async def _give_all(named: Sequence[str], given: Given, output: Output) -> Exit:
    check_who_and_why(given.by, given.reason)
    async with connected(key=given.key) as session:
        several = given.action in {"hold", "release"}
        if several:
            found = await cancellations_named(session, named, output)
        else:
            found = [await cancellation_named(session, named, output)]
        return most_severe([await _give(session, before, given, output) for before in found])


async def _give(session: Session, before: Snapshot, given: Given, output: Output) -> Exit:
    """Give an action to one cancellation and wait until it has taken effect."""
    sign, reference = SIGNS[given.action], before.record.cancellation.id
    if before.record.outcome is not None:
        return _too_late(before, output)

    order_id = await sign.send(session.client, reference, given)
    try:
        seen = await _seen(session, before, order_id, given)
    except Rejected as rejected:
        return _rejected(session, reference, rejected, output)
    if seen is None:
        return await _not_yet(session, given.action, reference, output)
    if not sign.done(before, seen, given):
        return _too_late(seen, output)
    about = f"job {given.child} in {_whose(seen)}" if given.child else _whose(seen)
    return _tell(seen, sign.name, f"{sign.name}: {sign.text.format(about)}", output)


@dataclass(frozen=True, slots=True)
class Sign:
    """How an action is sent, how its effect is recognised, and what is reported then."""

    send: Callable[[AsyncClient, str, Given], Awaitable[str]]
    done: Callable[[Snapshot, Snapshot, Given], bool]
    name: str
    text: str


def _attested(before: Snapshot, seen: Snapshot, given: Given) -> bool:
    earlier, latest = (one.record.cancellation.spec.attestations.get(given.child or WHOLE) for one in (before, seen))
    text = "{}: {}".format(*order_texts(given.by, given.reason))
    return latest is not None and latest != earlier and latest.by == text


def _held(before: Snapshot, seen: Snapshot, _given: Given) -> bool:
    """Whether a new hold is acknowledged, or has already ended."""
    earlier, spec = before.record.cancellation.spec, seen.record.cancellation.spec
    if spec.hold is None:
        return spec.held_for > earlier.held_for
    return spec.hold.announced and spec.hold != earlier.hold


def _released(before: Snapshot, seen: Snapshot, _given: Given) -> bool:
    """Whether a hold has ended meanwhile; if nothing is held, the action can only be rejected."""
    earlier, spec = before.record.cancellation.spec, seen.record.cancellation.spec
    return spec.hold is None and (earlier.hold is not None or spec.held_for > earlier.held_for)


SIGNS: Final[Mapping[str, Sign]] = {
    "abort": Sign(
        lambda client, reference, given: client.abort(reference, by=given.by, reason=given.reason),
        lambda _before, seen, _given: seen.record.outcome == "aborted",
        "aborted",
        "{} is withdrawn; the job itself is left as it is",
    ),
    "attest": Sign(
        lambda client, reference, given: client.attest(reference, by=given.by, reason=given.reason, child=given.child),
        _attested,
        "attested",
        "the word on {} is recorded",
    ),
    "hold": Sign(
        lambda client, reference, given: client.hold(
            reference, by=given.by, reason=given.reason, seconds=given.seconds
        ),
        _held,
        "held",
        "{} sends nothing that changes the job until it is released",
    ),
    "release": Sign(
        lambda client, reference, given: client.release(reference, by=given.by, reason=given.reason),
        _released,
        "released",
        "{} goes on",
    ),
}


async def _seen(session: Session, before: Snapshot, order_id: str, given: Given) -> Snapshot | None:
    """Look at a cancellation until an action has taken effect, or it has ended; return None when the time is up.

    Raises:
        Rejected: the order was rejected; the text says why.

    """
    deadline = asyncio.get_running_loop().time() + given.timeout
    while True:
        seen = await session.client.get(before.record.cancellation.id)
        if SIGNS[given.action].done(before, seen, given) or seen.record.outcome is not None:
            return seen
        rejection = await session.client.ends.notes.rejection(order_id)
        if rejection:
            raise Rejected(rejection)
        if asyncio.get_running_loop().time() > deadline:
            return None
        await asyncio.sleep(LOOK_EVERY)


def _whose(seen: Snapshot) -> str:
    cancellation = seen.record.cancellation
    return f"the {cancellation.spec.verb} of {cancellation.backend} {cancellation.job_id}"


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


async def _not_yet(session: Session, order: str, reference: str, output: Output) -> Exit:
    """Report why an action has not taken effect yet."""
    hold = (await session.client.get(reference)).record.cancellation.spec.hold
    if output.json:
        output.object({"order": "sent", "id": reference})
    elif order == "hold" and hold is not None and not hold.announced:
        output.line("not held yet: a call is in flight, and the hold takes effect when that has ended")
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
