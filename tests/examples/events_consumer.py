"""Read the events with the CloudEvents SDK and continue where the last run stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.formats.json import JSONFormat
from redis import Redis

STREAM = "{canceller}:events"  # the braces are part of the key
POSITION = "billing:position"


def consume(redis: Redis, handle: Callable[[BaseCloudEvent], None], block: int = 5000) -> None:
    """Handle events until none comes for `block` milliseconds.

    The position is stored after an event is handled: after a crash the last event may come again, with the same id.
    """
    position: Any = redis.get(POSITION) or "0-0"
    while found := entries(redis, position, block):
        for position, fields in found:
            handle(JSONFormat().read(None, fields[b"event"]))
            redis.set(POSITION, position)


def entries(redis: Redis, position: str, block: int) -> list[tuple[str, dict[bytes, bytes]]]:
    """Return the stream's next entries, each with its position; none if none comes in time."""
    answer: Any = redis.xread({STREAM: position}, count=100, block=block)
    return answer[0][1] if answer else []


def report(event: BaseCloudEvent) -> None:
    """Print how a cancellation ended."""
    if event.get_type() == "canceller.cancellation.finished.v1":
        print(event.get_extension("backend"), event.get_subject(), event.get_extension("outcome"))


if __name__ == "__main__":
    while True:
        consume(Redis.from_url("redis://localhost:6379/0"), report)
