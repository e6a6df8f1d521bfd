"""`status`, `wait` and `list`: what is known of cancellations."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from worker.async_client import Result
from worker.cli.exits import Exit
from worker.cli.options import Json, OnlyBackend, Timeout
from worker.cli.output import Output
from worker.cli.sending import wait_and_tell
from worker.cli.session import Session, connected
from worker.cli.telling import gist
from worker.cli.waiting import result_of
from worker.cli.words import span, words
from worker.errors import UnknownCancellation
from worker.records import Snapshot

SEARCHED_ENDS = 2000
"""How many ended cancellations `status BACKEND JOB_ID` looks through when none is open."""
SEARCHED_EVENTS = 5000
"""How many events are looked through for the pause of a backend."""

Ids = Annotated[list[str], typer.Argument(metavar="ID", help="Ids of cancellations or of commands.")]
Named = Annotated[
    list[str],
    typer.Argument(
        metavar="ID | BACKEND JOB_ID", help="The id of a cancellation or of a command; or a backend and its job's id."
    ),
]


def status(named: Named, *, json: Json = False) -> None:
    """Tell in words what was done, what is seen, what comes next, and what stands in the way.

    Exit 1 when nothing is known of it.
    """
    if len(named) > 2:  # noqa: PLR2004 - a backend and a job
        raise typer.BadParameter("give one ID, or a BACKEND and a JOB_ID")
    asyncio.run(_status(named, Output(as_json=json)))


def wait(ids: Ids, *, timeout: Timeout = None, json: Json = False) -> None:
    """Wait until cancellations have ended.

    Exit 0 when each outcome is what its command asked for, 3 when one is not, 4 when one was refused, 2 when a command
    was rejected, 6 when one is still open after --timeout.
    """
    raise typer.Exit(asyncio.run(_wait(ids, timeout, Output(as_json=json))))


def list_(
    *,
    backend: OnlyBackend = "",
    finished: Annotated[bool, typer.Option("--finished/--open", help="Those that have ended, newest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = 100,
    json: Json = False,
) -> None:
    """List the cancellations that are open, or those that have ended."""
    output = Output(as_json=json)
    asyncio.run(_list_finished(backend, limit, output) if finished else _list_open(backend, limit, output))


async def _status(named: Sequence[str], output: Output) -> None:
    async with connected() as session:
        seen = await (session.client.get(named[0]) if len(named) == 1 else _of_job(session, *named))
        result = None
        if seen.record.outcome is not None:
            result = await session.client.wait(seen.record.cancellation.id)
        told = words(seen, datetime.now(UTC), result, await _pause(session, seen))
    if output.json:
        output.object({**described(seen, result), "words": _grouped(told)})
    else:
        output.sheet(told)


async def _of_job(session: Session, backend: str, job_id: str) -> Snapshot:
    """Find the open cancellation of a job, else the last one that ended."""
    try:
        return await session.client.open_of(backend, job_id)
    except UnknownCancellation:
        for event in await session.client.list_finished(backend, SEARCHED_ENDS):
            if event.subject == job_id and event.cancellationid:
                return await session.client.get(event.cancellationid)
    raise UnknownCancellation(
        f"no cancellation of {backend} {job_id} is open, and none is among the last {SEARCHED_ENDS} that ended"
    )


async def _pause(session: Session, seen: Snapshot) -> str:
    """Say why the backend is not called now, if it is paused; only asked where looks fail."""
    cancellation = seen.record.cancellation
    if seen.record.outcome is not None or not cancellation.progress.failed_looks:
        return ""
    searched = 0
    async for event in session.store.newest_events(500):
        searched += 1
        if event.backend == cancellation.backend and event.name in {"paused", "resumed"}:
            return gist(event) if event.name == "paused" else ""
        if searched >= SEARCHED_EVENTS:
            break
    return ""


def described(seen: Snapshot, result: Result | None) -> dict[str, Any]:
    """Return what is known of a cancellation as plain values."""
    record = seen.record
    cancellation = record.cancellation
    return {
        "cancellation_id": cancellation.id,
        "command_ids": seen.command_ids,
        "backend": cancellation.backend,
        "job_id": cancellation.job_id,
        "verb": cancellation.orders.verb,
        "open": record.outcome is None,
        "outcome": record.outcome,
        "accepted_at": cancellation.accepted_at,
        "ended_at": record.ended_at,
        "due_at": seen.due_at,
        "claimed": seen.claimed,
        "command": seen.command,
        "orders": cancellation.orders,
        "progress": cancellation.progress,
        "result": result and result.data,
    }


def _grouped(told: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for label, text in told:
        grouped.setdefault(label.replace(" ", "_"), []).append(text)
    return grouped


async def _wait(ids: Sequence[str], seconds: float | None, output: Output) -> Exit:
    async with connected() as session:
        after = await session.position()
        return await wait_and_tell(session, {reference: {} for reference in ids}, after, seconds, output)


async def _list_open(backend: str, limit: int, output: Output) -> None:
    async with connected() as session:
        seen = (await session.client.list_open(backend, limit + 1))[: limit + 1]
    if output.json:
        for one in seen[:limit]:
            output.object(described(one, None))
        return
    now = datetime.now(UTC)
    columns = ("cancellation", "backend", "job", "verb", "state", "open for", "next")
    output.rows(columns, [_open_row(one, now) for one in seen[:limit]])
    _tell_rest(len(seen), limit, output)


def _open_row(seen: Snapshot, now: datetime) -> tuple[str, ...]:
    cancellation = seen.record.cancellation
    progress = cancellation.progress
    return (
        cancellation.id,
        cancellation.backend,
        cancellation.job_id,
        str(cancellation.orders.verb),
        progress.raw or "not seen yet",
        span((now - cancellation.accepted_at).total_seconds()),
        progress.next or "the first pass",
    )


async def _list_finished(backend: str, limit: int, output: Output) -> None:
    async with connected() as session:
        events = await session.client.list_finished(backend, limit + 1)
    if output.json:
        for event in events[:limit]:
            output.object(event.model_dump(exclude_none=True))
        return
    columns = ("outcome", "backend", "job", "verb", "ended", "evidence", "cancellation", "detail")
    rows = [
        (
            result.outcome,
            event.backend or "",
            event.subject or "",
            str(event.data.get("verb", "")),
            event.time,
            result.evidence,
            result.cancellation_id,
            result.detail,
        )
        for event in events[:limit]
        for result in (result_of(event),)
    ]
    output.rows(columns, rows)
    _tell_rest(len(events), limit, output)


def _tell_rest(found: int, limit: int, output: Output) -> None:
    if found > limit:
        output.note(f"there are more than these {limit}: --limit shows them")
    elif not found and output.on_terminal:
        output.note("there is none")
