"""`cancel` and `delete`: send commands, and wait for their ends where asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from ...client.async_client import CHUNK, AsyncCancellation, Rejected, Result
from ...errors import InvalidCommand, UnknownCancellation
from ...protocol.messages import parse_command
from ...protocol.signing import DENIALS, NOT_ACCEPTED
from ...settings.signing_key import SigningKey
from ...views.summary import end_line
from ..checks.attendance import attendance, noting_absence
from ..exits import Exit, exit_of, gravest
from ..options import Json, KeyFile, Producer, Seconds, Timeout, Wishes, job_ids, with_wishes
from ..output import Meter, Output
from ..session import UNSIGNED, Session, connected, signer
from ..usage import BadParameters
from ..waiting import PATIENCE, Doubt, End, Wait, wait_all

SHOWN_MISTAKES = 20
TAKEN_IN = Seconds(2)
"""Seconds in which a worker that runs has taken a new command in."""
NOT_TAKEN = "no worker has taken it in yet"
NO_DIGESTS: Mapping[str, str] = {}

Backend = Annotated[str, typer.Argument(metavar="BACKEND", help="A name in the backends file.")]
JobIds = Annotated[
    list[str],
    typer.Argument(metavar="JOB_ID", help="The backend's own ids; `-` reads them from standard input."),
]
WaitFlag = Annotated[bool, typer.Option("--wait", help="Wait for the ends; without it the commands are only sent.")]


@with_wishes
def cancel(
    backend: Backend,
    job_id: JobIds,
    *,
    wishes: Wishes,
    wait: WaitFlag = False,
    timeout: Timeout = None,
    key: KeyFile = None,
    producer: Producer = None,
    json: Json = False,
) -> None:
    """Stop jobs.

    With --dry-run nothing is sent: it tells what would be sent, and why.

    With --wait, exit 0 when every job has ended, however it did; 3 for not_found, timed_out, aborted and changed, 4 for
    refused, 6 when one is still open after --timeout; 2 when a command is rejected, 4 when for its signature or lack
    of a right.
    """
    commands = commands_of("cancel", backend, job_ids(job_id), wishes.command())
    wait = wait or wishes.dry_run or timeout is not None
    sending = _send(commands, signer(key, producer), Output(as_json=json), wait=wait, seconds=timeout)
    raise typer.Exit(asyncio.run(sending))


@with_wishes
def delete(
    backend: Backend,
    job_id: JobIds,
    *,
    wishes: Wishes,
    wait: WaitFlag = False,
    timeout: Timeout = None,
    key: KeyFile = None,
    producer: Producer = None,
    json: Json = False,
) -> None:
    """Stop jobs and remove their records.

    With --dry-run nothing is sent: it tells what would be sent, and why.

    With --wait, exit 0 when every record is seen gone (deleted); 4 for refused, 3 for any other outcome,
    6 when one is still open after --timeout; 2 when a command is rejected, 4 when for its signature or lack of a right.
    """
    commands = commands_of("delete", backend, job_ids(job_id), wishes.command())
    wait = wait or wishes.dry_run or timeout is not None
    sending = _send(commands, signer(key, producer), Output(as_json=json), wait=wait, seconds=timeout)
    raise typer.Exit(asyncio.run(sending))


def commands_of(verb: str, backend: str, ids: Sequence[str], fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Build one command for each job.

    Raises:
        typer.BadParameter: names every mistake; nothing was sent.

    """
    if "command_id" in fields and len(ids) > 1:
        raise typer.BadParameter("one command id names one command: give one JOB_ID", param_hint="--command-id")
    commands = [{"verb": verb, "backend": backend, "job_id": job_id, **fields} for job_id in ids]
    problems = [problem for command in commands if (problem := _problem(command))]
    if problems:
        more = [f"and {len(problems) - SHOWN_MISTAKES} more"] if len(problems) > SHOWN_MISTAKES else []
        raise BadParameters([*problems[:SHOWN_MISTAKES], *more])
    return commands


def _problem(command: Mapping[str, Any]) -> str:
    try:
        parse_command(command)
    except InvalidCommand as error:
        return f"job {command['job_id'][:80]!r}: {error}"
    return ""


async def _send(
    commands: Sequence[Mapping[str, Any]],
    key: SigningKey | None,
    output: Output,
    *,
    wait: bool,
    seconds: float | None,
) -> Exit:
    async with connected(key=key) as session:
        sent: list[AsyncCancellation] = []
        with output.meter("sending", len(commands)) as meter:
            for start in range(0, len(commands), CHUNK):
                chunk = commands[start : start + CHUNK]
                sent += await _submit(session, chunk)
                meter.advance(len(chunk))
        if not wait:
            _tell_sent(commands, sent, output)
            return Exit.DONE
        by_id = {one.command_id: command for one, command in zip(sent, commands, strict=True)}
        digests = {one.command_id: one.digest for one in sent}
        patience = TAKEN_IN
        return await wait_and_tell(session, by_id, sent[0].after, seconds, output, patience=patience, digests=digests)


async def _submit(session: Session, commands: Sequence[Mapping[str, Any]]) -> list[AsyncCancellation]:
    if len(commands) > 1:
        return await session.client.submit_many(commands)
    (command,) = commands
    fields = {name: value for name, value in command.items() if name not in {"verb", "backend", "job_id"}}
    send = session.client.cancel if command["verb"] == "cancel" else session.client.delete
    return [await send(command["backend"], command["job_id"], **fields)]


def _tell_sent(commands: Sequence[Mapping[str, Any]], sent: Sequence[AsyncCancellation], output: Output) -> None:
    for command, one in zip(commands, sent, strict=True):
        verb, backend, job_id = command["verb"], command["backend"], command["job_id"]
        if output.json:
            output.object({"verb": verb, "backend": backend, "job_id": job_id, "command_id": one.command_id})
        else:
            output.line(f"sent {verb} {backend} {job_id}  command {one.command_id}")
    if output.on_terminal:
        output.note(f"sent, not done: canceller wait {sent[-1].command_id}, or canceller status with the same id")


async def wait_and_tell(
    session: Session,
    commands: Mapping[str, Mapping[str, Any]],
    after: str,
    seconds: float | None,
    output: Output,
    *,
    doubt: Doubt | None = None,
    patience: float = PATIENCE,
    digests: Mapping[str, str] = NO_DIGESTS,
) -> Exit:
    """Wait for cancellations, tell each end as it comes and what is still open; return the gravest code.

    `commands` names what is known of each reference: its verb, backend and job id, or nothing; `digests` are those of
    `AsyncCancellation` where the commands were just sent: a rejection from before is of an earlier try. What is not
    known after `patience` seconds goes to `doubt`; without it, it is told and waited for on.
    """
    codes: dict[str, Exit] = {}
    told: list[str] = []
    with output.meter("waiting for the ends", len(commands)) as meter:

        def tell(reference: str, end: End) -> None:
            if str(end) == NOT_ACCEPTED and not session.signs and Exit.NOT_ALLOWED not in codes.values():
                output.note(UNSIGNED)
            codes[reference] = _code(commands[reference], end)
            _tell_end(reference, commands[reference], end, output, meter)

        async def not_taken(reference: str) -> None:
            if not told:
                there = await attendance(session.settings)
                told.append(f"; {there}" if there.workers else "")  # else it is said once, for all of them
            output.note(f"{_name(reference, commands[reference])}: {NOT_TAKEN}{told[0]}")

        references = {reference: digests.get(reference, "") for reference in commands}
        try:
            wait = Wait(session.client, references, tell, doubt or not_taken, patience, after if digests else "")
            async with noting_absence(session.settings, output):
                await wait_all(wait, after, seconds, output.troubled)
        except asyncio.CancelledError:
            for reference in [one for one in commands if one not in codes][:SHOWN_MISTAKES]:
                output.note(f"{_name(reference, commands[reference])}  goes on: canceller wait {reference}")
            raise
        for reference in [one for one in commands if one not in codes and one not in wait.known]:
            end = await doubt(reference) if doubt and (await attendance(session.settings)).idle else None
            if end:
                tell(reference, end)  # nothing is on its way that could be it
    for reference in [one for one in commands if one not in codes]:
        codes[reference] = Exit.STILL_OPEN
        _tell_open(reference, commands[reference], output, known=reference in wait.known)
    return gravest(codes.values())


def _code(command: Mapping[str, Any], end: End) -> Exit:
    if isinstance(end, Rejected):
        return Exit.NOT_ALLOWED if str(end) in DENIALS else Exit.USAGE
    if isinstance(end, UnknownCancellation):
        return Exit.ERROR
    return exit_of(str(end.data.get("verb") or command.get("verb") or "cancel"), end.outcome)


def _name(reference: str, command: Mapping[str, Any]) -> str:
    return f"{command['backend']} {command['job_id']}" if command else reference


def _tell_end(reference: str, command: Mapping[str, Any], end: End, output: Output, meter: Meter) -> None:
    meter.advance()
    if output.json:
        output.object({"id": reference, **_identity(command), **_plain(end)})
        return
    known = command or (end.data if isinstance(end, Result) else {})
    output.line(f"{_name(reference, known)}  ", end_line(end))


def _identity(command: Mapping[str, Any]) -> dict[str, Any]:
    return {name: command[name] for name in ("verb", "backend", "job_id") if name in command}


def _plain(end: End) -> dict[str, Any]:
    if isinstance(end, Rejected):
        return {"outcome": "rejected", "error": str(end)}
    if isinstance(end, UnknownCancellation):
        return {"outcome": None, "known": False, "error": str(end)}
    names = ("cancellation_id", "outcome", "evidence", "safe_to_rerun", "detail", "data")
    return {name: getattr(end, name) for name in names}


def _tell_open(reference: str, command: Mapping[str, Any], output: Output, *, known: bool) -> None:
    if output.json:
        output.object({"id": reference, **_identity(command), "outcome": None, "known": known})
    elif known:
        output.line(f"{_name(reference, command)}  still open; it goes on: canceller status {reference}")
    else:
        output.line(f"{_name(reference, command)}  not known yet: {NOT_TAKEN}")
