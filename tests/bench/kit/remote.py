"""The benchmarks' remote: a raw asyncio HTTP server that speaks ESS, in a separate process, too cheap to be the limit.

`python -m tests.bench.kit.remote` prints its port. The first segment of a path names a *place*, a backend with
its own settings: `http://127.0.0.1:PORT/ess` is a `base_url`. A job exists as soon as it is asked for: it is
RUNNING until its cancel, then CANCELLING for the place's `stops_after` seconds plus its own share of `spread`, then
CANCELLED. With `inf`, and for ids from `endless_from` on, it stays in CANCELLING for ever. Replies come `delay` seconds
late; with `inf` they never come. Times are `time.monotonic()`, one clock for all processes of a machine.
Request bodies are not read: the calls made here have none.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import urlopen

from worker.local.child_process import stop_all, tied

ROOT = Path(__file__).resolve().parents[3]
HEAD_END = b"\r\n\r\n"
LISTEN = 4096
GOLDEN = 0.6180339887498949
"""The fractional parts of its multiples are spread evenly."""
NUMBER = re.compile(r"\d+")
SETTINGS = ("stops_after", "spread", "endless_from", "delay")


@dataclass(slots=True)
class Place:
    """One backend: how its jobs behave, and which calls came in."""

    stops_after: float = 0.0
    spread: float = 0.0
    endless_from: float = math.inf
    delay: float = 0.0
    looks: int = 0
    lists: int = 0
    cancels: int = 0
    cancelled: dict[str, float] = field(default_factory=dict)
    """When each job was first told to cancel."""
    shown: dict[str, float] = field(default_factory=dict)
    """When each job was first shown CANCELLED."""

    def cancel(self, job_id: str) -> bytes:
        """Take a job's cancel."""
        self.cancels += 1
        self.cancelled.setdefault(job_id, time.monotonic())
        return reply(f'{{"requestId":{job_id},"links":[{{"rel":"self","href":"/requests/{job_id}"}}]}}')

    def look(self, job_id: str) -> bytes:
        """Show a job."""
        self.looks += 1
        return reply(self._show(job_id))

    def list(self, query: str, page: int) -> bytes:
        """Show the jobs that a list's `q` names, all on its first page."""
        self.lists += 1
        ids = NUMBER.findall(query) if query.startswith("requestId") and page == 0 else []
        return reply(f'{{"items":[{",".join(map(self._show, ids))}],"count":{len(ids)},"pageIndex":{page}}}')

    def _show(self, job_id: str) -> str:
        now = time.monotonic()
        at = self.cancelled.get(job_id)
        if at is None:
            return request(job_id, "RUNNING", "READY", "NON_TERMINAL")
        if now - at < self.lasts(job_id):
            return request(job_id, "CANCELLING", "RUNNING", "NON_TERMINAL")
        self.shown.setdefault(job_id, now)
        return request(job_id, "CANCELLED", "CANCELLING", "OPERATOR_CANCEL")

    def lasts(self, job_id: str) -> float:
        """Return how long a job stays in CANCELLING; its share of the spread is the same each time."""
        number = int(job_id)
        return math.inf if number >= self.endless_from else self.stops_after + self.spread * (number * GOLDEN % 1.0)

    def report(self) -> dict[str, Any]:
        """Return which calls came in, and when each job that was shown CANCELLED had really stopped."""
        stopped = {job_id: self.cancelled[job_id] + self.lasts(job_id) for job_id in self.shown}
        counts = {"looks": self.looks, "lists": self.lists, "cancels": self.cancels}
        return {**counts, "cancelled": self.cancelled, "shown": self.shown, "stopped": stopped}


def request(job_id: str, state: str, previous: str, cause: str) -> str:
    """Write a request, an ESS job, with the fields that our adapter asks for."""
    return (
        f'{{"requestId":{job_id},"absParentRequestId":{job_id},"parentRequestId":null,"requestType":"SINGLETON",'
        f'"state":"{state}","previousState":"{previous}","stateChangeTime":"{_second().moment}",'
        f'"processPhase":"ExecuteAsyncWait","cause":"{cause}","isAsynchronous":true,"isForceCancelAllowed":false,'
        f'"errorType":null,"completedTime":null}}'
    )


@dataclass(slots=True)
class Second:
    """The time as text, in both forms, written once per second."""

    at: int
    date: str
    moment: str


_current = Second(0, "", "")


def _second() -> Second:
    global _current  # noqa: PLW0603 - one clock per process
    now = int(time.time())
    if now != _current.at:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now))
        _current = Second(now, formatdate(now, usegmt=True), moment)
    return _current


def reply(body: str, status: str = "200 OK") -> bytes:
    """Write a whole reply."""
    return (
        f"HTTP/1.1 {status}\r\nDate: {_second().date}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class World:
    """All places."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}

    def answer(self, method: str, target: str) -> tuple[bytes, float]:
        """Return the reply to a request, and the delay in seconds after which it goes out."""
        parts = target.partition("?")[0].split("/")
        if parts[1] == "_bench":
            return reply(json.dumps(self._control(parts[2], parts[3], dict(parse_qsl(urlsplit(target).query))))), 0.0
        place = self.places.setdefault(parts[1], Place())
        if method == "POST" and parts[-1] == "cancel":
            return place.cancel(parts[-2]), place.delay
        if method == "GET" and parts[-2] == "requests":
            return place.look(parts[-1]), place.delay
        if method == "GET" and "requests" in {parts[-1], parts[-3]}:
            query = dict(parse_qsl(urlsplit(target).query)).get("q", "")
            return place.list(query, int(parts[-1]) if parts[-1].isdecimal() else 0), place.delay
        return reply('{"title":"not served here"}', "404 Not Found"), 0.0

    def _control(self, verb: str, name: str, settings: dict[str, str]) -> dict[str, Any]:
        if verb == "reset":
            self.places[name] = Place()
        if verb in {"reset", "set"}:
            place = self.places.setdefault(name, Place())
            for key in SETTINGS:
                setattr(place, key, float(settings.get(key, getattr(place, key))))
        elif verb == "report":
            return self.places.setdefault(name, Place()).report()
        return {}


class Answering(Protocol):
    """What answers the requests of a server."""

    def answer(self, method: str, target: str) -> tuple[bytes, float]:
        """Return the reply to a request, and the delay in seconds after which it goes out."""


class Transport(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self, world: Answering) -> None:
        self._world = world
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        data = self._rest + data
        while (end := data.find(HEAD_END)) >= 0:
            method, target, _ = data[:end].split(b" ", 2)
            data = data[end + 4 :]
            self._send(*self._world.answer(method.decode(), target.decode()))
        self._rest = data

    def _send(self, raw: bytes, delay: float) -> None:
        transport = self._transport
        if transport is None or math.isinf(delay):
            return
        if delay:
            asyncio.get_running_loop().call_later(delay, transport.write, raw)
        else:
            transport.write(raw)


async def serve(world: Answering) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Transport(world), "127.0.0.1", 0, backlog=LISTEN)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


class Served:
    """A server, seen from the bench's own process; a context manager."""

    MODULE: ClassVar[str]

    def __enter__(self) -> Self:
        """Start it, and wait until it listens."""
        command = tied([sys.executable, "-m", self.MODULE])
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert self._process.stdout
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        self.pid = self._process.pid
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        stop_all([self._process], 5)

    def ask(self, path: str, settings: Mapping[str, float]) -> dict[str, Any]:
        """Make a control request, which is no call of the backend's API."""
        with urlopen(f"{self.url}/_bench/{path}?{urlencode(settings)}", timeout=120) as answer:  # noqa: S310 - our own
            found: dict[str, Any] = json.load(answer)
        return found


class Remote(Served):
    """The server of this file."""

    MODULE = "tests.bench.kit.remote"

    def base_url(self, place: str = "ess") -> str:
        """Return a place's `base_url`."""
        return f"{self.url}/{place}"

    def reset(self, place: str = "ess", **settings: float) -> None:
        """Forget a place's jobs and set how it behaves; settings that are not named return to their defaults."""
        self.ask(f"reset/{place}", settings)

    def set(self, place: str = "ess", **settings: float) -> None:
        """Change how a place behaves from now on."""
        self.ask(f"set/{place}", settings)

    def report(self, place: str = "ess") -> dict[str, Any]:
        """Return counts (`looks`, `lists`, `cancels`) and moments by job: `cancelled`, `stopped`, `shown` first."""
        return self.ask(f"report/{place}", {})


if __name__ == "__main__":
    asyncio.run(serve(World()))
