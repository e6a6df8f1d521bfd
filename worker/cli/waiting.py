"""Waits for the ends of cancellations, and writes each as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

from ..client.async_client import Rejected, Result
from ..client.ends import RETRY_AFTER, End
from ..domain.errors import StoreUnavailable, UnknownCancellation
from ..observability.outage import Seldom
from ..protocol.signing import DENIALS, NOT_ACCEPTED
from ..store.codec import Snapshot
from ..views.summary import end_line
from .checks.attendance import Attendance, attendance, noting_absence
from .exits import Exit, exit_of, most_severe
from .options import Seconds
from .output import Meter, Output
from .session import UNSIGNED, Session

PATIENCE = Seconds(10)
"""Seconds after which an id that nobody knows is reported: a command that was just sent is on its way to a worker."""
SHOWN_MISTAKES = 20
NOT_TAKEN = "no worker has taken it in yet"
NO_DIGESTS: Mapping[str, str] = {}

Command = Mapping[str, Any]
"""What is known of a reference: its verb, backend and job id, or nothing."""
Missing = Callable[[Attendance], UnknownCancellation]


async def report_ends(
    session: Session,
    commands: Mapping[str, Command],
    seconds: float | None,
    output: Output,
    *,
    missing: Missing | None = None,
    patience: float = PATIENCE,
    digests: Mapping[str, str] = NO_DIGESTS,
    after: str = "",
) -> Exit:
    """Wait for cancellations, `seconds` at most; write each end as it comes, and what is still open.

    `digests` are those of `AsyncCancellation` if the commands were just sent; rejections up to the position `after`
    belong to an earlier attempt. An id that is not known after `patience` seconds ends as `missing` says; without
    `missing`, a note is written and the wait goes on. Return the most severe code.
    """
    with output.meter("waiting for them to end", len(commands)) as meter:
        report = Report(session, commands, output, meter, missing)
        references = {reference: digests.get(reference, "") for reference in commands}
        ends = session.client.ends.wait_many(references, patience, report.outage, after)
        try:
            async with noting_absence(session.settings, output):
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds), aclosing(ends):
                        await report.follow(ends)
        except asyncio.CancelledError:
            for reference in report.open[:SHOWN_MISTAKES]:
                output.note(f"{name_of(reference, commands[reference])}  goes on: canceller wait {reference}")
            raise
        for reference in report.open:
            if missing and reference not in report.known and (there := await attendance(session.settings)).idle:
                report.end(reference, missing(there))  # no command is on its way that could have this id
    for reference in report.open:
        write_open(reference, commands[reference], output, known=reference in report.known)
        report.codes[reference] = Exit.STILL_OPEN
    return most_severe(report.codes.values())


@dataclass(slots=True)
class Report:
    """What has become of the commands so far: the exit code of each that has ended, and which others are known."""

    session: Session
    commands: Mapping[str, Command]
    output: Output
    meter: Meter
    missing: Missing | None
    codes: dict[str, Exit] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    trouble: Seldom = field(default_factory=Seldom)

    @property
    def open(self) -> list[str]:
        """The references whose wait has not ended."""
        return [reference for reference in self.commands if reference not in self.codes]

    async def follow(self, ends: AsyncIterator[tuple[str, Snapshot | End | None]]) -> None:
        """Report what `wait_many` yields until each reference has its end."""
        workers: str | None = None
        async for reference, seen in ends:
            if reference in self.codes:
                continue
            if isinstance(seen, Snapshot):
                self.known.add(reference)
            elif seen is not None:
                self.end(reference, seen)
            elif self.missing:
                self.end(reference, self.missing(await self._attendance()))
            else:
                if workers is None:
                    there = await self._attendance()
                    workers = f"; {there}" if there.workers else ""  # `noting_absence` says once that none runs
                self.output.note(f"{name_of(reference, self.commands[reference])}: {NOT_TAKEN}{workers}")
            if len(self.codes) == len(self.commands):
                return

    def end(self, reference: str, end: End) -> None:
        """Write an end."""
        command = self.commands[reference]
        if str(end) == NOT_ACCEPTED and not self.session.signs and Exit.NOT_ALLOWED not in self.codes.values():
            self.output.note(UNSIGNED)
        if isinstance(end, Rejected):
            code = Exit.NOT_ALLOWED if str(end) in DENIALS else Exit.USAGE
        elif isinstance(end, UnknownCancellation):
            code = Exit.ERROR
        else:
            code = exit_of(str(end.data.get("verb") or command.get("verb") or "cancel"), end.outcome)
        self.codes[reference] = code
        self.meter(1)
        write_end(reference, command, end, self.output)

    def outage(self, error: StoreUnavailable) -> None:
        """Note now and then that Redis can't be reached; the wait goes on."""
        if self.trouble.due():
            self.output.note(f"{error}; the wait goes on")

    async def _attendance(self) -> Attendance:
        while True:
            try:
                return await attendance(self.session.settings)
            except StoreUnavailable as error:
                self.outage(error)
                await asyncio.sleep(RETRY_AFTER)


def name_of(reference: str, command: Command) -> str:
    """Name what is waited for as people do: by its job, if that is known."""
    job = command.get("backend"), command.get("job_id")
    return " ".join(map(str, job)) if all(job) else reference


def write_end(reference: str, command: Command, end: End, output: Output) -> None:
    """Write how a wait has ended."""
    known, said = command, {"outcome": None, "known": False, "error": str(end)}
    if isinstance(end, Result):
        known = command or end.data
        names = ("cancellation_id", "outcome", "evidence", "safe_to_rerun", "detail", "data")
        said = {name: getattr(end, name) for name in names}
    elif isinstance(end, Rejected):
        said = {"outcome": "rejected", "error": str(end)}
    _write(reference, command, said, output, known, end=end_line(end))


def write_open(reference: str, command: Command, output: Output, *, known: bool) -> None:
    """Write that the wait has ended before the cancellation did, or before it was known."""
    text = f"still open; it goes on: canceller status {reference}" if known else f"not known yet: {NOT_TAKEN}"
    said = {"outcome": None, "known": known}
    _write(reference, command, said, output, command, text)


def _write(
    reference: str,
    command: Command,
    said: Mapping[str, Any],
    output: Output,
    named: Command,
    text: str = "",
    end: str = "",
) -> None:
    """Write, as JSON, what is `said` and what is known of the command; else a line with its job and a coloured end."""
    if output.json:
        identity = {name: command[name] for name in ("verb", "backend", "job_id") if name in command}
        output.object({"id": reference, **identity, **said})
    else:
        output.line(f"{name_of(reference, named)}  {text}", end)
