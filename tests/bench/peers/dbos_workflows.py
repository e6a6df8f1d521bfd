"""DBOS on SQLite: a durable workflow of cancel, sleep, look and event, each a step, on a queue without limits.

One process enqueues the workflows and, as its own executor, runs them: `N` from `FIRST` on, as read from stdin.
Environment: BASE_URL, DIRECTORY (for its database). Needs dbos, httpx and httpx-aiohttp.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

import httpx
from dbos import DBOS, DBOSConfig
from httpx_aiohttp import AiohttpTransport

QUEUE = "cancel"
DONE: list[str] = []

web = httpx.AsyncClient(
    base_url=os.environ["BASE_URL"] + "/ess/rest/scheduler/v1", transport=AiohttpTransport(), timeout=10
)


@DBOS.step()
async def ask(job_id: str) -> None:
    """Cancel a job."""
    (await web.post(f"/requests/{job_id}/cancel")).raise_for_status()


@DBOS.step()
async def look(job_id: str) -> str:
    """Return its state."""
    seen = await web.get(f"/requests/{job_id}", params={"fields": "requestId,state"})
    return str(seen.json()["state"])


@DBOS.step()
async def tell(job_id: str) -> None:
    """Report its end: an entry in a list is cheaper than any event, so this favours DBOS."""
    DONE.append(job_id)


@DBOS.workflow()
async def cancel(job_id: str) -> None:
    """Cancel a job; look again each second until it has stopped."""
    await ask(job_id)
    await DBOS.sleep_async(1)
    while await look(job_id) != "CANCELLED":
        await DBOS.sleep_async(1)
    await tell(job_id)


def say(line: str) -> None:
    """Write a line."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main() -> None:
    """Enqueue workflows and wait for their ends, line by line."""
    database = f"sqlite:///{os.environ['DIRECTORY']}/dbos.sqlite"
    config: DBOSConfig = {"name": "peer", "system_database_url": database, "log_level": "ERROR"}
    DBOS(config=config)
    DBOS.launch()
    await DBOS.register_queue_async(QUEUE)
    say("ready")
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        first, n = map(int, line.split())
        done = len(DONE) + n
        began = time.monotonic()
        for job_id in range(first, first + n):
            await DBOS.enqueue_workflow_async(QUEUE, cancel, str(job_id))
        while len(DONE) < done:  # noqa: ASYNC110 - as the others wait
            await asyncio.sleep(0.02)
        say(json.dumps({"seconds": time.monotonic() - began}))


if __name__ == "__main__":
    asyncio.run(main())
