"""arq: the same shape as the Celery pattern, `Retry(defer=1)`, in one asyncio process with 100 jobs at once.

`arq_jobs.py worker` is the worker; `arq_jobs.py submit` enqueues `N` jobs from `FIRST` on, as read from stdin, and
waits for their events. Environment: BASE_URL, SOCKET (of Redis). Needs arq, httpx and httpx-aiohttp.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

import httpx
from arq import Retry, create_pool
from arq.connections import RedisSettings
from arq.worker import Worker
from httpx_aiohttp import AiohttpTransport

SETTINGS = RedisSettings(unix_socket_path=os.environ.get("SOCKET"))
EVENTS = "peer:events"


async def cancel(ctx: dict[str, Any], job_id: str) -> None:
    """Cancel a job; look again each second until it has stopped."""
    if ctx["job_try"] == 1:
        (await ctx["web"].post(f"/requests/{job_id}/cancel")).raise_for_status()
        raise Retry(defer=1)
    seen = await ctx["web"].get(f"/requests/{job_id}", params={"fields": "requestId,state"})
    if seen.json()["state"] != "CANCELLED":
        raise Retry(defer=1)
    await ctx["redis"].xadd(EVENTS, {"event": job_id})


async def start(ctx: dict[str, Any]) -> None:
    """Open the client."""
    base_url = os.environ["BASE_URL"] + "/ess/rest/scheduler/v1"
    ctx["web"] = httpx.AsyncClient(base_url=base_url, transport=AiohttpTransport(), timeout=10)
    say("ready")


async def submit() -> None:
    """Enqueue jobs and wait for their ends, line by line."""
    redis = await create_pool(SETTINGS)
    say("ready")
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        first, n = map(int, line.split())
        done = await redis.xlen(EVENTS) + n
        began = time.monotonic()
        for job_id in range(first, first + n):
            await redis.enqueue_job("cancel", str(job_id))
        while await redis.xlen(EVENTS) < done:  # noqa: ASYNC110 - Redis rings no bell
            await asyncio.sleep(0.02)
        say(json.dumps({"seconds": time.monotonic() - began}))


def say(line: str) -> None:
    """Write a line."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1] == "submit":
        asyncio.run(submit())
    else:
        asyncio.set_event_loop(asyncio.new_event_loop())
        Worker([cancel], redis_settings=SETTINGS, on_startup=start, max_jobs=100, max_tries=1000, keep_result=0).run()
