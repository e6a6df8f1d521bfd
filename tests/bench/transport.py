"""What one call costs: CPU of this process per `Http.send`: `python -m tests.bench.transport --rounds 9`.

  aiohttp         the default: our aiohttp wire on asyncio's loop
  aiohttp+uvloop  the same on uvloop's loop
  fast+asyncio    the Rust wire on asyncio's loop
  fast            what CANCELLER_TRANSPORT=fast gives: the Rust wire on uvloop's loop
  client          an `httpx.AsyncClient` over the aiohttp wire: what a call cost with httpx's own client in its way

What is fair. All make the same call as a look does, to the kit's remote in a process of its own, `--at-once` at a time,
over connections that are open when the clock starts. Counted is the CPU of this process alone, its Rust thread
included: on a busy machine it moves less than the rate. Runs go A B C A B C, ratios are taken within a round.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial

import httpx
import uvloop

from tests.bench.kit_remote import Remote
from tests.bench.kit_report import Run, chosen, interleaved, machine, over, parser, spread, table, write
from worker.backends.base import Reply, Request
from worker.backends.http import Http, Transport, wire_of
from worker.backends.oracle_ess_words import FIELDS, HEADERS, REQUESTS
from worker.backends.wire import Call, Wire

PATIENCE = 60.0


class Below(httpx.AsyncBaseTransport):
    """A wire below httpx's client."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Make a call by the wire."""
        call = Call(request.method, str(request.url), dict(request.headers), request.content)
        reply = await self._wire.exchange(call, 1_000_000, asyncio.get_running_loop().time() + PATIENCE)
        return httpx.Response(reply.status, headers=dict(reply.headers), content=reply.body)


class Client:
    """httpx's client as a wire, and a real one below it."""

    through = ""

    def __init__(self, wire: Wire) -> None:
        self._client = httpx.AsyncClient(transport=Below(wire), trust_env=False)

    async def exchange(self, call: Call, limit: int, deadline: float) -> Reply:  # noqa: ARG002 - the wire's are the same
        """Make a call by the client."""
        response = await self._client.request(call.method, call.url, headers=call.headers, content=call.content or None)
        return Reply(response.status_code, dict(response.headers), response.content)

    async def aclose(self) -> None:
        """Close it."""
        await self._client.aclose()


async def look(http: Http, job_id: int) -> None:
    """Make one call."""
    seen = await http.send(Request("GET", (*REQUESTS, str(job_id)), {"fields": FIELDS}, HEADERS))
    if not seen.data or seen.data["state"] != "RUNNING":
        raise RuntimeError(f"job {job_id}: {seen.status}, {seen.body!r}")


async def many(http: Http, n: int, at_once: int) -> None:
    """Make `n` calls."""
    jobs = iter(range(n))

    async def work() -> None:
        for job_id in jobs:
            await look(http, job_id)

    await asyncio.gather(*(work() for _ in range(at_once)))


async def measured(name: str, base_url: str, wire: Callable[[], Wire], n: int, at_once: int) -> Run:
    """Warm a subject up, and count."""
    http = Http(base_url, timeout=PATIENCE, wire=wire())
    try:
        await many(http, 2 * at_once, at_once)
        began, spent = time.monotonic(), time.process_time()
        await many(http, n, at_once)
        return Run(name, n, time.monotonic() - began, {"calls": time.process_time() - spent})
    finally:
        await http.aclose()


def subject(name: str, base_url: str, transport: Transport, n: int, at_once: int) -> Run:
    """Run one subject in a loop of its own."""
    wire: Callable[[], Wire] = partial(wire_of, transport)
    if name == "client":
        wire = lambda: Client(wire_of())  # noqa: E731
    run: Callable[[Awaitable[Run]], Run] = uvloop.run if name in {"fast", "aiohttp+uvloop"} else asyncio.run  # type: ignore[assignment]
    return run(measured(name, base_url, wire, n, at_once))


def main() -> None:
    """Measure and report."""
    options = parser("transport", __doc__, rounds=7, n=3000)
    options.add_argument("--at-once", type=int, default=64)
    given = options.parse_args()
    before = machine()
    kinds: dict[str, Transport] = {
        "aiohttp": "aiohttp",
        "aiohttp+uvloop": "aiohttp",
        "fast+asyncio": "fast",
        "fast": "fast",
        "client": "aiohttp",
    }
    with Remote() as remote:
        subjects = {
            name: partial(subject, name, remote.base_url(), kind, given.n, given.at_once)
            for name, kind in chosen(kinds, given.only).items()
        }
        rounds = interleaved(subjects, given.rounds)
    rows = []
    for name in subjects:
        micro = over(rounds, lambda one, name=name: one[name].each("calls") * 1000)
        less = over(
            rounds,
            lambda one, name=name: (
                one["aiohttp"].each("calls") / one[name].each("calls") if "aiohttp" in one else math.nan
            ),
        )
        rate = over(rounds, lambda one, name=name: one[name].rate)
        rows.append((name, spread(micro, ".0f"), spread(less), spread(rate, ".0f")))
    table("CPU of one call", ("", "microseconds", "times less than aiohttp", "per second"), rows)
    write(given.json, "transport", given, before, rounds=rounds)


if __name__ == "__main__":
    main()
