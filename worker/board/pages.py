"""The pages that only show something, the search, and signing in and out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from ..views.open_rows import STATES
from . import assets
from .answers import base_of, own_form, page, shown, shown_live
from .board import Board
from .search import search
from .sessions import Session

LOGIN_PAUSE = 1.0
"""Seconds by which a wrong token delays its answer, and all other attempts."""
LIVE: Mapping[str, tuple[str, str]] = {
    "overview": ("Overview", "page.html"),
    "open": ("Open cancellations", "open.html"),
    "batches": ("Batches", "page.html"),
    "dead-letters": ("Dead letters", "page.html"),
}
"""The title and template of each page with a live part; the open list can be filtered by backend and state."""


def live_page(name: str) -> Callable[[Request], Awaitable[Response]]:
    """Make the page for a live part."""
    title, template = LIVE[name]

    async def answer(board: Board, request: Request) -> Response:
        return await shown_live(
            board,
            request,
            template,
            name,
            request.query_params,
            title=title,
            chosen=request.query_params,
            feed=board.feed,
            states=STATES,
        )

    return page(answer)


async def login(board: Board, request: Request) -> Response:
    """Ask for the token, and sign in a browser that sends it."""
    if request.method != "POST":
        return shown(board, request, "login.html", title="Sign in", problem="")
    fields = await own_form(board, request)
    if fields is None:
        return shown(board, request, "login.html", 403, title="Sign in", problem="Load this page again, and try again.")
    async with board.login:
        if not board.is_token(fields.get("token", "").strip()):
            await asyncio.sleep(LOGIN_PAUSE)
            return shown(board, request, "login.html", 403, title="Sign in", problem="This token is wrong.")
    answer = RedirectResponse(f"{base_of(request)}/", 303)
    board.greet(request, answer, Session(operator=True))
    return answer


async def logout(board: Board, request: Request) -> Response:
    """Let a browser forget that it has shown the token."""
    answer = RedirectResponse(f"{base_of(request)}/", 303)
    if await own_form(board, request) is not None:
        board.greet(request, answer, Session())
    return answer


async def find(board: Board, request: Request) -> Response:
    """Search for a cancellation; a single hit leads straight to its page."""
    query = request.query_params.get("q", "").strip()
    found = await search(board, query)
    base = base_of(request)
    if len(found.rows) == 1 and not found.notes and not found.batch:
        return RedirectResponse(f"{base}/cancellations/{found.rows[0].id}", 303)
    return shown(board, request, "search.html", title="Search", query=query, found=found)


async def asset(request: Request) -> Response:
    """Return one of our files; its address changes with it, so browsers may keep it."""
    name = request.path_params["name"]
    found = assets.asset(name)
    if found is None:
        return PlainTextResponse("there is no such file\n", 404)
    kind = assets.TYPES[name[name.rindex(".") :]]
    return Response(found.content, media_type=kind, headers={"cache-control": "public, max-age=86400"})
