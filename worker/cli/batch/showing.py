"""Shows what is known of batches: `list`, `status`, `watch` and `report`."""

from __future__ import annotations

import csv
import io
import json as json_text
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from ...protocol.batches import BatchResult, BatchState, BatchStatus
from ...views.batches import described, ended, outcomes, short, state_words
from ...views.counted import counted
from ...views.explain import clock, span
from ..exits import Exit
from ..options import Json, Timeout
from ..output import Output
from ..session import connected
from .ending import plain, report_end, ways_on
from .files import STANDARD, writing
from .naming import batch_named
from .orders import Id
from .watching import Watch, going_on, to_watch

COLUMNS: Final = (
    "job_id", "backend", "verb", "outcome", "evidence", "safe_to_rerun", "detail", "raw_state", "error",
    "command_id", "cancellation_id",
)  # fmt: skip
"""The columns of a report as CSV."""
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""
TOLD: Final = frozenset({"detail", "raw_state", "error"})
"""The columns whose texts may come from a backend."""

Limit = Annotated[int, typer.Option(min=1, help="At most this many, newest first.")]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write it there, as CSV if its name ends with .csv; `-` is standard output.",
    ),
]


async def list_(*, limit: Limit = 20, json: Json = False) -> None:
    """List the batches that are kept, newest first.

    canceller batch list

    canceller batch list --limit 5 --json
    """
    output = Output(as_json=json)
    async with connected() as session:
        found = await session.client.batches(limit)
    if output.json:
        for one in found:
            output.object(described(one))
        return
    now = datetime.now(UTC)
    output.rows(
        ("id", "state", "sent", "jobs", "ended", "outcomes"),
        [
            (
                short(one.id),
                str(one.state),
                clock(one.created_at, now),
                str(one.counts.selected),
                str(ended(one.counts)),
                outcomes(one.counts),
            )
            for one in found
        ],
    )
    if not found:
        output.note("no batch is kept")


async def status(batch: Id, *, json: Json = False) -> None:
    """Show how far a batch has got, and what holds it up.

    canceller batch status sha256:4f0c1d

    canceller batch status nightly-7 --json
    """
    output = Output(as_json=json)
    async with connected() as session:
        seen = await (await batch_named(session, batch)).status()
    if output.json:
        output.object(described(seen))
        return
    output.sheet(words(seen, datetime.now(UTC)))


async def watch(batch: Id, *, seconds: Timeout = None, json: Json = False) -> Exit:
    """Watch a batch to its end; Ctrl-C leaves it running.

    Exit 0 when all went as planned, 3 when a job was not as planned, could not be stopped or was aborted, or when the
    batch has paused by itself; 6 when it is still open after --timeout.

    canceller batch watch sha256:4f0c1d

    canceller batch watch nightly-7 --timeout 1h --json
    """
    output = Output(as_json=json)
    async with connected() as session:
        watched = await batch_named(session, batch)
        async with going_on(watched, output, to_watch):
            seen = await Watch(session, watched, output, "stopping").run(seconds)
        return await report_end(watched, seen, output)


async def report(batch: Id, *, file: ReportFile = None, json: Json = False) -> None:
    """Show what became of each job, one per line, as JSON or CSV; also before the batch has ended.

    canceller batch report plan.jsonl -o report.csv

    canceller batch report nightly-7 --json
    """
    output = Output(as_json=json)
    async with connected() as session:
        reported = await batch_named(session, batch)
        if file is None or str(file) == STANDARD:
            async for result in reported.report():
                output.object(plain(result))
            return
        count = await write_report(reported.report(), file)
        seen = await reported.status()
    if output.json:
        output.object({"batch_id": reported.id, "file": str(file), "jobs": count})
    else:
        output.line(f"{file} is written: {counted(count, 'job')}")
    if seen.state is not BatchState.FINISHED:
        output.note(f"the batch is {seen.state}: not ended: {counted(seen.counts.waiting + seen.counts.open, 'job')}")


def words(seen: BatchStatus, now: datetime) -> list[tuple[str, str]]:
    """Describe a batch in labelled texts."""
    counts, options = seen.counts, seen.options
    limits = [
        f"{options.rate:g} a second" if options.rate else "",
        f"{options.max_open} open at once",
        f"a canary of {options.canary}" if options.canary else "",
        f"pauses above {options.stop_at * 100:g} % failures" if options.stop_at else "",
        "stops jobs that have changed, too" if options.on_changed == "apply" else "",
    ]
    told = [
        ("batch", seen.id),
        ("state", "; ".join(state_words(seen)) or str(seen.state)),
        ("jobs", f"{counts.selected}: {counts.waiting} waiting, {counts.open} open, {ended(counts)} ended"),
        ("outcomes", outcomes(counts)),
        ("backends", ", ".join(seen.backends)),
        ("limits", ", ".join(filter(None, limits))),
        ("sent", clock(seen.created_at, now)),
        ("started", clock(seen.started_at, now) if seen.started_at else ""),
        ("ended", clock(seen.ended_at, now) if seen.ended_at else ""),
    ]
    if seen.started_at:
        told.append(
            ("took" if seen.ended_at else "runs for", span(((seen.ended_at or now) - seen.started_at).total_seconds()))
        )
    return [(label, text) for label, text in told if text] + [("next", way) for way in ways_on(seen)]


async def write_report(results: AsyncIterator[BatchResult], file: Path) -> int:
    """Write results into a file; return how many there are."""
    csv_wanted, count = file.suffix.lower() == ".csv", 0
    with writing(file) as target:
        if csv_wanted:
            target.write(_csv(COLUMNS))
        async for result in results:
            found = plain(result)
            csv_line = _csv([_cell(name, found.get(name)) for name in COLUMNS])
            target.write(csv_line if csv_wanted else json_text.dumps(found).encode() + b"\n")
            count += 1
    return count


def _cell(name: str, value: object) -> str:
    """Write a value as CSV has it; no text of a backend can be taken for a formula."""
    if isinstance(value, bool):
        return str(value).lower()
    text = "" if value is None else str(value)
    return f"'{text}" if name in TOLD and text.startswith(FORMULA) else text


def _csv(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8", "backslashreplace")
