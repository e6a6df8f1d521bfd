"""`batch plan`: looks at every job without changing one, and writes down what would be done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ...client.async_client import Rejected
from ...client.batches import AsyncBatch
from ...domain.errors import CancellerError
from ...domain.event_drafts import text as iso
from ...protocol.batches import BatchState, BatchStatus
from ...views.counted import counted
from ...views.explain import span
from ..exits import Exit
from ..options import BackendsFile, Json, KeyFile, Producer, pairs
from ..output import Output
from ..session import connected, signer
from .choosing import (
    Asker,
    BackendName,
    Choice,
    Labels,
    Params,
    Reason,
    VerbName,
    WhereOption,
    choose,
    fields_of,
)
from .files import STANDARD, check_writable
from .naming import new_id
from .plan_file import first_line, write_plan
from .planning import SENT, UNKNOWN, Tally, planned_line
from .rejections import rejected_batch
from .spool import Spool, spool
from .watching import Watch, going_on

NAMED = 12
"""Digits of the digest in the default name of a plan's file."""
SHOWN = 20

Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE|-",
        help="Ids, one per line; CSV with a header (`job_id`, `backend`, `verb`, `reason`, `labels.*`, `params.*`); or "
        "commands as JSON, one per line; `-` is standard input.",
    ),
]
Rate = Annotated[float | None, typer.Option("--rate", min=0.001, metavar="N", help="At most this many jobs a second.")]
PlanFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PLAN",
        help="Where to write the plan; `-` is standard output. [default: plan-DIGEST.jsonl]",
    ),
]


class PlanFailed(CancellerError):
    """There is no plan; the text says why."""


async def plan(  # noqa: PLR0913 - Typer makes an option of each parameter
    file: Files = None,
    *,
    backend: BackendName = None,
    verb: VerbName = None,
    where: WhereOption = None,
    reason: Reason = None,
    by: Asker = None,
    label: Labels = None,
    param: Params = None,
    rate: Rate = None,
    output_file: PlanFile = None,
    backends: BackendsFile = None,
    key: KeyFile = None,
    producer: Producer = None,
    json: Json = False,
) -> Exit:
    """Look at every job, and write down what a clean-up would do to it; nothing is changed.

    The workers make the looks, at --rate and within each backend's own limits.

    Exit 0 when every job was looked at, 3 when some could not be, 2 when a line of the file is wrong: then all such
    lines are named and nothing was sent.

    canceller batch plan jobs.txt --backend ess --reason "INC-4711" -o plan.jsonl

    canceller batch plan --backend ess --where state=RUNNING older-than=6h --rate 50
    """
    source, chosen = chosen_by(file or [], where or [])
    choice = Choice(fields_of(backend, verb, reason, by, label, param), chosen, source, backends)
    output = Output(as_json=json)
    check_writable(output_file or Path("plan.jsonl"))
    async with connected(key=signer(key, producer)) as session:
        with spool() as members, spool() as lines:
            await choose(choice, session, members, output)
            looks = ({**command, "dry_run": True} for command in members)
            before = await session.store.places_now()
            batch = await session.client.batch(looks, batch_id=new_id("plan"), rate=rate)
            try:
                async with going_on(batch, output, _way_back):
                    status = await Watch(session, batch, output, "looking at the jobs", aside=True).run()
            except Rejected as rejected:
                return rejected_batch(session, rejected, output)
            took = _took(_finished(status))
            tally = await _compared(batch, members, lines)
            # Of a backend that has moved during the looks the first place counts, so that the plan is not applied.
            places = {**await session.store.places_now(), **before}
            header = tally.header(took, rate, iso((await session.store.times())[0]) or "", places)
            first = first_line(header, lines)
            place = output_file or Path(f"plan-{first['digest'].removeprefix('sha256:')[:NAMED]}.jsonl")
            if str(place) == STANDARD:
                for line in (first, *lines):
                    output.object(line)
            else:
                write_plan(place, first, lines)
            _report(first, place, lines, output)
    return Exit.NOT_AS_ASKED if header["counts"][UNKNOWN] else Exit.DONE


def chosen_by(words: Sequence[str], where: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Return the given file, or else the criteria for listing jobs; --where takes several words, too."""
    if not where and len(words) == 1:
        return words[0], {}
    if not where or not all("=" in word for word in words):
        raise typer.BadParameter("give either one FILE (or `-`) or --where KEY=VALUE", param_hint="FILE|-")
    return "", pairs([*where, *words], "--where")


def _way_back(batch_id: str) -> Sequence[str]:
    return (
        "there is no plan, and nothing was changed",
        f"the workers keep looking; to stop that: canceller batch abort {batch_id} --by NAME --reason TEXT",
    )


def _finished(status: BatchStatus | None) -> BatchStatus:
    """Make sure that all jobs were looked at.

    Raises:
        PlanFailed: the batch of looks has not finished, or was aborted.

    """
    assert status is not None  # noqa: S101 - without a time limit it is watched until it is known
    if status.state is not BatchState.FINISHED:
        raise PlanFailed(f"there is no plan: the looks are {status.state} ({status.reason}); try again")
    if status.counts.finished.get("aborted"):
        raise PlanFailed(f"there is no plan: {status.by or 'somebody'} stopped the looks: {status.reason}")
    return status


async def _compared(batch: AsyncBatch, members: Spool, lines: Spool) -> Tally:
    """Put the lines of the plan into `lines`, and return their numbers."""
    tally, commands = Tally(), iter(members)
    async for result in batch.report():
        line = planned_line(next(commands), result)
        tally.count(line)
        lines.add(line)
    if len(lines) != len(members):
        raise PlanFailed(f"there is no plan: only {len(lines)} of {len(members)} looks have a result")
    return tally


def _took(status: BatchStatus) -> float:
    """Return how many seconds the looks of a finished batch have taken."""
    begun, ended = status.started_at or status.created_at, status.ended_at or datetime.now(UTC)
    return (ended - begun).total_seconds()


def _report(first: Mapping[str, Any], place: Path, lines: Spool, output: Output) -> None:
    counts, is_file = first["counts"], str(place) != STANDARD
    if output.json:
        if is_file:
            output.object({**first, "file": str(place)})
        return
    tell = output.line if is_file else output.note
    for line in _unknown(lines, counts[UNKNOWN]):
        tell(line)
    tell(f"{counted(counts['selected'], 'job')}: {'; '.join(summed(counts))}")
    if first["calls"]:
        calls = ", ".join(f"{count} {name}" for name, count in first["calls"].items())
        tell(f"takes at least {span(first['seconds'])} and these calls: {calls}")
    if is_file:
        tell(f"{place} is written; its digest is {first['digest']}")
    if is_file and first["calls"]:
        output.note(f"next: canceller batch apply {place}")


def summed(counts: Mapping[str, int]) -> Iterator[str]:
    """Say for how many jobs each call would be made, and what happens to the other jobs."""
    would = ", ".join(f"{verb} {counts[verb]}" for verb in SENT if counts[verb])
    if would:
        yield f"would {would}"
    elif not counts[UNKNOWN]:
        yield "nothing to do"
        return
    for name, (one, several) in RESTS.items():
        if counts[name]:
            yield f"{counts[name]} {one if counts[name] == 1 else several}"


RESTS: Mapping[str, tuple[str, str]] = {
    "nothing": ("needs nothing", "need nothing"),
    UNKNOWN: ("could not be looked at, and is left alone", "could not be looked at, and are left alone"),
}
"""What is said of one job, and of several, for which nothing would be sent."""


def _unknown(lines: Spool, count: int) -> list[str]:
    """Name the first jobs that could not be looked at."""
    if not count:
        return []
    found = (f"{one['backend']} {one['job_id']}  {one['because']}" for one in lines if one["would"] == UNKNOWN)
    named = [text for text, _ in zip(found, range(SHOWN), strict=False)]
    return [*named, *([f"and {count - SHOWN} more"] if count > SHOWN else [])]
