"""What all pages share: who may see them, words for what went wrong, and the forms that they take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from ..client import (
    CancellerError,
    NewerFormat,
    Rejected,
    StoreUnavailable,
    UnknownBatch,
    UnknownCancellation,
    UnreadableRecord,
)
from .board import Board
from .live import KNOWN
from .templating import milliseconds

BODY_LIMIT = 64_000
"""Bytes of a form."""

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
            return turned_away(request)
        try:
            found = await handler(board, request)
        except (UnknownBatch, UnknownCancellation, Rejected) as error:
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
    html = board.templates.get_template(template).render(
        {
            "base": base_of(request),
            "acts": board.may_act(request),
            "read_only": board.read_only,
            "signs_as": board.signs_as,
            "signed_in": session.operator,
            "form_token": board.sessions.form_token(session),
            "query": "",
            "now_ms": milliseconds(board.feed.now() or datetime.now(UTC)),
            "stream": "",
            **context,
        },
    )
    answer = HTMLResponse(html, status)
    board.greet(request, answer, session)
    return answer


SIGN_IN = "this board asks for its token: sign in at /login, or send `Authorization: Bearer TOKEN`\n"


def turned_away(request: Request) -> Response:
    """Ask for the token: people by a page, programs by a status."""
    if "text/html" not in request.headers.get("accept", "") or request.method != "GET":
        return PlainTextResponse(SIGN_IN, 401, {"www-authenticate": "Bearer"})
    return RedirectResponse(f"{base_of(request)}/login", 303)


def base_of(request: Request) -> str:
    """Return the path under which the board is mounted."""
    base: str = request.scope.get("root_path", "")
    return base


def stream_of(name: str, params: Mapping[str, str]) -> str:
    """Return the address of the stream of a live part."""
    query = urlencode({key: params[key] for key in KNOWN[name] if params.get(key)})
    return f"/stream/{name}" + (f"?{query}" if query else "")


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
