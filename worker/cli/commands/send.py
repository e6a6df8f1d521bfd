"""`cancel` and `delete`: send commands, and wait for their ends if asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any

import typer

from ...client.async_client import CHUNK, AsyncCancellation
from ...domain.errors import InvalidCommand
from ...domain.model import Force, Lane
from ...protocol.messages import parse_command
from ...settings.signing_key import SigningKey
from ..completing import backend_names, open_jobs
from ..exits import Exit
from ..options import Json, KeyFile, Producer, Seconds, Timeout, duration, job_ids, one_of, pairs
from ..output import Output
from ..session import Session, connected, signer
from ..usage import BadParameters
from ..waiting import SHOWN_MISTAKES, report_ends

TAKEN_IN = Seconds(2)
"""Seconds within which a running worker takes a new command in."""

Backend = Annotated[
    str, typer.Argument(metavar="BACKEND", help="A name in the backends file.", autocompletion=backend_names)
]
JobIds = Annotated[
    list[str],
    typer.Argument(
        metavar="JOB_ID",
        help="The backend's own ids; `-` reads them from standard input.",
        autocompletion=open_jobs,
    ),
]
Send = Callable[[Sequence[Mapping[str, Any]], SigningKey | None, Output, bool, float | None], Coroutine[Any, Any, Exit]]
"""Sends commands, with a key to sign them or none; the flag and the seconds say whether to wait, and how long."""
WaitFlag = Annotated[
    bool, typer.Option("--wait", help="Wait until all have ended; without it the commands are only sent.")
]


def job_command(verb: str, send: Send, about: str) -> Callable[..., None]:
    """Make `cancel` or `delete`: both take the same options, and differ in their verb and in what their help says."""

    def command(  # noqa: PLR0913 - Typer makes an option of each parameter
        backend: Backend,
        job_id: JobIds,
        *,
        wait: WaitFlag = False,
        timeout: Timeout = None,
        key: KeyFile = None,
        producer: Producer = None,
        json: Json = False,
        reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why; kept and shown in every event.")] = None,
        by: Annotated[str | None, typer.Option(metavar="NAME", help="Who asks (`requested_by`).")] = None,
        command_id: Annotated[
            str | None, typer.Option(metavar="ID", help="Your idempotency key; only for a single job.")
        ] = None,
        force: Annotated[
            Force | None,
            one_of(Force)(help="When the force step may be taken; can only be stricter than the backend's."),
        ] = None,
        force_after: Annotated[
            float | None, typer.Option(parser=duration, metavar="DURATION", help="Wait longer before the force step.")
        ] = None,
        give_up_after: Annotated[
            float | None,
            typer.Option(parser=duration, metavar="DURATION", help="After this time, give up as timed_out."),
        ] = None,
        remote_stopped: Annotated[
            bool, typer.Option("--remote-stopped", help="Your word that the remote process no longer runs.")
        ] = False,
        lane: Annotated[Lane, one_of(Lane)(help="`batch` never delays `interactive`.")] = Lane.INTERACTIVE,
        batch_id: Annotated[str | None, typer.Option(metavar="ID", help="Carried into every event.")] = None,
        label: Annotated[
            list[str] | None, typer.Option(metavar="KEY=VALUE", help="Carried into every event; may be repeated.")
        ] = None,
        param: Annotated[
            list[str] | None,
            typer.Option(
                metavar="KEY=VALUE", help="What the backend needs besides the id, e.g. cluster_id; may be repeated."
            ),
        ] = None,
        not_before: Annotated[
            str | None,
            typer.Option(metavar="TIME", help="No call is made before it; RFC 3339, e.g. 2026-11-22T10:00:00Z."),
        ] = None,
        dry_run: Annotated[
            bool,
            typer.Option("--dry-run", help="Send nothing: look, and say what would be sent and why; implies --wait."),
        ] = False,
        expect: Annotated[
            str | None,
            typer.Option(
                metavar="raw_state=TEXT", help="Send nothing unless the backend shows this state, in its words."
            ),
        ] = None,
        expect_state: Annotated[
            str | None, typer.Option(metavar="TEXT", help="The same as --expect raw_state=TEXT.")
        ] = (None),
        reply_to: Annotated[
            list[str] | None,
            typer.Option(
                metavar="SINK", help="A sink that gets its events, whatever the sink's filters; may be repeated."
            ),
        ] = None,
        traceparent: Annotated[str | None, typer.Option(metavar="TEXT", help="W3C trace context.")] = None,
    ) -> None:
        fields = {
            "reason": reason,
            "requested_by": by,
            "command_id": command_id,
            "force": force and str(force),
            "force_after": force_after,
            "give_up_after": give_up_after,
            "remote_stopped": remote_stopped or None,
            "lane": str(lane),
            "batch_id": batch_id,
            "labels": pairs(label or (), "--label") or None,
            "params": pairs(param or (), "--param") or None,
            "not_before": not_before,
            "dry_run": dry_run or None,
            "expect": expectation(expect, expect_state),
            "reply_to": reply_to or None,
            "traceparent": traceparent,
        }
        given = {name: value for name, value in fields.items() if value is not None}
        commands = commands_of(verb, backend, job_ids(job_id), given)
        sending = send(
            commands, signer(key, producer), Output(as_json=json), wait or dry_run or timeout is not None, timeout
        )
        raise typer.Exit(asyncio.run(sending))

    command.__doc__ = about
    return command


def expectation(expect: str | None, expect_state: str | None) -> dict[str, str] | None:
    """Read what `--expect` or, in short, `--expect-state` says."""
    if expect is None:
        return None if expect_state is None else {"raw_state": expect_state}
    if expect_state is not None:
        raise typer.BadParameter("it means the same as --expect: give one of them", param_hint="--expect-state")
    return pairs([expect], "--expect")


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


async def send_all(
    commands: Sequence[Mapping[str, Any]],
    key: SigningKey | None,
    output: Output,
    wait: bool,  # noqa: FBT001 - as `Send` has it
    seconds: float | None,
) -> Exit:
    """Send commands, and wait for their ends if asked to, `seconds` at most."""
    async with connected(key=key) as session:
        sent: list[AsyncCancellation] = []
        with output.meter("sending", len(commands)) as meter:
            for start in range(0, len(commands), CHUNK):
                chunk = commands[start : start + CHUNK]
                sent += await _submit(session, chunk)
                meter(len(chunk))
        if not wait:
            _report_sent(commands, sent, output)
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


def _report_sent(commands: Sequence[Mapping[str, Any]], sent: Sequence[AsyncCancellation], output: Output) -> None:
    for command, one in zip(commands, sent, strict=True):
        verb, backend, job_id = command["verb"], command["backend"], command["job_id"]
        if output.json:
            output.object({"verb": verb, "backend": backend, "job_id": job_id, "command_id": one.command_id})
        else:
            output.line(f"sent {verb} {backend} {job_id}  command {one.command_id}")
    if output.on_terminal:
        output.note(f"sent, not done: canceller wait {sent[-1].command_id}, or canceller status with the same id")


cancel = job_command(
    "cancel",
    send_all,
    """Stop jobs.

    With --dry-run nothing is sent: it shows what would be sent, and why.

    With --wait, exit 0 when every job has ended, however it did; 3 for not_found, timed_out, aborted and changed, 4 for
    refused, 6 when one is still open after --timeout; 2 when a command is rejected, 4 if for its signature or lack
    of a right.

    canceller cancel ess 300100 --reason budget --by billing --wait

    canceller cancel ess - --lane batch < job-ids.txt
    """,
)
delete = job_command(
    "delete",
    send_all,
    """Stop jobs and remove their records.

    With --dry-run nothing is sent: it shows what would be sent, and why.

    With --wait, exit 0 when every record is seen gone (deleted); 4 for refused, 3 for any other outcome,
    6 when one is still open after --timeout; 2 when a command is rejected, 4 if for its signature or lack of a right.

    canceller delete sahara job-7 --reason "project is over" --wait

    canceller delete mrs job-7 job-8 --dry-run
    """,
)
