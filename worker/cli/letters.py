"""`dead-letters`: what could not be taken in, and how to try it again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from worker.cli.exits import Exit
from worker.cli.options import Json
from worker.cli.output import Output
from worker.cli.session import Session, connected
from worker.dead_letters import DeadLetter
from worker.errors import InvalidCommand
from worker.facts import text

app = typer.Typer(no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="The id of a dead letter, as `list` shows it.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="The ids of dead letters, as `list` shows them.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]
Limit = Annotated[int, typer.Option(min=1, help="How many to show, oldest first.")]


@app.command("list")
def list_(limit: Limit = 100, *, json: Json = False) -> None:
    """List what was rejected, with the reason."""
    asyncio.run(_list(limit, Output(as_json=json)))


@app.command()
def show(letter: Id, *, json: Json = False) -> None:
    """Show one dead letter with its raw message."""
    asyncio.run(_show(letter, Output(as_json=json)))


@app.command()
def replay(letters: Ids = None, *, every: All = False, json: Json = False) -> None:
    """Send commands again, each under its own command id; what can't be read stays where it is.

    Exit 0 when all were sent, 1 when some could not be.
    """
    raise typer.Exit(asyncio.run(_each(letters, "sent again", _replay, Output(as_json=json), every=every)))


@app.command()
def drop(letters: Ids = None, *, every: All = False, json: Json = False) -> None:
    """Let go of dead letters for good."""
    raise typer.Exit(asyncio.run(_each(letters, "dropped", _drop, Output(as_json=json), every=every)))


async def _list(limit: int, output: Output) -> None:
    async with connected() as session:
        found = [letter async for letter in session.client.letters.list(limit)]
    if output.json:
        for letter in found:
            output.object(letter)
    elif found:
        rows = [(letter.id, text(letter.at) or "", letter.command_id, letter.reason) for letter in found]
        output.rows(("id", "at", "command", "reason"), rows)
    else:
        output.note("there are no dead letters")


async def _show(letter_id: str, output: Output) -> None:
    async with connected() as session:
        letter = await session.client.letters.get(letter_id)
    if output.json:
        output.object(letter)
        return
    told = {"id": letter.id, "at": text(letter.at) or "", "command": letter.command_id, "reason": letter.reason}
    output.sheet([*told.items(), ("message", letter.raw)])


async def _each(
    ids: list[str] | None,
    done: str,
    act: Callable[[Session, DeadLetter], Awaitable[Any]],
    output: Output,
    *,
    every: bool,
) -> Exit:
    if bool(ids) is every:
        raise typer.BadParameter("name dead letters, or give --all", param_hint="[ID]...")
    result = Exit.DONE
    async with connected() as session:
        letters = session.client.letters
        chosen = [one async for one in letters.list()] if every else [await letters.get(one) for one in ids or ()]
        with output.meter(done, len(chosen)) as meter:
            for letter in chosen:
                if not await _one(session, letter, done, act, output):
                    result = Exit.ERROR
                meter.advance()
    return result


async def _one(
    session: Session,
    letter: DeadLetter,
    done: str,
    act: Callable[[Session, DeadLetter], Awaitable[Any]],
    output: Output,
) -> bool:
    try:
        await act(session, letter)
    except InvalidCommand as error:
        output.note(str(error))
        return False
    if output.json:
        output.object({"id": letter.id, "command_id": letter.command_id, "done": done})
    else:
        output.line(f"{done}: {letter.id} (command {letter.command_id})")
    return True


async def _replay(session: Session, letter: DeadLetter) -> None:
    await session.client.replay(letter)


async def _drop(session: Session, letter: DeadLetter) -> None:
    await session.client.letters.drop(letter)
