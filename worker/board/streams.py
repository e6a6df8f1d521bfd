"""Streams of live parts, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from ..client import CancellerError
from .answers import SIGN_IN, base_of
from .board import Board
from .live import VIEWS, rendered

MOST_STREAMS = 500
LONGEST = 3600.0
"""Seconds after which a stream ends: the browser then asks for a new one, and is checked again."""
HEARTBEAT = 15.0
"""Seconds without a change after which a stream shows that it is alive."""


async def stream(request: Request) -> Response:
    """Send a live part, and send it again whenever it has changed."""
    board: Board = request.app.state.board
    name = request.path_params["view"]
    if not board.may_read(request):
        return PlainTextResponse(SIGN_IN, 401)
    if name not in VIEWS:
        return PlainTextResponse("there is no such stream\n", 404)
    for needed in VIEWS[name].needs:
        if not request.query_params.get(needed):
            return PlainTextResponse(f"this stream shows nothing without a parameter {needed}\n", 400)
    if board.feed.watchers >= MOST_STREAMS:
        return PlainTextResponse("too many pages are watching this board already\n", 503)
    messages = _changes(board, name, dict(request.query_params), base_of(request), acts=board.may_act(request))
    return StreamingResponse(messages, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def _changes(
    board: Board, name: str, params: Mapping[str, str], base: str, *, acts: bool
) -> AsyncIterator[bytes]:
    sent, sent_at, loop = "", 0.0, asyncio.get_running_loop()
    async with board.feed.watched():
        await board.feed.current()
        ends_at = loop.time() + LONGEST
        while loop.time() < ends_at:
            try:
                html = await rendered(board, name, params, base, acts=acts)
            except CancellerError as error:
                html = board.templates.get_template("live/problem.html").render(said=str(error))
            if html != sent:
                sent, sent_at = html, loop.time()
                yield b"".join(b"data: " + line.encode() + b"\n" for line in html.splitlines()) + b"\n"
            elif loop.time() - sent_at > HEARTBEAT:
                sent_at = loop.time()
                yield b": still here\n\n"
            if not await board.feed.next_tick(HEARTBEAT) and board.feed.closing.is_set():
                return
