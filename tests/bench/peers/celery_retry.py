"""The usual pattern: a Celery task that cancels, waits by `self.retry(countdown=1)` and looks, with sync httpx.

It is better than a first draft: each process keeps one client, and the end is one event in a stream of the same
Redis.
`python -m celery -A tests.bench.peers.celery_retry worker -P prefork -c 2`
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import httpx
import redis
from celery import Celery

app = Celery("peer", broker=os.environ.get("BROKER"), set_as_current=False)
app.conf.update(task_default_queue="peer", task_acks_late=True, task_ignore_result=True, worker_prefetch_multiplier=4)


@cache
def web(_pid: int) -> httpx.Client:
    """Return this process's client."""
    return httpx.Client(base_url=os.environ["BASE_URL"] + "/ess/rest/scheduler/v1", timeout=10)


@cache
def store(_pid: int) -> redis.Redis:
    """Return this process's Redis."""
    return redis.Redis.from_url(os.environ["EVENTS_URL"])


@app.task(name="peer.cancel", bind=True, max_retries=None)  # type: ignore[untyped-decorator, unused-ignore]
def cancel(self: Any, job_id: str) -> None:
    """Cancel a job; look again each second until it has stopped."""
    client = web(os.getpid())
    if self.request.retries == 0:
        client.post(f"/requests/{job_id}/cancel").raise_for_status()
        raise self.retry(countdown=1)
    state = client.get(f"/requests/{job_id}", params={"fields": "requestId,state"}).json()["state"]
    if state != "CANCELLED":
        raise self.retry(countdown=1)
    store(os.getpid()).xadd("peer:events", {"event": job_id})
