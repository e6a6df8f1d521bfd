"""The event stream for the benchmarks: counted without being read while the clock runs, and read afterwards."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, cast

import redis

from tests.bench.kit.cell import until
from tests.chaos.world import EVENTS, FINISHED

ACCEPTED = b"canceller.cancellation.accepted.v1"
PAGE = 5000
EVENTS_EACH = 3
"""Events of a cancellation that goes well: `accepted`, `cancel_sent`, `finished`."""


def count(client: redis.Redis, stream: str = EVENTS) -> int:
    """Return how many events the stream holds."""
    return client.xlen(stream)


def wait(client: redis.Redis, events: int, seconds: float, stream: str = EVENTS) -> None:
    """Wait until the stream holds so many events: an XLEN 50 times a second."""
    until(lambda: count(client, stream) >= events, seconds, f"{events} events")


def redis_time(client: redis.Redis) -> float:
    """Return Redis's clock, in seconds: the clock that the ids of the events come from."""
    seconds, micros = client.time()
    return seconds + micros / 1e6


def position(client: redis.Redis) -> str:
    """Return the id of the last event."""
    last = cast("list[Any]", client.xrevrange(EVENTS, count=1))
    return last[0][0].decode() if last else "0-0"


@dataclass
class Told:
    """What the events of a run say; times on Redis's clock, to the millisecond."""

    accepted: int = 0
    finished: int = 0
    last_accepted: float = 0.0
    last_finished: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    subjects: set[str] = field(default_factory=set)


def told(client: redis.Redis, after: str = "0-0") -> Told:
    """Read all events after a position."""
    found, at = Told(), after
    while entries := cast("list[Any]", client.xrange(EVENTS, f"({at}", count=PAGE)):
        for entry, fields in entries:
            _tell(found, int(entry.partition(b"-")[0]) / 1e3, fields[b"event"])
        at = entries[-1][0].decode()
    return found


def _tell(found: Told, at: float, raw: bytes) -> None:
    if ACCEPTED in raw:
        found.accepted += 1
        found.last_accepted = at
    elif FINISHED in raw:
        event = json.loads(raw)
        found.finished += 1
        found.last_finished = at
        found.outcomes[event["outcome"]] += 1
        found.subjects.add(event["subject"])


class Follower:
    """Reads the stream as a consumer does, in a thread, and notes when each `finished` reached it."""

    def __init__(self, url: str) -> None:
        self.finished: dict[str, float] = {}
        """When each job's `finished` arrived, on `time.monotonic()`."""
        self._client = redis.Redis.from_url(url, socket_timeout=30)
        self._at = position(self._client)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        self._thread.join(timeout=10)
        self._client.close()

    def _run(self) -> None:
        while not self._stopping:
            reply: Any = self._client.xread({EVENTS: self._at}, count=2000, block=200)
            now = time.monotonic()
            for _, entries in reply or []:
                for entry, fields in entries:
                    self._at = entry.decode()
                    if FINISHED in fields[b"event"]:
                        self.finished[json.loads(fields[b"event"])["subject"]] = now
