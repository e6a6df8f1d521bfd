"""`events`: the event stream, as it is or as it comes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated

import typer

from ...protocol.messages import Event
from ...views.about import about
from ...views.summary import gist
from ..options import Json, OnlyBackend, position
from ..output import Output
from ..session import connected

OLDEST = "0-0"


def events(
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new events until interrupted.")] = False,
    after: Annotated[
        str | None,
        typer.Option(
            parser=position,
            metavar="POSITION",
            help="Start after this position; 0 is the oldest event. [default: 0, with --follow: now]",
        ),
    ] = None,
    backend: OnlyBackend = "",
    json: Json = False,
) -> None:
    """Show events, one per line; with --json each in full, with its position in the stream.

    A reader that keeps the last position can resume from there with --after, and misses none.

    canceller events --follow --backend ess

    canceller events --json --after 1763899200000-0
    """
    with suppress(KeyboardInterrupt):
        asyncio.run(_events(after, backend, Output(as_json=json), follow=follow))


async def _events(after: str | None, backend: str, output: Output, *, follow: bool) -> None:
    async with connected() as session:
        start = after or (await session.store.last_event_id() if follow else OLDEST)
        async for position_, event in session.client.entries(start, follow=follow):
            if backend in {"", event.backend}:
                show(event, position_, output)


def show(event: Event, position_: str, output: Output) -> None:
    """Write one event."""
    if output.json:
        output.object({**event.model_dump(exclude_none=True), "position": position_})
        return
    output.line(f"{event.time}  {about(event)}  {event.name}  ", gist(event))
