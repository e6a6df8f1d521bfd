"""What all pages share: who may see them, messages for errors, and the forms that they accept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.exceptions import HTTPException
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
from .live import KNOWN, rendered
from .sessions import same
from .templating import milliseconds

BODY_LIMIT = 64_000
"""The most bytes of a form."""
FIELDS_LIMIT = 50
"""The most fields of a form."""

Handler = Callable[[Board, Request], Awaitable[Response]]


def page(handler: Handler, *, guarded: bool = True) -> Callable[[Request], Awaitable[Response]]:
    """Make a page of a handler, with messages for errors; if it is `guarded`, only for those who may read."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        board: Board = request.app.state.board
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
    """Return a whole page, with the cookie of the browser's session."""
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


async def shown_live(
    board: Board, request: Request, template: str, name: str, params: Mapping[str, str], /, **context: Any
) -> Response:
    """Return a whole page with a live part, and the address of the stream that keeps this part up to date."""
    query = urlencode({key: params[key] for key in KNOWN[name] if params.get(key)})
    stream = f"/stream/{name}" + (f"?{query}" if query else "")
    part = await rendered(board, name, params, base_of(request), acts=board.may_act(request))
    return shown(board, request, template, part=part, stream=stream, **context)


SIGN_IN = "this board asks for its token: sign in at /login, or send `Authorization: Bearer TOKEN`\n"


def turned_away(request: Request) -> Response:
    """Ask for the token: people get the sign-in page, programs a 401."""
    if "text/html" not in request.headers.get("accept", "") or request.method != "GET":
        return PlainTextResponse(SIGN_IN, 401, {"www-authenticate": "Bearer"})
    return RedirectResponse(f"{base_of(request)}/login", 303)


def base_of(request: Request) -> str:
    """Return the path under which the board is mounted."""
    base: str = request.scope.get("root_path", "")
    return base


async def own_form(board: Board, request: Request) -> dict[str, str] | None:
    """Return the fields of a form, or None if no page of this browser's session sent it, or it is too large.

    Raises:
        HTTPException: it has more fields than any form of ours.

    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            return None
    try:
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FIELDS_LIMIT)
    except ValueError:
        raise HTTPException(400, f"a form of this board has {FIELDS_LIMIT} fields at most\n") from None
    fields = dict(pairs)
    expected = board.sessions.form_token(board.session(request))
    return fields if same(fields.get("form_token", ""), expected) else None
