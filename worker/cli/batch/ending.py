"""What is reported once a batch has ended: every job that is not as planned, every failure, the totals."""

from __future__ import annotations

from typing import Any, Final

from ...client.batches import AsyncBatch
from ...protocol.batches import BatchResult, BatchState, BatchStatus
from ...views.batches import FAILURES, WITHDRAWN, described, drift_of, outcomes, progress_line, short
from ...views.counted import counted
from ..exits import Exit
from ..output import Output, jsonable

SHOWN: Final = 20
"""How many jobs of each sort are named on a terminal; a pipe gets all of them."""
ALWAYS: Final = frozenset({"outcome", "evidence", "safe_to_rerun", "detail"})
"""The fields of a member's line that are written even before they are known."""
TITLES: Final = {
    "drift": "not as planned, and left alone",
    "failed": "failed",
}


async def report_end(batch: AsyncBatch, status: BatchStatus | None, output: Output) -> Exit:
    """Report the state of a batch that is no longer watched; return the exit code."""
    if status is None:
        if output.json:
            output.object({"batch_id": batch.id, "state": None})
        output.note(f"no worker has taken it in yet; it waits in the queue: canceller batch watch {short(batch.id)}")
        return Exit.STILL_OPEN
    await _name_jobs(batch, status, output)
    if output.json:
        output.object({"event": "ended" if status.state.final else "left", **described(status)})
    elif status.state is BatchState.FINISHED:
        withdrawn = f" (aborted by {status.by}: {status.reason})" if status.reason else ""
        how = f"{counted(status.counts.selected, 'job')}: {outcomes(status.counts)}"
        output.line(f"batch {short(batch.id)} has ended{withdrawn}: {how}")
    else:
        output.line(f"batch {short(batch.id)}: {progress_line(status)}")
    for way in ways_on(status):
        output.note(way)
    return exit_of_batch(status)


def report_applied(before: BatchStatus, output: Output) -> Exit:
    """Report that a plan was sent before; return 1 if not all of it arrived then, so that nothing was started."""
    applied = before.state is not BatchState.INCOMPLETE
    if output.json:
        output.object({"batch_id": before.id, "sent": 0, "applied": applied, "state": str(before.state)})
    elif applied:
        told = f"batch {short(before.id)} is {before.state}: {progress_line(before)}"
        output.line(f"this plan was applied already, and nothing is sent: {told}")
    else:
        output.line(f"this plan was never applied, and no longer can be: {progress_line(before)}")
    for way in ways_on(before) if applied else ():
        output.note(way)
    output.note("to do more, make a new plan" if applied else "nothing was started: make a new plan")
    return Exit.DONE if applied else Exit.ERROR


async def _name_jobs(batch: AsyncBatch, status: BatchStatus, output: Output) -> None:
    """Name the jobs that need attention."""
    counts = {**status.counts.finished, "rejected": status.counts.rejected}
    sorts = {"drift": drift_of(status.id), "failed": FAILURES}
    if not any(counts.get(outcome) for of in sorts.values() for outcome in of):
        return
    named: dict[str, int] = dict.fromkeys(sorts, 0)
    async for result in batch.report():
        sort = next((sort for sort, of in sorts.items() if result.outcome in of), None)
        if sort is None:
            continue
        named[sort] += 1
        if output.on_terminal and named[sort] > SHOWN:
            continue
        if output.json:
            output.object({"event": sort, **plain(result)})
        else:
            parts = (str(result.outcome), result.error or result.detail)
            output.line(f"{result.backend} {result.job_id}  ", "; ".join(filter(None, parts)))
    if output.on_terminal:
        for sort, count in named.items():
            if count > SHOWN:
                output.line(
                    f"and {count - SHOWN} more that are {TITLES[sort]}: canceller batch report {short(batch.id)}"
                )


def plain(result: BatchResult) -> dict[str, Any]:
    """Return a member as plain values: how it has ended, and what else is known of it."""
    found: dict[str, Any] = jsonable(result)
    return {name: value for name, value in found.items() if name in ALWAYS or value not in (None, "")}


def exit_of_batch(status: BatchStatus) -> Exit:
    """Judge a batch: 3 if any job was not as planned, failed or was aborted, or if the batch has paused by itself."""
    counts = status.counts
    bad = sum(counts.finished.get(outcome, 0) for outcome in (*drift_of(status.id), *FAILURES, *WITHDRAWN))
    bad += counts.rejected
    if status.state is BatchState.INCOMPLETE:
        return Exit.ERROR
    if status.state is BatchState.FINISHED:
        return Exit.NOT_AS_ASKED if bad else Exit.DONE
    return Exit.NOT_AS_ASKED if status.state is BatchState.PAUSED and status.by == "canceller" else Exit.STILL_OPEN


def ways_on(status: BatchStatus) -> list[str]:
    """Say what can be done next."""
    name = short(status.id)
    told = f"canceller batch report {name} says what became of each job"
    match status.state:
        case BatchState.PAUSED:
            return [
                f"canceller batch resume {name} --by NAME --reason TEXT resumes it",
                f"canceller batch abort {name} --by NAME --reason TEXT ends it",
                told,
            ]
        case BatchState.FINISHED:
            return [told]
        case BatchState.INCOMPLETE:
            return ["not all of it has arrived, so nothing was started: send it again as a new batch"]
        case _:
            return [f"canceller batch watch {name} follows it"]
