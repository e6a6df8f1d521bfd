"""Leaves commands to workers that can take them in, as in a rolling deploy, and takes in what others have left.

Another worker may serve a backend that this one does not, or know a newer format of records. A command that was left
stays in Redis until it is stored or rejected. Taking it in again is harmless: a command id is taken in once.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import structlog

from ..domain.errors import StoreUnavailable
from ..observability.outage import Seldom
from ..protocol.envelope import Envelope
from ..store.serving import GRACE, Serving
from ..store.store import Store
from ..store.transitions import Rejection
from .admission import Admission
from .decoder import text_in
from .delivery import FULL

log = structlog.get_logger(__name__)

EVERY = 1.0
LONGEST = 60.0
"""The most seconds between two tries of a command that only a newer worker can take in; the wait doubles each time."""
LIMIT = 256 * 1024
"""Bytes of a command that may be left; no valid one is nearly as long."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """One command as it came; `command_id` is its id if it has none of its own.

    `backend` is the one that it names, empty for none. `traceparent` is the trace that it belongs to, according to its
    sender: its own field, else its message's. `timed` says that the verdict on it depends on the time.
    """

    content: object
    command_id: str
    envelope: Envelope
    backend: str
    traceparent: str | None
    timed: bool

    @classmethod
    def of(cls, content: object, command_id: str, envelope: Envelope) -> Self:
        """Read what concerns a command before it is judged."""
        fields: Mapping[str, object] = content if isinstance(content, Mapping) else {}
        own = fields.get("traceparent")
        traceparent = own if isinstance(own, str) else envelope.traceparent
        timed = envelope.eta is not None or envelope.expires is not None or fields.get("not_before") is not None
        return cls(content, command_id, envelope, text_in(content, "backend"), traceparent, timed)


def written(one: Arrived) -> bytes | None:
    """Return a command as it is stored for other workers; None if it can't be written, and so is not valid."""
    times = (at.isoformat() if at else None for at in (one.envelope.eta, one.envelope.expires))
    try:
        text = json.dumps([one.content, one.command_id, *times, one.envelope.traceparent]).encode()
    except (RecursionError, TypeError, ValueError):
        return None
    return text if len(text) <= LIMIT else None


def read(text: bytes) -> Arrived:
    """Return the command that `written` wrote."""
    content, command_id, eta, expires, traceparent = json.loads(text)
    eta, expires = (datetime.fromisoformat(at) if at else None for at in (eta, expires))
    return Arrived.of(content, command_id, Envelope(eta, expires, traceparent))


@dataclass(frozen=True, slots=True)
class Later:
    """When a command is tried again, by the monotonic clock, and how many seconds after its last try that is."""

    at: float
    pause: float


Take = Callable[[Sequence[Arrived]], Awaitable[frozenset[str]]]
"""Takes in commands; returns the digests of those that were left."""
Reject = Callable[[Rejection, str | None], Awaitable[None]]
"""Rejects a command; the text is its traceparent."""


class Handover:
    """Exchanges commands with other workers; this one serves the backends that `admission` has rules for."""

    def __init__(self, store: Store, admission: Admission, serving: Serving, take: Take, reject: Reject) -> None:
        self._store = store
        self._admission = admission
        self._mine = admission.rules.keys()
        self.serving = serving
        self._take = take
        self._reject = reject
        self._later: dict[str, Later] = {}
        self._logged = Seldom()

    async def sort(self, arrived: Sequence[Arrived]) -> tuple[Sequence[Arrived], frozenset[str]]:
        """Leave commands whose backend only other workers serve; return the rest, and the digests of those left.

        Raises:
            StoreUnavailable: it is unknown what was left; doing it again is harmless.

        """
        elsewhere = await self.elsewhere({one.backend for one in arrived})
        if not elsewhere:
            return arrived, frozenset()
        here: list[Arrived] = []
        away: list[Arrived] = []
        for one in arrived:
            (away if one.backend in elsewhere and written(one) is not None else here).append(one)
        return here, await self.leave(away)

    async def elsewhere(self, backends: Collection[str]) -> frozenset[str]:
        """Return those of some backends that only other workers serve; raises StoreUnavailable."""
        foreign = [name for name in backends if name and name not in self._mine]
        if foreign:
            self.serving.see(await self._store.peers.announced())
        return frozenset(name for name in foreign if self.serving.silence(name) < GRACE)

    async def leave(self, some: Sequence[Arrived]) -> frozenset[str]:
        """Leave commands to other workers; return their digests.

        Raises:
            StoreUnavailable: it is unknown what was left; doing it again is harmless.

        """
        left: dict[str, dict[str, bytes]] = defaultdict(dict)
        for one in some:
            text = written(one) or b""
            left[one.backend][hashlib.sha256(text).hexdigest()[:32]] = text
        if left:
            await self._store.peers.hand_over(left)
            if self._logged.due():
                log.info("commands.left_to_other_workers", backends=sorted(left), commands=len(some))
        return frozenset(digest for texts in left.values() for digest in texts)

    async def run(self) -> None:
        """Take in what others have left, every second, until cancelled."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                log.debug("handover.unavailable", error=str(error))  # the engine logs the outage
            except Exception:
                log.exception("handover.failed")
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Take in what was left for our backends, and reject what was left for backends that nobody serves any more."""
        later: dict[str, Later] = {}
        backends = await self._store.peers.left()
        if backends and await self._store.fullness() > FULL:
            return
        elsewhere = await self.elsewhere(backends)
        for backend in backends:
            if backend not in elsewhere:
                async for page in self._store.peers.handed_over(backend):
                    later |= await self._take_page(backend, page)
        self._later = later

    async def _take_page(self, backend: str, page: Mapping[str, bytes]) -> dict[str, Later]:
        """Take in the commands of one page that are due; return when the others are tried again."""
        now = time.monotonic()
        later = {name: self._later[name] for name in page if name in self._later and self._later[name].at > now}
        due = {name: text for name, text in page.items() if name not in later}
        left = await self._take_each(list(due.values()))
        if done := due.keys() - left:
            await self._store.peers.taken_over(backend, sorted(done))
        for name in due.keys() & left:
            pause = min(2 * self._later[name].pause, LONGEST) if name in self._later else EVERY
            later[name] = Later(now + pause, pause)
        return later

    async def _take_each(self, texts: Sequence[bytes]) -> frozenset[str]:
        """Take in commands; one that fails stops no other, and is rejected if it also fails on its own."""
        some: list[Arrived] = []
        for text in texts:
            try:
                some.append(read(text))
            except (ValueError, TypeError):
                log.warning("handover.unreadable", bytes=len(text))
        try:
            return await self._take(some)
        except StoreUnavailable:
            raise
        except Exception:
            log.exception("handover.page_failed", commands=len(some))
        left: frozenset[str] = frozenset()
        for one in some:
            try:
                left |= await self._take([one])
            except StoreUnavailable:
                raise
            except Exception as error:
                log.exception("handover.command_failed", command_id=one.command_id)
                why = f"message: {type(error).__name__} while it was taken in"
                rejection = self._admission.rejection(one.content, one.command_id, why, envelope=one.envelope)
                await self._reject(rejection, one.traceparent)
        return left
