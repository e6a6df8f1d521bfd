"""The bare loop: the same two calls per job with our own HTTP client, as many at once, and nothing that would be kept.

It does the least that still is a cancellation: POST cancel, GET the request, see CANCELLED. Lines `FIRST N` on stdin
are jobs.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import uvloop

from tests.bench.transport import Client
from worker.backends.base import Request
from worker.backends.http import Http, wire_of
from worker.backends.oracle_ess_words import FIELDS, HEADERS, REQUESTS


async def cancel(http: Http, job_id: str) -> None:
    """Cancel one job and look whether it has stopped."""
    asked = await http.send(Request("POST", (*REQUESTS, job_id, "cancel"), headers=HEADERS))
    seen = await http.send(Request("GET", (*REQUESTS, job_id), {"fields": FIELDS}, HEADERS))
    if not asked.ok or not seen.data or seen.data["state"] != "CANCELLED":
        raise RuntimeError(f"job {job_id}: {asked.status}, {seen.body!r}")


async def work(http: Http, jobs: Iterator[int]) -> None:
    """Take one job after the other."""
    for job_id in jobs:
        await cancel(http, str(job_id))


async def main(base_url: str, at_once: int, client: str) -> None:
    """Do what is asked for, line by line, with our client over aiohttp or the fast wire, or with httpx's."""
    http = Http(
        base_url, wire=Client(wire_of()) if client == "httpx" else wire_of("fast" if client == "fast" else "aiohttp")
    )
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
    run: Callable[[Coroutine[Any, Any, None]], None] = uvloop.run if sys.argv[3] == "fast" else asyncio.run
    run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
