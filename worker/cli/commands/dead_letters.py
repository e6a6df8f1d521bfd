"""`dead-letters`: what could not be taken in or delivered, and how to try it again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import typer

from ...client.async_client import AsyncClient
from ...domain.errors import InvalidCommand
from ...domain.event_drafts import text
from ...protocol.signing import DENIALS
from ...settings.signing_key import SigningKey
from ...store.dead_letters import DeadLetter
from ..coroutines import runnable
from ..exits import Exit
from ..options import Json, KeyFile, Producer
from ..output import Output
from ..session import connected, signer

app = typer.Typer(no_args_is_help=True, help="Show what was rejected or could not be delivered, and try it again.")

Id = Annotated[str, typer.Argument(metavar="ID", help="The id of a dead letter, as `list` shows it.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="The ids of dead letters, as `list` shows them.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]
Act = Callable[[AsyncClient, DeadLetter], Awaitable[Any]]
Limit = Annotated[int, typer.Option(min=1, help="How many of the newest to show; the oldest of them comes first.")]


@app.command("list")
@runnable
async def list_(limit: Limit = 100, *, json: Json = False) -> None:
    """List commands that were rejected, and events that could not be delivered to a sink, with the reason.

    canceller dead-letters list

    canceller dead-letters list --limit 10 --json
    """
    output = Output(as_json=json)
    async with connected() as session:
        found = [*reversed(await session.client.letters.newest(limit))]
        count = await session.client.letters.count()
    if output.json:
        for letter in found:
            output.object(letter)
    elif found:
        rows = [(letter.id, text(letter.at) or "", letter.command_id, letter.reason) for letter in found]
        output.rows(("id", "at", "command or event", "reason"), rows)
    else:
        output.note("there are no dead letters")
    if count > len(found):
        output.note(f"these are the newest {len(found)} of {count}: --limit {count} shows all")


@app.command()
@runnable
async def show(letter: Id, *, json: Json = False) -> None:
    """Show one dead letter with its raw message.

    canceller dead-letters show 1763899200000-0

    canceller dead-letters show 1763899200000-0 --json
    """
    output = Output(as_json=json)
    async with connected() as session:
        found = await session.client.letters.get(letter)
    if output.json:
        output.object(found)
        return
    about = "event" if found.sink else "command"
    told = {"id": found.id, "at": text(found.at) or "", about: found.command_id, "reason": found.reason}
    output.sheet([*told.items(), ("message", found.raw)])


@app.command()
@runnable
async def replay(
    letters: Ids = None,
    *,
    every: All = False,
    key: KeyFile = None,
    producer: Producer = None,
    json: Json = False,
) -> Exit:
    """Send commands again, each under its own command id; what can't be read stays where it is.

    An event goes to its sink again under its old id, perhaps after later ones of its cancellation.

    With a key you sign the commands, and so vouch for what they ask for: with --all, commands stay where they are if
    nobody has signed them, or if their own signature or their producer's rights were not enough.

    Exit 0 when all were sent, 1 when some could not be.

    canceller dead-letters replay 1763899200000-0

    canceller dead-letters replay --all --key key.pem --producer billing
    """
    return await _each(
        letters, "sent again", AsyncClient.replay, Output(as_json=json), every=every, key=signer(key, producer)
    )


@app.command()
@runnable
async def drop(letters: Ids = None, *, every: All = False, json: Json = False) -> Exit:
    """Delete dead letters for good.

    canceller dead-letters drop 1763899200000-0

    canceller dead-letters drop --all
    """
    return await _each(
        letters, "dropped", lambda client, letter: client.letters.drop(letter), Output(as_json=json), every=every
    )


async def _each(
    ids: list[str] | None,
    done: str,
    act: Act,
    output: Output,
    *,
    every: bool,
    key: SigningKey | None = None,
) -> Exit:
    if bool(ids) is every:
        raise typer.BadParameter("name dead letters, or give --all", param_hint="[ID]...")
    result = Exit.DONE
    async with connected(key=key) as session:
        letters = session.client.letters
        chosen = [one async for one in letters.list()] if every else [await letters.get(one) for one in ids or ()]
        if every and session.signs:
            chosen = _not_denied(chosen, output)
        with output.meter(done, len(chosen)) as meter:
            for letter in chosen:
                try:
                    await act(session.client, letter)
                except InvalidCommand as error:
                    output.note(str(error))
                    result = Exit.ERROR
                else:
                    if output.json:
                        output.object({"id": letter.id, "command_id": letter.command_id, "done": done})
                    else:
                        output.line(
                            f"{done}: {letter.id} ({'event' if letter.sink else 'command'} {letter.command_id})"
                        )
                meter(1)
    return result


def _not_denied(letters: Sequence[DeadLetter], output: Output) -> list[DeadLetter]:
    """Leave out commands that were denied or that nobody has signed: a key must not vouch for them unseen."""
    kept = [one for one in letters if one.reason not in DENIALS and not one.unverified]
    if len(kept) < len(letters):
        denied = len(letters) - len(kept)
        output.note(
            f"{denied} left where they are: unsigned, or denied for their signature or lack of a right; "
            "name those that you vouch for"
        )
    return kept
