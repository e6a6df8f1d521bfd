"""Sends commands for the benchmarks as a producer's Celery sends them.

One `send_task` costs about a millisecond of the producer's CPU, so on a small machine a producer that sends one
message per command would be the limit, and take a core from the worker. `prebuilt` therefore has Celery send all
messages before the clock starts, into a separate Redis, and reads back the bytes that kombu wrote there; `push` puts
exactly these bytes on the queue while the clock runs, as kombu does (LPUSH), 500 at a time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import redis
from celery import Celery

from tests.bench.kit.cell import QUEUE
from worker.local.embedded_redis import Embedded

CHUNK = 500
FIRST = 1_000_000
"""The first job id."""

One = TypeVar("One")


def chunks(many: Sequence[One], size: int = CHUNK) -> Iterator[Sequence[One]]:
    """Yield a sequence in pieces."""
    for at in range(0, len(many), size):
        yield many[at : at + size]


def commands(ids: Iterable[int], backend: str = "ess", **more: Any) -> list[dict[str, Any]]:
    """Return one cancel per job."""
    return [{"backend": backend, "job_id": str(job_id), "reason": "bench", **more} for job_id in ids]


def sender(broker: str) -> Celery:
    """Return a producer's Celery app, configured as in the guide."""
    return Celery(broker=broker, set_as_current=False)


def submit(app: Celery, orders: Sequence[dict[str, Any]], size: int = CHUNK) -> None:
    """Send commands in `worker.submit` messages."""
    for chunk in chunks(orders, size):
        app.send_task("worker.submit", kwargs={"commands": [{"verb": "cancel", **one} for one in chunk]}, queue=QUEUE)


def send_each(app: Celery, orders: Iterable[dict[str, Any]]) -> None:
    """Send commands in one `worker.cancel` message each."""
    for order in orders:
        app.send_task("worker.cancel", kwargs=order, queue=QUEUE)


def prebuilt(send: Callable[[Celery], None], queue: str = QUEUE) -> list[bytes]:
    """Return the messages that `send` sends, as kombu writes them, in the order in which they are sent."""
    with tempfile.TemporaryDirectory(prefix="canceller-bench-", dir="/tmp") as name, Embedded(Path(name)) as server:
        with sender(server.url.replace("unix://", "redis+socket://")) as app:
            send(app)
        client = redis.Redis.from_url(server.url)
        found: Any = client.lrange(queue, 0, -1)
        client.close()
    return list(reversed(found))


def push(client: redis.Redis, messages: Sequence[bytes], queue: str = QUEUE) -> None:
    """Put messages on a queue."""
    for chunk in chunks(messages):
        client.lpush(queue, *chunk)
