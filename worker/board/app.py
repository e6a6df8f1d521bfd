"""The board as an ASGI app, to be served or mounted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..settings.board_access import board_access
from ..settings.environment import Settings
from ..settings.signing_key import SigningKey, signing_key
from ..store.redis_client import connect
from .answers import page
from .board import Board
from .guard import Guard, host_names
from .metrics import metrics
from .orders import BATCH, CANCELLATION
from .pages import asset, find, live_page, login, logout
from .streams import stream

ROUTES = [
    Route("/", live_page("overview")),
    Route("/open", live_page("open")),
    Route("/batches", live_page("batches")),
    Route("/dead-letters", live_page("dead-letters")),
    Route("/search", page(find)),
    *(Route(f"/{one.path}/{{id:path}}", page(one.page)) for one in (CANCELLATION, BATCH)),
    *(Route(f"/{one.path}/{{id:path}}/{{action}}", page(one.order), methods=["POST"]) for one in (CANCELLATION, BATCH)),
    Route("/stream/{view}", stream),
    Route("/metrics", metrics),
    Route("/login", page(login, guarded=False), methods=["GET", "POST"]),
    Route("/logout", page(logout, guarded=False), methods=["POST"]),
    Route("/static/{name}", asset),
]


def app_for(
    settings: Settings | None = None, *, hosts: Collection[str] = (), listens_on: str = "127.0.0.1"
) -> BoardApp:
    """Return the board of a deployment as an ASGI app, to be served or mounted.

    `hosts` are host names that browsers may use for it, besides those of loopback and of `CANCELLER_BOARD_HOSTS`.

    Raises:
        ConfigurationError: the environment has mistakes, or names no Redis, or a key that can't be used.

    """
    settings = (settings or Settings.load()).discovered()
    connect(settings)  # raises for wrong settings before anything is served
    access = board_access(settings)
    names = host_names(listens_on, (*access.hosts, *hosts))
    return BoardApp(settings, signing_key(settings), access.token, names)


class BoardApp:
    """Makes the board in the event loop that serves the first request: its connections work nowhere else."""

    def __init__(self, settings: Settings, key: SigningKey | None, token: str | None, hosts: Collection[str]) -> None:
        self._settings = settings
        self._key = key
        self._token = token
        self._hosts = hosts
        self._app: ASGIApp | None = None
        self.board: Board | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if self._app is None:
            self._app = Guard(self._made(), self._hosts)
        await self._app(scope, receive, send)

    def close(self) -> None:
        """End the streams, so that a server need not wait for its browsers."""
        if self.board is not None:
            self.board.feed.close()

    def _made(self) -> Starlette:
        board = self.board = Board(self._settings, self._key, self._token)

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            yield
            await board.aclose()

        app = Starlette(routes=ROUTES, lifespan=lifespan)
        app.state.board = board
        return app
