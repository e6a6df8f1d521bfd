"""`status`, `wait` and `list`: what is known of cancellations."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from math import inf
from typing import Annotated, Any

import typer

from ...client.async_client import Result
from ...client.ends import result_of
from ...domain.cancellation import attributed
from ...domain.errors import UnknownCancellation
from ...settings.problems import choices, suggestion
from ...store.codec import Record, Snapshot
from ...views.explain import clock, span, words
from ...views.summary import gist
from ..checks.attendance import Attendance, attendance
from ..completing import open_ones
from ..exits import Exit
from ..naming import cancellation_named, job_named, names_job
from ..options import JOB_WORDS, Json, One, OnlyBackend, Timeout, duration, one_named
from ..output import Output, jsonable
from ..session import Session, connected
from ..waiting import PATIENCE, report_ends

Several = Annotated[
    list[str],
    typer.Argument(
        metavar="ID | BACKEND JOB_ID",
        help="Ids of cancellations or of commands; or a backend and its job's id, for the job's last cancellation.",
        autocompletion=open_ones,
    ),
]
Patience = Annotated[
    float,
    typer.Option(
        "--patience",
        parser=duration,
        metavar="DURATION",
        help="How long an id may be unknown, as a new command's is until a worker takes it in; then exit 1.",
    ),
]
UNANSWERED = "not known: Redis did not answer in time; check REDIS_URL, and that this server is running"


UNSERVED = "no living worker knows its backend"
SEARCHED_EVENTS = 5000
"""How many events are searched for the reason why a backend is not called."""
SHARED = ("cancellation", "backend", "job", "verb")
"""The columns that both lists begin with."""


async def status(named: One, *, json: Json = False) -> None:
    """Say in words what was done, what is seen, what comes next, and what stands in the way.

    Exit 1 when nothing is known of it.

    canceller status ess 300100

    canceller status 0198f3c2a1b27d0e8c4f5a6b7c8d9e0f --json
    """
    one_named(named)
    output = Output(as_json=json)
    async with connected() as session:
        seen = await cancellation_named(session, named, output)
        result = None
        if seen.record.outcome is not None:
            result = await session.client.wait(seen.record.cancellation.id)
        there = await attendance(session.settings)
        obstacles = [_unserved(there, seen), await _moved(session, seen), await _pause(session, seen)]
        told = words(seen, datetime.now(UTC), result, obstacles)
    if output.json:
        output.object({**described(seen, result, there), "words": _grouped(told)})
    else:
        output.sheet(told)


async def wait(named: Several, *, seconds: Timeout = None, patience: Patience = PATIENCE, json: Json = False) -> Exit:
    """Wait until cancellations have ended.

    Exit 0 when each outcome is what its command asked for, 3 when one is not, 4 when one was refused, 2 when a command
    was rejected, 1 when an id is not known after --patience, 6 when one is still open after --timeout.

    canceller wait ess 300100 --timeout 10m

    canceller wait invoice-7 invoice-8 --json
    """
    output, loop = Output(as_json=json), asyncio.get_running_loop()
    async with connected() as session:

        def missing(there: Attendance) -> UnknownCancellation:
            late = "" if there.idle else ", or its command is not taken in yet"
            if one_job:
                return UnknownCancellation(f"no cancellation of {' '.join(named)} is known{late} ({there})")
            if len(named) == JOB_WORDS and not told_of_job:
                told_of_job.append(named[0])
                served = f"; no worker serves a backend {named[0]}{suggestion(named[0], there.backends)}"
                output.note(f"no cancellation of {' '.join(named)} is known either{served if there.workers else ''}")
            return UnknownCancellation(f"no cancellation or command has this id{late} ({there})")

        started, job, answered, one_job = loop.time(), None, False, False
        told_of_job: list[str] = []
        try:
            async with asyncio.timeout(seconds):
                await session.store.last_event_id()  # a Redis that can't be reached now is a mistake, not an outage
                answered = True
                job = await job_named(session, named, min(inf if seconds is None else seconds, patience), output)
        except TimeoutError:
            if not answered:
                return _unanswered(named, output)
        if job is not None and job.record.outcome is not None:
            output.note(f"no cancellation of {' '.join(named)} is open; the last one has ended")
        commands: dict[str, dict[str, str]] = {reference: {} for reference in named}
        if job is not None:
            cancellation = job.record.cancellation
            commands = {cancellation.id: {"backend": cancellation.backend, "job_id": cancellation.job_id}}
        elif one_job := await names_job(session, named, (await attendance(session.settings)).backends):
            commands = {" ".join(named): dict(zip(("backend", "job_id"), named, strict=True))}
        spent = loop.time() - started
        return await report_ends(
            session,
            commands,
            None if seconds is None else max(0.0, seconds - spent),
            output,
            missing=missing,
            patience=max(0.0, patience - spent),
        )


async def list_(
    *,
    backend: OnlyBackend = "",
    finished: Annotated[bool, typer.Option("--finished/--open", help="Those that have ended, newest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="List this many at most.")] = 100,
    json: Json = False,
) -> None:
    """List the cancellations that are open, or those that have ended.

    canceller list --backend ess

    canceller list --finished --limit 20 --json
    """
    output = Output(as_json=json)
    if finished:
        await _list_finished(backend, limit, output)
        return
    async with connected() as session:
        seen = await session.client.list_open(backend, limit + 1)
        there = await attendance(session.settings)
        if not there.workers:
            output.note(str(there))
        waiting = "" if seen else _why_empty(there, backend)
    if output.json:
        for one in seen[:limit]:
            output.object(described(one, None, there))
        return
    now = datetime.now(UTC)
    output.rows((*SHARED, "state", "open for", "next"), [_open_row(one, now, there) for one in seen[:limit]])
    _note_rest(len(seen), limit, backend, f"is open{waiting}", output)


def _unserved(there: Attendance, seen: Snapshot) -> str:
    """Say so if workers live, but none serves the backend."""
    backend = seen.record.cancellation.backend
    if seen.record.outcome is not None or not there.unserved(backend):
        return ""
    return f"{UNSERVED}, so nothing is called: put {backend} back into the workers' backends file, or abort this"


async def _moved(session: Session, seen: Snapshot) -> str:
    """Say so if the backends file points elsewhere now than when the cancellation was accepted."""
    cancellation = seen.record.cancellation
    if seen.record.outcome is not None or not cancellation.place:
        return ""
    before, now = await session.store.places(cancellation)
    if not now or before == now:
        return ""
    return f"it was accepted for {before or 'another place'}, and {cancellation.backend} is {now} now"


async def _pause(session: Session, seen: Snapshot) -> str:
    """Say why the backend is not called now, if it is paused; read only if looks fail."""
    cancellation = seen.record.cancellation
    if seen.record.outcome is not None or not cancellation.progress.failed_looks:
        return ""
    searched = 0
    async for event in session.store.newest_events(500):
        searched += 1
        if event.backend == cancellation.backend and event.name in {"paused", "resumed"}:
            return f"{cancellation.backend} is paused: {gist(event)}" if event.name == "paused" else ""
        if searched >= SEARCHED_EVENTS:
            break
    return ""


def described(seen: Snapshot, result: Result | None, there: Attendance) -> dict[str, Any]:
    """Return what is known of a cancellation as plain values."""
    record = seen.record
    cancellation = record.cancellation
    return {
        "cancellation_id": cancellation.id,
        "command_ids": seen.command_ids,
        "backend": cancellation.backend,
        "job_id": cancellation.job_id,
        "verb": cancellation.spec.verb,
        "open": record.outcome is None,
        "outcome": record.outcome,
        "accepted_at": cancellation.accepted_at,
        "ended_at": record.ended_at,
        "due_at": seen.due_at,
        "claimed": seen.claimed,
        "backend_served": cancellation.backend in there.served,
        "command": seen.command,
        "orders": cancellation.spec,
        "progress": _progress(record),
        "result": result and result.data,
    }


def _progress(record: Record) -> dict[str, Any]:
    progress: dict[str, Any] = jsonable(record.cancellation.progress)
    if record.outcome is not None:
        del progress["next"]  # what was planned before the end came
    return progress


def _grouped(told: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for label, text in told:
        grouped.setdefault(label.replace(" ", "_"), []).append(text)
    return grouped


def _unanswered(named: Sequence[str], output: Output) -> Exit:
    """Report that Redis has not answered in time, so that nothing is known."""
    references = [" ".join(named)] if len(named) == JOB_WORDS else named
    for reference in references:
        if output.json:
            output.object({"id": reference, "outcome": None, "known": False})
        else:
            output.line(f"{reference}  {UNANSWERED}")
    if output.json:
        output.note(UNANSWERED)
    return Exit.STILL_OPEN


def _open_row(seen: Snapshot, now: datetime, there: Attendance) -> tuple[str, ...]:
    cancellation = seen.record.cancellation
    progress = cancellation.progress
    return (
        cancellation.id,
        cancellation.backend,
        cancellation.job_id,
        str(cancellation.spec.verb),
        progress.raw or "not seen yet",
        span((now - cancellation.accepted_at).total_seconds()),
        _next(seen, there),
    )


def _next(seen: Snapshot, there: Attendance) -> str:
    cancellation = seen.record.cancellation
    if there.unserved(cancellation.backend):
        return f"{UNSERVED}; timed_out at {cancellation.spec.give_up_at:%Y-%m-%d %H:%M:%S} UTC"
    hold = cancellation.spec.hold
    if hold is not None:
        return f"held by {attributed(hold.by, hold.signed_by)}: {hold.reason}"
    return cancellation.progress.next or "the first pass"


async def _list_finished(backend: str, limit: int, output: Output) -> None:
    async with connected() as session:
        events = await session.client.list_finished(backend, limit + 1)
        if not events:
            _why_empty(await attendance(session.settings), backend)
    if output.json:
        for event in events[:limit]:
            output.object(event.model_dump(exclude_none=True))
        return
    now = datetime.now(UTC)
    rows = [
        (
            result.cancellation_id,
            event.backend or "",
            event.subject or "",
            str(event.data.get("verb", "")),
            result.outcome,
            clock(datetime.fromisoformat(event.time), now),
            result.evidence,
            result.detail,
        )
        for event in events[:limit]
        for result in (result_of(event.cancellationid or "", event.outcome or "", event.data),)
    ]
    output.rows((*SHARED, "outcome", "ended", "evidence", "detail"), rows)
    _note_rest(len(events), limit, backend, "has ended", output)


def _why_empty(there: Attendance, backend: str) -> str:
    """Say why a list may be empty: commands are not taken in yet. A mistyped backend is an error of usage."""
    if backend and there.backends and backend not in there.backends:
        close = suggestion(backend, there.backends)
        raise typer.BadParameter(f"no backend is called {backend!r}{close}; there are {choices(there.backends)}")
    return f"; {there}" if there.workers and there.waiting else ""


def _note_rest(found: int, limit: int, backend: str, none: str, output: Output) -> None:
    """Note that a list is cut, or that it is empty."""
    if found > limit:
        output.note(f"there are more than these {limit}: --limit shows them")
    elif not found:
        output.note(f"no cancellation{f' of {backend}' if backend else ''} {none}")
