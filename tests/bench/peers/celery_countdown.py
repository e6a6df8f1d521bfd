"""Waiting in Celery's way: a task asks for the cancel and schedules its look by `eta`; each look schedules the next.

`python -m celery -A tests.bench.peers.celery_countdown worker -P prefork -c 2`. The visibility timeout must be longer
than the longest wait, as Celery's documentation says; otherwise each waiting task is redelivered again and again.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache

import httpx
from celery import Celery

LONG = 6 * 3600

app = Celery("peer", broker=os.environ.get("BROKER"), set_as_current=False)
app.conf.update(
    task_default_queue="peer",
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=4,
    broker_transport_options={"visibility_timeout": 2 * LONG},
)


@cache
def web(_pid: int) -> httpx.Client:
    """Return this process's client."""
    return httpx.Client(base_url=os.environ["BASE_URL"] + "/ess/rest/scheduler/v1", timeout=10)


@app.task(name="peer.cancel")  # type: ignore[untyped-decorator, unused-ignore]
def cancel(job_id: str, due: float | None) -> None:
    """Cancel a job; look at `due`, or much later."""
    web(os.getpid()).post(f"/requests/{job_id}/cancel").raise_for_status()
    if due is None:
        look.apply_async((job_id,), countdown=LONG)
    else:
        look.apply_async((job_id,), eta=datetime.fromtimestamp(due, UTC))


@app.task(name="peer.look")  # type: ignore[untyped-decorator, unused-ignore]
def look(job_id: str) -> None:
    """Check whether it has stopped; if not, check again much later."""
    found = web(os.getpid()).get(f"/requests/{job_id}", params={"fields": "requestId,state"}).json()
    if found["state"] != "CANCELLED":
        look.apply_async((job_id,), countdown=LONG)
