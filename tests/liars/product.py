"""The parts of the product that a life needs: its engine and store on a real Redis, its backends over our wire.

Apart from the embedded Redis in `lives`, this is the only module of the folder that imports more of the product than
its simulator. It uses only what is unlikely to change: the backends file, the composition root, `Admission.take`,
`Engine`, and the events as stored in Redis.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any

import structlog
from redis.asyncio import Redis

from tests.liars.places import APPEARS_WITHIN, PLACES, Place
from tests.liars.shapes import Told
from tests.support.backends_file import parse_backends
from worker.backends.adapter import Reply
from worker.domain.errors import CallUnanswered
from worker.engine.engine import Engine
from worker.http.client import Http
from worker.runtime.wiring import backend_of, credential_of, intake_of
from worker.settings.backends_file.producers import Producers
from worker.store.retention import Retention
from worker.store.store import Store
from worker.store.transitions import Acceptance

PREFIX = "canceller"
GONE = 404
TIMEOUT = 0.6
MOUNTS = {"ess": "", "oml": "", "mrs": "/mrs", "sahara": "/sahara"}
SECRETS = {"LIARS_USER": "user", "LIARS_PASSWORD": "password"}
LIFE: ContextVar[int] = ContextVar("life", default=-1)

Exchange = Callable[[str, str, Mapping[str, str], bytes], Told | None]


class LiarWire:
    """A wire to the liar of one life."""

    through = to_proxy = ""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def exchange(self, call: Any, limit: int) -> Reply:  # noqa: ARG002 - no lie is long
        """Make a call; see `worker.http.transport.Wire`."""
        raw = "/" + call.url.partition("://")[2].partition("/")[2]
        headers = {name.lower(): value for name, value in call.headers.items()}
        told = self._exchange(call.method, raw, headers, call.content)
        await asyncio.sleep(told.delay if told else 0)
        if told is None:
            raise CallUnanswered("the connection was closed without a reply")
        return Reply(told.status, dict(told.headers), told.body)

    async def aclose(self) -> None:
        """Close nothing."""


class Calls:
    """Makes the calls of one backend: each life has its own `Http` and credential.

    The trace context of a command, which each of its calls carries too, identifies the life.
    """

    def __init__(self) -> None:
        self.lives: dict[int, Http] = {}

    async def ready(self) -> None:
        """Get a credential, if this pass has already made a call and so is known to belong to a life."""
        if LIFE.get() in self.lives:
            await self.lives[LIFE.get()].ready()

    async def send(self, request: Any, *, traceparent: str | None = None, **more: Any) -> Reply:
        """Make one call for the life that it belongs to."""
        LIFE.set(life_of(traceparent))
        http = self.lives.get(LIFE.get())
        if http is None:
            raise CallUnanswered("this life is over")
        return await http.send(request, traceparent=traceparent, **more)


def trace_of(number: int) -> str:
    """Return the trace context that identifies a life's calls."""
    return f"00-{number + 1:032x}-{1:016x}-01"


def life_of(traceparent: str | None) -> int:
    """Return the number of the life that a call or event belongs to."""
    return int(traceparent.split("-")[1], 16) - 1 if traceparent else -1


def backends_file() -> str:
    """Write the backends file."""
    return "\n".join(map(_table, PLACES))


def _table(place: Place) -> str:
    times = place.times
    lines = [
        f"[backends.{place.name}]",
        f'base_url = "http://liar{MOUNTS[place.system]}"',
        place.config,
        f"force_after = {times.force_after}\ngive_up_after = {times.give_up_after}\nwarn_after = 3600",
        f"believe_after = {times.believe_after}\nappears_within = {APPEARS_WITHIN}",
        f'poll = {{ first = "50ms", max = {times.poll_max} }}\ntimeout = {TIMEOUT}\nmax_in_flight = 4000',
        'look_many = false\nbreaker = { failures = 1000000, pause = "10ms" }',
    ]
    if place.name == "ess-probe":
        lines.append('remote_probe = { url = "http://liar/alive/{job_id}", gone_when = "404" }')
    return "\n".join(lines)


class Product:
    """One worker's engine, in this process."""

    def __init__(self, redis_url: str, probed: Callable[[str], int]) -> None:
        """`probed` answers the remote probe: a status for a job."""
        self.surprises: list[Mapping[str, Any]] = []
        self._redis_url = redis_url
        self._probed = probed
        self._calls = {place.name: Calls() for place in PLACES}

    async def start(self) -> None:
        """Start working on what is due."""
        structlog.configure(processors=[self._overhear], cache_logger_on_first_use=False)
        os.environ.update(SECRETS)
        self._redis = Redis.from_url(self._redis_url, max_connections=10_000)
        self._events = Redis.from_url(self._redis_url)
        self._configs = parse_backends(backends_file())
        self._intake = intake_of(self._configs, Producers())
        backends = {
            name: dataclasses.replace(
                backend_of(name, config), calls=self._calls[name], probe=self._probe if config.remote_probe else None
            )
            for name, config in self._configs.items()
        }
        keep = Retention(events=120.0, records=120.0, dead_letters=120.0)
        self._store = Store(self._redis, PREFIX, keep, 60.0)
        self._engine = Engine(self._store, backends, slots=1000)
        await self._engine.start()

    async def ping(self) -> None:
        """Return once Redis has answered."""
        await self._redis.ping()

    async def stop(self) -> None:
        """Stop, and close everything."""
        await self._engine.stop(1.0)
        await self._redis.aclose()
        await self._events.aclose()
        structlog.reset_defaults()

    def open(self, number: int, place: str, exchange: Exchange) -> None:
        """Connect a life with its backend."""
        config = self._configs[place]
        wire = LiarWire(exchange)
        self._calls[place].lives[number] = Http(
            str(config.base_url), credential=credential_of(config), timeout=config.timeout, wire=wire
        )

    async def close(self, number: int, place: str) -> None:
        """End a life's connection."""
        await self._calls[place].lives.pop(number).aclose()

    async def send(self, number: int, command: Mapping[str, Any], command_id: str) -> str:
        """Take in a command; return its cancellation's id, or nothing if it was refused."""
        taken = self._intake.take({**command, "traceparent": trace_of(number)}, command_id)
        if not isinstance(taken, Acceptance):
            return ""
        (accepted,) = await self._engine.accept([taken])
        return accepted.cancellation_id if accepted.verdict in {"accepted", "joined"} else ""

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Follow the stream from its beginning; it ends with the product."""
        position = "0-0"
        while True:
            reply: Any = await self._events.xread({f"{{{PREFIX}}}:events": position}, count=1000, block=200)
            for _, entries in reply or []:
                for entry, fields in entries:
                    position = entry.decode()
                    yield json.loads(fields[b"event"])

    async def _probe(self, job_id: str) -> bool:
        return self._probed(job_id) == GONE

    def _overhear(self, logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if method in {"error", "exception", "critical"}:
            self.surprises.append(structlog.processors.format_exc_info(logger, method, line))
        raise structlog.DropEvent
