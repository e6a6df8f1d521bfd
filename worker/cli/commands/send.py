"""`cancel` and `delete`: send commands, and wait for their ends where asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from ...client.async_client import CHUNK, AsyncCancellation
from ...errors import InvalidCommand
from ...protocol.messages import parse_command
from ...settings.signing_key import SigningKey
from ..exits import Exit
from ..options import Json, KeyFile, Producer, Seconds, Timeout, Wishes, job_ids, with_wishes
from ..output import Output
from ..session import Session, connected, signer
from ..usage import BadParameters
from ..waiting import SHOWN_MISTAKES, report_ends

TAKEN_IN = Seconds(2)
"""Seconds in which a worker that runs has taken a new command in."""

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
        return await report_ends(
            session, by_id, seconds, output, patience=TAKEN_IN, digests=digests, after=sent[0].after
        )


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
