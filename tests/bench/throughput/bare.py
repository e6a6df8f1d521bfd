"""The bare loop: the same two calls per job with our own HTTP client, as many at once, with nothing stored.

It does the minimum of a cancellation: POST cancel, GET the request, see CANCELLED. Each line `FIRST N` on
stdin requests N jobs.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator

import httpx

from worker.backends.adapter import Reply, Request
from worker.backends.oracle_ess_words import FIELDS, HEADERS, REQUESTS
from worker.http.client import Http
from worker.http.transport import Call
from worker.http.transport_aiohttp import AiohttpTransport


class Below(httpx.AsyncBaseTransport):
    """Our wire as a transport below httpx's client."""

    def __init__(self) -> None:
        self._wire = AiohttpTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Make a call through the wire."""
        call = Call(request.method, str(request.url), dict(request.headers), request.content)
        reply = await self._wire.exchange(call, 1_000_000)
        return httpx.Response(reply.status, headers=dict(reply.headers), content=reply.body)

    async def aclose(self) -> None:
        """Close the wire."""
        await self._wire.aclose()


class Client:
    """httpx's client as a wire, with ours below it."""

    through = to_proxy = ""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(transport=Below(), trust_env=False)

    async def exchange(self, call: Call, limit: int) -> Reply:  # noqa: ARG002 - the wire's is the same
        """Make a call through the client."""
        response = await self._client.request(call.method, call.url, headers=call.headers, content=call.content or None)
        return Reply(response.status_code, dict(response.headers), response.content)

    async def aclose(self) -> None:
        """Close it."""
        await self._client.aclose()


async def cancel(http: Http, job_id: str) -> None:
    """Cancel one job and check that it has stopped."""
    asked = await http.send(Request("POST", (*REQUESTS, job_id, "cancel"), headers=HEADERS))
    seen = await http.send(Request("GET", (*REQUESTS, job_id), {"fields": FIELDS}, HEADERS))
    if not asked.ok or not seen.data or seen.data["state"] != "CANCELLED":
        raise RuntimeError(f"job {job_id}: {asked.status}, {seen.body!r}")


async def work(http: Http, jobs: Iterator[int]) -> None:
    """Take one job after the other."""
    for job_id in jobs:
        await cancel(http, str(job_id))


async def main(base_url: str, at_once: int, client: str) -> None:
    """Do the requested work, line by line, with our own client or with httpx's."""
    http = Http(base_url, wire=Client() if client == "httpx" else AiohttpTransport())
    loop = asyncio.get_running_loop()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        first, n = map(int, line.split())
        jobs = iter(range(first, first + n))
        began = time.monotonic()
        await asyncio.gather(*(work(http, jobs) for _ in range(at_once)))
        sys.stdout.write(json.dumps({"seconds": time.monotonic() - began}) + "\n")
        sys.stdout.flush()
    await http.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
