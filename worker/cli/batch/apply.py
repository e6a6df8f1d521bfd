"""`batch apply`: sends what a plan lists, or in an emergency what a file lists, as one batch."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from ...client.async_client import Rejected
from ...client.batches import AsyncBatch
from ...domain.errors import StoreUnavailable, UnknownBatch
from ...protocol.batches import WRONG, BatchOptions, BatchState, BatchStatus, parse_options
from ...settings.signing_key import SigningKey
from ...views.batches import short
from ...views.counted import counted
from ...views.explain import span
from ..checks.attendance import noting_absence
from ..exits import Exit
from ..options import Json, KeyFile, Producer, Timeout, duration, one_of
from ..output import Output
from ..session import Session, connected, signer
from .choosing import Asker, BackendName, Choice, Labels, Params, Reason, VerbName, choose, fields_of
from .ending import report_applied, report_end
from .files import reading
from .naming import new_id
from .plan import Rate
from .plan_file import NoPlan, read_plan
from .planning import age_of, commands_of_plan, moved
from .rejections import rejected_batch
from .spool import Spool, spool
from .watching import Watch, going_on, to_watch


class OnChanged(StrEnum):
    """What to do with a job whose state is not the one in the plan."""

    SKIP = "skip"
    APPLY = "apply"


MOST_AGE: Final = 86400.0
"""Seconds after which a plan is refused, unless --max-age says otherwise."""
PlanName = Annotated[str | None, typer.Argument(metavar="PLAN", help="The file that `batch plan` wrote.")]
Unplanned = Annotated[
    str | None,
    typer.Option(
        "--unplanned",
        metavar="FILE|-",
        help="In an emergency: send what this file selects without a plan; needs --max.",
    ),
]
Most = Annotated[
    int | None, typer.Option("--max", min=1, metavar="N", help="Send nothing if there are more jobs than this.")
]
Canary = Annotated[
    int,
    typer.Option(
        "--canary",
        min=0,
        metavar="N",
        help="Start with this many; the rest wait until all of them have ended without a failure.",
    ),
]
StopAt = Annotated[
    str | None,
    typer.Option("--stop-at", metavar="SHARE", help="Pause when more than this share of the last 100 has failed: 10%."),
]
MaxOpen = Annotated[
    int | None, typer.Option("--max-open", min=1, metavar="N", help="At most this many open at once. [default: 1000]")
]
Changed = Annotated[
    OnChanged,
    one_of(OnChanged)(
        "--on-changed",
        help="What to do with a job whose state is no longer the plan's: leave it alone, or stop it anyway.",
    ),
]
MaxAge = Annotated[
    float | None,
    typer.Option(
        "--max-age", parser=duration, metavar="DURATION", help="Refuse a plan that is older than this. [default: 1d]"
    ),
]
WaitFlag = Annotated[
    bool,
    typer.Option("--wait", help="Watch it to its end even without a terminal, where the default is only to send it."),
]


async def apply(  # noqa: PLR0913 - Typer makes an option of each parameter
    plan: PlanName = None,
    *,
    rate: Rate = None,
    canary: Canary = 0,
    stop_at: StopAt = None,
    max_open: MaxOpen = None,
    on_changed: Changed = OnChanged.SKIP,
    max_age: MaxAge = None,
    most: Most = None,
    wait: WaitFlag = False,
    seconds: Timeout = None,
    unplanned: Unplanned = None,
    backend: BackendName = None,
    verb: VerbName = None,
    reason: Reason = None,
    by: Asker = None,
    label: Labels = None,
    param: Params = None,
    key: KeyFile = None,
    producer: Producer = None,
    json: Json = False,
) -> Exit:
    """Do what a plan lists: each job is looked at again, and left alone if its state is not the one in the plan.

    A plan is applied once: its digest is the batch's id. Ctrl-C leaves the batch running; `batch watch` returns to it.
    --backend, --verb, --reason, --by, --label and --param go with --unplanned.

    When it is watched to its end: exit 0 when all went as planned, 3 when a job was not as planned, could not be
    stopped or was aborted, or when the batch has paused by itself; 6 when it is still open after --timeout. Exit 2 for
    a plan that is too old, was edited or cut, or was made for backends at other addresses, 0 for one that was applied
    before: then nothing is sent.

    canceller batch apply plan.jsonl --canary 10 --stop-at 10% --rate 50

    canceller batch apply --unplanned jobs.txt --max 500 --backend ess --reason "INC-4711" --wait
    """
    fields = (backend, verb, reason, by, label, param)
    if bool(plan) is bool(unplanned):
        raise typer.BadParameter("give either a PLAN or --unplanned FILE", param_hint="PLAN")
    if unplanned and most is None:
        raise typer.BadParameter("without a plan, say how many jobs there may be at most: --max N", param_hint="--max")
    if plan and any(fields):
        raise typer.BadParameter("the plan already says that; it is for --unplanned", param_hint="--backend ...")
    if unplanned and max_age is not None:
        raise typer.BadParameter("only a plan has an age", param_hint="--max-age")
    options = {
        "rate": rate,
        "canary": canary or None,
        "stop_at": stop_at,
        "max_open": max_open,
        "on_changed": "apply" if plan and on_changed is OnChanged.APPLY else None,
    }
    parse_options(options)
    output = Output(as_json=json)
    applying = Applying(
        output,
        {name: value for name, value in options.items() if value is not None},
        most,
        wait or seconds is not None or output.on_terminal,
        seconds,
        signer(key, producer),
        max_age,
    )
    if plan:
        return await applying.plan(plan)
    return await applying.unplanned(Choice(fields_of(*fields), {}, str(unplanned)))


@dataclass(frozen=True, slots=True)
class Applying:
    """How a batch is sent, and whether it is watched."""

    output: Output
    options: Mapping[str, Any]
    most: int | None
    watches: bool
    seconds: float | None
    key: SigningKey | None
    max_age: float | None

    async def plan(self, place: str) -> Exit:
        """Send what a plan lists, unless it was applied before."""
        with spool() as lines, spool() as members:
            try:
                with reading(place) as (source, name):
                    first = await asyncio.to_thread(read_plan, source, name, lines)
            except NoPlan as error:
                raise typer.BadParameter(str(error), param_hint="PLAN") from None
            for command in commands_of_plan(iter(lines)):
                members.add(command)
            async with connected(key=self.key) as session:
                before = await _known(session, str(first["digest"]))
                if before is not None and before.state is not BatchState.RECEIVING:
                    return report_applied(before, self.output)
                if members:
                    _check_places(name, first, await session.store.places_now())
                if before is not None:
                    await self._check_same_options(session, before)
                elif members:
                    self._check_age(
                        name, age_of(first, (await session.store.times())[0]), session.settings.keep_records
                    )
                if not members:
                    self.output.note(f"{name} lists nothing that would be sent: there is nothing to do")
                    if self.output.json:
                        self.output.object({"batch_id": None, "sent": 0})
                    return Exit.DONE
                return await self._send(session, members, str(first["digest"]))

    async def unplanned(self, choice: Choice) -> Exit:
        """Send what a file lists."""
        async with connected(key=self.key) as session:
            with spool() as members:
                await choose(choice, session, members, self.output)
                return await self._send(session, members, new_id("unplanned"))

    def _check_age(self, name: str, age: float | None, kept: float) -> None:
        """Refuse a plan that is too old. `kept` is how long Redis remembers that a plan was applied."""
        most = min(MOST_AGE, kept) if self.max_age is None else self.max_age
        if age is None:
            raise typer.BadParameter(f"{name} does not say when it was made: make a new plan", param_hint="PLAN")
        if age > most:
            days = math.ceil(age / 86400)
            old = f"{name} is {span(age)} old, and jobs change: a plan must be applied within {span(most)}"
            ways = f"make a new one with `canceller batch plan`, or apply this one anyway with --max-age {days}d"
            raise typer.BadParameter(f"{old}. Nothing was sent: {ways}", param_hint="PLAN")
        if age > kept:
            self.output.note(f"this plan may have been applied before: Redis remembers that for {span(kept)} only")

    async def _check_same_options(self, session: Session, before: BatchStatus) -> None:
        """Refuse options that differ from those with which a part of the plan was sent: the first ones stay."""
        parts = await session.store.batches.sizes(before.id)
        if before.options == parse_options(self.options) or all(part.number != 1 for part in parts):
            return
        raise typer.BadParameter(
            f"part of this plan was sent before, {as_given(before.options)}: repeat it that way to send the rest. "
            "Nothing has started yet, and nothing was sent now",
            param_hint="PLAN",
        )

    async def _send(self, session: Session, members: Spool, batch_id: str) -> Exit:
        if self.most is not None and len(members) > self.most:
            more = f"{counted(len(members), 'job')}, but --max allows {self.most}: nothing was sent"
            raise typer.BadParameter(more, param_hint="--max")
        batch = await session.client.batch(members, batch_id=batch_id, **self.options)
        self.output.note(f"sent as batch {batch.id}: {counted(len(members), 'command')}")
        if self.output.json:
            self.output.object({"batch_id": batch.id, "sent": len(members)})
        try:
            async with going_on(batch, self.output, to_watch):
                if not self.watches:
                    await self._leave(session, batch)
                    return Exit.DONE
                status = await Watch(session, batch, self.output, "stopping").run(self.seconds)
        except Rejected as rejected:
            if WRONG["conflict"] in str(rejected):
                for line in ("it was sent before with other options, which still apply", *to_watch(short(batch.id))):
                    self.output.note(line)
            return rejected_batch(session, rejected, self.output)
        return await report_end(batch, status, self.output)

    async def _leave(self, session: Session, batch: AsyncBatch) -> None:
        """Say how to find a batch that is not watched, once its id is known to other commands.

        Raises:
            Rejected: a part of it was rejected.

        """
        if not self.output.json:
            self.output.line(batch.id)
        async with noting_absence(session.settings, self.output):
            try:
                await batch.taken_in()
                if batch.untaken is not None:
                    self.output.note("no worker has taken it in yet, so other commands may not know it")
            except StoreUnavailable as error:
                self.output.note(f"{error}; the batch goes on without this terminal")
        for line in to_watch(short(batch.id)):
            self.output.note(line)


def _check_places(name: str, first: Mapping[str, Any], now: Mapping[str, str]) -> None:
    """Refuse a plan of another deployment, or from before a backend moved: its ids are those of other jobs here."""
    for backend, then, here in moved(first, now):
        raise typer.BadParameter(
            f"{name} was made for {backend} as {then}, and here {backend} is {here}, where its ids name other jobs. "
            "Nothing was sent: make a new plan here, or apply this one where it was made",
            param_hint="PLAN",
        )


def as_given(options: BatchOptions) -> str:
    """Write the options of a batch as a command line gives them."""
    given = options.model_dump(exclude_defaults=True)
    texts = [f"--{name.replace('_', '-')} {value}" for name, value in given.items()]
    return f"with {' '.join(texts)}" if texts else "without options"


async def _known(session: Session, batch_id: str) -> BatchStatus | None:
    """Return the batch that this plan has become, None if there is none."""
    try:
        return await session.client.batch_by_id(batch_id).status()
    except UnknownBatch:
        return None
