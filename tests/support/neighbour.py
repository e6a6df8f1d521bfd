"""Another application on the same broker: stock Celery, with Celery's defaults. It counts the runs of its tasks."""

from __future__ import annotations

import os
import threading

import redis
from celery import Celery

COUNTS = "neighbour:runs"
"""A hash from the name of a task to the number of its runs."""

app = Celery("neighbour", broker=os.environ.get("NEIGHBOUR_BROKER"), set_as_current=False)
app.conf.broker_connection_retry_on_startup = True


def run(name: str, seconds: float) -> None:
    """Count one run, and take some seconds."""
    with redis.Redis.from_url(os.environ["NEIGHBOUR_REDIS"]) as client:
        client.hincrby(COUNTS, name, 1)
    threading.Event().wait(seconds)


@app.task(name="report")
def report(name: str, seconds: float = 0.0) -> None:
    """Acknowledge the message before the task runs, as most tasks do."""
    run(name, seconds)


@app.task(name="late", acks_late=True)
def late(name: str, seconds: float) -> None:
    """Acknowledge the message only when the task has ended."""
    run(name, seconds)
