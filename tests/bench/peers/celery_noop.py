"""A no-op task on stock Celery: it notes when it runs, and reports the time afterwards.

`python -m celery -A tests.bench.peers.celery_noop worker -P prefork -c 2 -Q noop`
"""

from __future__ import annotations

import os
import time
from functools import cache

import redis
from celery import Celery

app = Celery("peer", broker=os.environ.get("BROKER"), set_as_current=False)
app.conf.update(task_ignore_result=True)


@cache
def store(_pid: int) -> redis.Redis:
    """Return this process's Redis."""
    return redis.Redis.from_url(os.environ["EVENTS_URL"])


@app.task(name="peer.noop")  # type: ignore[untyped-decorator, unused-ignore]
def noop(reply_to: str) -> None:
    """Note the time; nothing after that is measured."""
    now = time.monotonic()
    store(os.getpid()).rpush(reply_to, now)
