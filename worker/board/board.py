"""What the board's pages and streams share: connections, the one reader, and who may do what."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from starlette.requests import HTTPConnection
from starlette.responses import Response

from ..aio.cached import Cached
from ..client import AsyncClient, Event
from ..runtime.deployment import totals_of, waiting_of
from ..settings.environment import Settings
from ..settings.signing_key import SigningKey
from ..store.batches import Batches
from ..store.codec import Snapshot as Seen
from ..store.overview import Overview
from ..store.redis_client import connect
from ..store.store import Store
from .feed import Feed
from .sessions import Session, Sessions, same
from .templating import templates

WAITING_FOR = 2.0
"""Seconds for which the same number of waiting commands is shown."""
TOTALS_FOR, TOTALS_PATIENCE = 5.0, 8.0
"""Seconds for which the same totals are served, and that a scrape waits for the first ones."""
SEARCHED = 20_000
"""Entries of the event stream that are searched for the events of one cancellation."""
STORIES = 200
"""How many cancellations' events are kept."""


@dataclass(frozen=True, slots=True)
class Story:
    """The events of a cancellation, oldest first, and those of its backend's breaker during that time."""

    own: Sequence[Event]
    breaks: Sequence[Event]


def event_of(raw: Mapping[str, Any]) -> Event | None:
    """Read an event; None if it is not a valid one."""
    try:
        return Event.model_validate(raw)
    except ValidationError:
        return None


def number(sequence: str | None) -> int:
    """Read an event's number within its cancellation; 0 if the text is not a number."""
    text = sequence or ""
    return int(text) if text.isdecimal() and len(text) <= 10 else 0  # noqa: PLR2004 - digits


class Board:
    """All that pages and streams share; it belongs to one event loop."""

    def __init__(self, settings: Settings, key: SigningKey | None, token: str | None) -> None:
        redis = connect(settings)
        self.client = AsyncClient(settings, key)
        self.store = Store(redis, settings.prefix)
        self.overview = Overview(redis, settings.prefix)
        self.batches = Batches(redis, settings.prefix)
        waiting = Cached(lambda: waiting_of(settings, redis), for_seconds=WAITING_FOR, patience=WAITING_FOR)
        self.totals = Cached(lambda: totals_of(settings, redis), for_seconds=TOTALS_FOR, patience=TOTALS_PATIENCE)
        self.feed = Feed(self.overview, self.batches, waiting)
        self.sessions = Sessions.of(token)
        self.login = asyncio.Lock()
        self.templates = templates(settings.prefix)
        self.signs_as = key.producer if key is not None else ""
        self._token = token
        self.read_only = token is None and not self.signs_as
        """Whether nobody may act here."""
        self._stories: dict[str, tuple[int, Story]] = {}
        self.rendered: dict[object, tuple[int, str]] = {}

    def is_token(self, given: str) -> bool:
        """Whether this is the token."""
        return self._token is not None and same(given, self._token)

    def session(self, request: HTTPConnection) -> Session:
        """Return the session of a request; a browser without a cookie of ours gets a new one."""
        found = self.sessions.read(request.cookies.get(cookie_name(request), ""), time.time())
        return found or Session()

    def may_read(self, request: HTTPConnection) -> bool:
        """Whether the token was shown, if there is one: by this browser, or in the request itself."""
        if self._token is None or self.session(request).operator:
            return True
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.is_token(given.strip())

    def may_act(self, request: HTTPConnection) -> bool:
        """Whether operators' actions may be taken."""
        return not self.read_only and self.may_read(request)

    def greet(self, request: HTTPConnection, answer: Response, session: Session) -> None:
        """Set the cookie by which a browser keeps its session."""
        answer.set_cookie(
            cookie_name(request),
            self.sessions.written(session, time.time()),
            path=request.scope.get("root_path", "") or "/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )

    async def story(self, seen: Seen) -> Story:
        """Return the events of a cancellation; they are read again only if there are more."""
        one, latest = seen.record.cancellation, seen.record.sequence
        known = self._stories.get(one.id)
        if known is None or known[0] != latest:
            found = await self.overview.story(one, latest, SEARCHED)
            events = [event for raw in found if (event := event_of(raw)) is not None]
            own = sorted(
                (event for event in events if event.cancellationid == one.id), key=lambda event: number(event.sequence)
            )
            known = latest, Story(own, [event for event in events if event.cancellationid is None])
            keep(self._stories, one.id, known, STORIES)
        return known[1]

    async def aclose(self) -> None:
        """Close all connections."""
        await self.totals.aclose()
        await self.feed.aclose()
        await self.store.aclose()
        await self.client.aclose()


def keep(kept: dict[Any, Any], name: object, value: object, most: int) -> None:
    """Keep a value as the newest, and drop the oldest beyond a limit."""
    kept.pop(name, None)
    kept[name] = value
    while len(kept) > most:
        kept.pop(next(iter(kept)))


def cookie_name(request: HTTPConnection) -> str:
    """Return our cookie's name, with the port, because browsers share cookies between a host's ports."""
    _, port = request.scope.get("server") or ("", None)
    return f"canceller_board_{port or 0}"
