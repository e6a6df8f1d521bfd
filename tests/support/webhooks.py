"""A webhook receiver that verifies what it gets, events for it, and pumps that deliver them."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote

from aiohttp import web
from redis.asyncio import Redis
from standardwebhooks.webhooks import Webhook as Verifier

from worker.sinks.event import Filter
from worker.sinks.pump import Pump
from worker.sinks.receiver import Message
from worker.sinks.receiver import Receiver as AnyReceiver
from worker.sinks.service import Sink
from worker.sinks.tries import Failure, Limits
from worker.sinks.webhook import Webhook
from worker.store.store import Store

Found = TypeVar("Found")
SECRET = "whsec_c2VjcmV0LW9mLXRoaXJ0eS10d28tYnl0ZXMtYXQtbGVhc3Q="
STREAM = "{canceller}:events"

Answer = Callable[[dict[str, Any], int], "int | web.Response | Awaitable[int]"]
"""Returns what to answer when an event comes for the n-th time, from 1: a status, or a whole response."""


@dataclass
class Receiver:
    """Keeps every request, when each event came, which were taken, and when."""

    answer: Answer
    secret: str | bytes = SECRET
    port: int = 0
    secure: bool = False
    tries: list[tuple[str, float]] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    taken_at: dict[str, float] = field(default_factory=dict)
    requests: list[web.Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/hooks" if self.secure else f"http://127.0.0.1:{self.port}/hooks"

    @property
    def ids(self) -> list[str]:
        """The ids of the events that were taken, each once, in the order in which they were first taken."""
        return list(dict.fromkeys(one["id"] for one in self.taken))

    def tried(self, event_id: str) -> list[float]:
        """Return the times at which an event came."""
        return [at for one, at in self.tries if one == event_id]

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        event = Verifier(self.secret).verify(body, dict(request.headers))
        assert event["id"] == unquote(request.headers["webhook-id"])
        self.requests.append(request)
        self.tries.append((event["id"], time.monotonic()))
        said = self.answer(event, len(self.tried(event["id"])))
        if not isinstance(said, int | web.Response):
            said = await said
        response = web.Response(status=said) if isinstance(said, int) else said
        if response.status < 300:
            self.taken.append(event)
            self.taken_at.setdefault(event["id"], time.monotonic())
        return response

    def ordered(self) -> None:
        """Check that the events of each cancellation were first taken in the order of their sequence."""
        last: dict[str, int] = {}
        for event_id in self.ids:
            cancellation, _, number = event_id.rpartition("-")
            assert last.get(cancellation, 0) < int(number), event_id
            last[cancellation] = int(number)


@asynccontextmanager
async def receiving(
    answer: Answer = lambda _event, _count: 204,
    *,
    secret: str | bytes = SECRET,
    tls: ssl.SSLContext | None = None,
    port: int = 0,
) -> AsyncIterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver(answer, secret, secure=tls is not None)
    app = web.Application(client_max_size=10_000_000)
    app.router.add_post("/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls)
    await site.start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()


def body(cancellation: str, number: int, **more: Any) -> bytes:
    """Write an event as the store does, with only the fields that a sink needs."""
    data = more.pop("data", {})
    event = {
        "specversion": "1.0",
        "id": f"{cancellation}-{number}",
        "source": "/canceller/ess",
        "type": "canceller.cancellation.accepted.v1",
        "subject": cancellation,
        "time": "2026-11-22T10:00:00.123Z",
        "backend": "ess",
        "cancellationid": cancellation,
        **more,
        "data": data,
    }
    return json.dumps(event).encode()


async def emit(redis: Redis, cancellation: str, *numbers: int, **more: Any) -> None:
    """Append events of a cancellation to the stream."""
    for number in numbers:
        await redis.xadd(STREAM, {"event": body(cancellation, number, **more)})


async def deliver(to: AnyReceiver, event_id: str, content: bytes) -> Failure | None:
    """Deliver one event; return why it did not arrive, None if it did."""
    (failure,) = await to.deliver([Message(event_id, content)])
    return failure


def sink(receiver: AnyReceiver, name: str = "s", filter_: Filter | None = None, **limits: Any) -> Sink:
    """Return a sink with a receiver."""
    return Sink(name, "webhook", filter_ or Filter(name), Limits(**limits), receiver)


@asynccontextmanager
async def pumping(
    store: Store, to: Receiver | Sink, worker: str = "w1", speed: float = 1.0, **limits: Any
) -> AsyncIterator[Pump]:
    """Deliver to a receiver, as one worker does."""
    one = to if isinstance(to, Sink) else sink(Webhook(to.url, [SECRET]), **limits)
    pump = Pump(one, store.sinks, worker, speed)
    await pump.start()
    try:
        yield pump
    finally:
        await pump.stop(30.0)


async def crash(pump: Pump) -> None:
    """End a pump as if its worker were killed: nothing is stored, and its lease is not released."""
    task = pump._task
    assert task is not None
    service = pump._service
    if service is not None:
        service._sinks = Dead(service._sinks)  # type: ignore[assignment]
    task.cancel()
    await asyncio.wait([task])


class Slow:
    """A sink's state in Redis, on which the next claim waits until `goes_on` is set."""

    def __init__(self, sinks: Any) -> None:
        self._sinks = sinks
        self.asked, self.goes_on = asyncio.Event(), asyncio.Event()

    async def claim(self, *arguments: Any) -> Any:
        self.asked.set()
        await self.goes_on.wait()
        return await self._sinks.claim(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sinks, name)


class Dead:
    """The Redis access of a killed worker: every call hangs."""

    def __init__(self, sinks: Any) -> None:
        self._run = sinks

    def __getattr__(self, name: str) -> Any:
        async def hang(*_: Any, **__: Any) -> None:
            await asyncio.Event().wait()

        return hang


async def until(done: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until a condition is true."""

    async def look() -> bool:
        return done()

    await found(look, seconds)


async def found(look: Callable[[], Awaitable[Found]], seconds: float = 60) -> Found:
    """Check again and again until there is a result, and return it."""
    async with asyncio.timeout(seconds):
        while not (seen := await look()):  # noqa: ASYNC110 - neither a receiver nor Redis announces it
            await asyncio.sleep(0.01)
    return seen
