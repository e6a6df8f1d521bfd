"""The producer of the latency benchmark: real `send_task` calls at a steady rate, in a separate process.

A line `FIRST N RATE` on stdin requests N jobs from FIRST on at RATE per second; the answer says when each was sent
(just before `send_task`, on `time.monotonic()`), and the longest delay after a planned time.
"""

from __future__ import annotations

import json
import sys
import time

from celery import Celery

from tests.bench.kit.send import commands, send_each, sender


def send(app: Celery, first: int, n: int, rate: float) -> dict[str, object]:
    """Send at a steady rate."""
    sent: dict[str, float] = {}
    began, late = time.monotonic(), 0.0
    for at, order in enumerate(commands(range(first, first + n))):
        turn = began + at / rate
        time.sleep(max(0.0, turn - time.monotonic()))
        sent[order["job_id"]] = now = time.monotonic()
        late = max(late, now - turn)
        send_each(app, [order])
    return {"sent": sent, "late": late, "seconds": time.monotonic() - began}


def main(broker: str) -> None:
    """Send the requested commands, line by line."""
    with sender(broker) as app:
        app.connection_for_write().ensure_connection()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for line in sys.stdin:
            first, n, rate = line.split()
            sys.stdout.write(json.dumps(send(app, int(first), int(n), float(rate))) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
