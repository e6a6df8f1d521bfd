"""The pages, their streams, and the ways in and out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from ..client.async_client import Rejected
from ..errors import CancellerError, NewerFormat, StoreUnavailable, UnknownCancellation, UnreadableRecord
from ..protocol.operator_actions import ACTIONS
from . import assets
from .actions import FORMS, Problem, given, send
from .board import Board
from .live import KNOWN, rendered
from .rows import STATES
from .search import search
from .sessions import Session

BODY_LIMIT = 64_000
"""Bytes of a form."""
MOST_STREAMS = 500
HEARTBEAT = 15.0
"""Seconds without a change after which a stream shows that it lives."""
LOGIN_PAUSE = 1.0
"""Seconds that a wrong token costs whoever shows it, one at a time."""
TITLES: Mapping[str, str] = {"overview": "Overview", "dead-letters": "Dead letters"}

Handler = Callable[[Board, Request], Awaitable[Response]]


def board_of(request: Request) -> Board:
    """Return the board that a request is for."""
    board: Board = request.app.state.board
    return board


def page(handler: Handler, *, guarded: bool = True) -> Callable[[Request], Awaitable[Response]]:
    """Make a handler a page: only for those who may read, with a session, and with words for what went wrong."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        board = board_of(request)
        if guarded and not board.may_read(request):
            return _turned_away(request)
        try:
            found = await handler(board, request)
        except (UnknownCancellation, Rejected) as error:
            found = shown(board, request, "message.html", 404, title="Not found", said=str(error))
        except (NewerFormat, UnreadableRecord) as error:
            found = shown(board, request, "message.html", 409, title="Can't be read", said=str(error))
        except StoreUnavailable as error:
            found = shown(board, request, "message.html", 503, title="Redis can't be reached", said=str(error))
        except CancellerError as error:
            found = shown(board, request, "message.html", 502, title="This did not work", said=str(error))
        return found

    return answer


def shown(board: Board, request: Request, template: str, status: int = 200, /, **context: Any) -> Response:
    """Return a whole page, and keep the browser's session."""
    session = board.session(request)
    html = board.templates.render(
        template,
        **{
            "base": request.scope.get("root_path", ""),
            "acts": board.may_act(request),
            "read_only": board.read_only,
            "signs_as": board.signs_as,
            "signed_in": session.operator,
            "form_token": board.sessions.form_token(session),
            "query": "",
            "now_ms": int(board.now().timestamp() * 1000),
            "stream": "",
            **context,
        },
    )
    answer = HTMLResponse(html, status)
    board.greet(request, answer, session)
    return answer


def _turned_away(request: Request) -> Response:
    if "text/html" not in request.headers.get("accept", "") or request.method != "GET":
        return PlainTextResponse("this board asks for a token\n", 401, {"www-authenticate": "Bearer"})
    return RedirectResponse(f"{request.scope.get('root_path', '')}/login", 303)


def live_page(name: str) -> Callable[[Request], Awaitable[Response]]:
    """Make the page of a live part."""

    async def answer(board: Board, request: Request) -> Response:
        params = dict(request.query_params)
        part = await rendered(board, name, params, request.scope.get("root_path", ""), acts=board.may_act(request))
        return shown(board, request, "page.html", title=TITLES[name], part=part, stream=_stream(name, params))

    return page(answer)


async def open_(board: Board, request: Request) -> Response:
    """Show what is open, to be chosen by backend and state."""
    params = dict(request.query_params)
    part = await rendered(board, "open", params, request.scope.get("root_path", ""), acts=board.may_act(request))
    deployment = board.feed.snapshot.deployment
    return shown(
        board,
        request,
        "open.html",
        title="Open cancellations",
        part=part,
        stream=_stream("open", params),
        chosen=params,
        names=[one.name for one in deployment.backends] if deployment else [],
        states=STATES,
    )


def _stream(name: str, params: Mapping[str, str]) -> str:
    query = urlencode({key: params[key] for key in KNOWN[name] if params.get(key)})
    return f"/stream/{name}" + (f"?{query}" if query else "")


async def cancellation(board: Board, request: Request) -> Response:
    """Show one cancellation, with the forms of operators' actions."""
    return await _cancellation(board, request, {}, "")


async def _cancellation(
    board: Board, request: Request, filled: Mapping[str, str], problem: str, status: int = 200
) -> Response:
    seen = await board.client.get(request.path_params["id"])
    one = seen.record.cancellation
    params = {**request.query_params, "id": one.id}
    base, acts = request.scope.get("root_path", ""), board.may_act(request)
    part = await rendered(board, "cancellation", params, base, acts=acts)
    chosen = request.query_params.get("act", "")
    return shown(
        board,
        request,
        "cancellation.html",
        status,
        title=f"{one.backend} {one.job_id}",
        part=part,
        stream=_stream("cancellation", params),
        one=one,
        ended=seen.record.outcome is not None,
        forms=FORMS,
        chosen=filled.get("action") or (chosen if chosen in FORMS else ""),
        filled={"child": request.query_params.get("child", ""), **filled},
        problem=problem,
    )


async def act(board: Board, request: Request) -> Response:
    """Send an operator's action as a form of ours asks for it."""
    form = await own_form(board, request)
    if isinstance(form, Response):
        return form
    action = request.path_params["action"]
    if action not in ACTIONS:
        raise UnknownCancellation(f"there is no action called {action!r}")
    seen = await board.client.get(request.path_params["id"])
    one = seen.record.cancellation
    try:
        order = await send(board.client, one.id, given(action, form))
    except Problem as problem:
        return await _cancellation(board, request, {**form, "action": action}, str(problem), 400)
    query = urlencode({"order": order, "action": action, "after": str(seen.record.sequence)})
    return RedirectResponse(f"{request.scope.get('root_path', '')}/cancellations/{one.id}?{query}", 303)


async def own_form(board: Board, request: Request) -> dict[str, str] | Response:
    """Return the fields of a form that one of our pages has sent; else the answer that refuses it."""
    if not board.may_act(request):
        return shown(board, request, "message.html", 403, title="Read-only", said="Nobody may act on this board.")
    fields = await fields_of(request)
    if not board.sessions.is_own_form(board.session(request), fields.get("form_token", "")):
        text = "This form is too old, or no page of this board has made it: load the page again."
        return shown(board, request, "message.html", 403, title="Form refused", said=text)
    return fields


async def fields_of(request: Request) -> dict[str, str]:
    """Return the fields of a form; a body that is too large has none."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            return {}
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=50))


async def stream(request: Request) -> Response:
    """Send a live part, and send it again whenever it has changed."""
    board, name = board_of(request), request.path_params["view"]
    if not board.may_read(request):
        return PlainTextResponse("this board asks for a token\n", 401)
    if name not in KNOWN:
        return PlainTextResponse("there is no such stream\n", 404)
    if board.feed.watchers >= MOST_STREAMS:
        return PlainTextResponse("too many watch this board already\n", 503)
    messages = _changes(
        board, name, dict(request.query_params), request.scope.get("root_path", ""), acts=board.may_act(request)
    )
    return StreamingResponse(messages, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def _changes(
    board: Board, name: str, params: Mapping[str, str], base: str, *, acts: bool
) -> AsyncIterator[bytes]:
    sent, sent_at, loop = "", 0.0, asyncio.get_running_loop()
    async with board.feed.watched():
        await board.feed.current()
        while True:
            try:
                html = await rendered(board, name, params, base, acts=acts)
            except CancellerError as error:
                html = board.templates.render("live/problem.html", said=str(error))
            if html != sent:
                sent, sent_at = html, loop.time()
                yield b"".join(b"data: " + line.encode() + b"\n" for line in html.splitlines()) + b"\n"
            elif loop.time() - sent_at > HEARTBEAT:
                sent_at = loop.time()
                yield b": still here\n\n"
            if not await board.feed.next_tick(HEARTBEAT) and board.feed.closing.is_set():
                return


async def login(board: Board, request: Request) -> Response:
    """Ask for the token, and let the browser that shows it in."""
    session = board.session(request)
    if request.method != "POST":
        return shown(board, request, "login.html", title="Sign in", problem="")
    fields = await fields_of(request)
    if not board.sessions.is_own_form(session, fields.get("form_token", "")):
        return shown(board, request, "login.html", 403, title="Sign in", problem="Load this page again, and try again.")
    async with board.login:
        if not board.is_token(fields.get("token", "").strip()):
            await asyncio.sleep(LOGIN_PAUSE)
            return shown(board, request, "login.html", 403, title="Sign in", problem="This is not the token.")
    answer = RedirectResponse(f"{request.scope.get('root_path', '')}/", 303)
    board.greet(request, answer, Session(board.session_id(), operator=True))
    return answer


async def logout(board: Board, request: Request) -> Response:
    """Let a browser forget that it has shown the token."""
    fields = await fields_of(request)
    answer = RedirectResponse(f"{request.scope.get('root_path', '')}/", 303)
    if board.sessions.is_own_form(board.session(request), fields.get("form_token", "")):
        board.greet(request, answer, Session(board.session_id()))
    return answer


async def find(board: Board, request: Request) -> Response:
    """Search for a cancellation; a single one that is found is shown itself."""
    query = request.query_params.get("q", "").strip()
    found = await search(board, query)
    base = request.scope.get("root_path", "")
    if len(found.rows) == 1 and not found.notes:
        return RedirectResponse(f"{base}/cancellations/{found.rows[0].id}", 303)
    return shown(board, request, "search.html", title="Search", query=query, found=found)


async def asset(request: Request) -> Response:
    """Return one of our files; its address changes with it, so browsers may keep it."""
    name = request.path_params["name"]
    found = assets.content(name)
    if found is None:
        return PlainTextResponse("there is no such file\n", 404)
    kind = assets.TYPES[name[name.rindex(".") :]]
    return Response(found, media_type=kind, headers={"cache-control": "public, max-age=86400"})


ROUTES = [
    Route("/", live_page("overview")),
    Route("/open", page(open_)),
    Route("/dead-letters", live_page("dead-letters")),
    Route("/search", page(find)),
    Route("/cancellations/{id}", page(cancellation)),
    Route("/cancellations/{id}/{action}", page(act), methods=["POST"]),
    Route("/stream/{view}", stream),
    Route("/login", page(login, guarded=False), methods=["GET", "POST"]),
    Route("/logout", page(logout, guarded=False), methods=["POST"]),
    Route("/static/{name}", asset),
]
