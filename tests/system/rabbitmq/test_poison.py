"""Every bad message in RabbitMQ's command queue is reported and kept, and stops nothing."""

from __future__ import annotations

import json
import zlib
from struct import pack
from typing import Any

import amqp
from system.rabbitmq.place import Place

GOOD = [[], {"backend": "ess", "job_id": "1"}, {}]


def message(body: object = None, headers: dict[str, Any] | None = None, **properties: Any) -> amqp.Message:
    """Return a message as Celery makes it, except for the given parts."""
    raw = body if isinstance(body, bytes) else json.dumps(GOOD if body is None else body).encode()
    kind = {"content_type": "application/json", "content_encoding": "utf-8", **properties}
    named = {"task": "worker.cancel", "id": f"id-{raw!r:.40}-{headers}-{sorted(properties)}"[:120]}
    return amqp.Message(raw, application_headers=named if headers is None else headers, **kind)


def nested(levels: int) -> dict[str, Any]:
    """Return a table in a table in a table."""
    table: dict[str, Any] = {}
    for _ in range(levels):
        table = {"a": table}
    return table


class Raw(amqp.Message):
    """A message whose headers are a table in a table 5,000 levels down, which py-amqp itself can't write."""

    def _serialize_properties(self) -> bytes:
        table = b""
        for _ in range(5000):
            table = b"\x01aF" + pack(">I", len(table)) + table
        return pack(">H", 1 << 13) + pack(">I", len(table)) + table


BOMB = zlib.compress(b"[" * (300 * 1024 * 1024), 9)
TASK = {"task": "worker.cancel", "id": "named"}
BAD = {
    "no JSON": message(b"\xff\xfe garbage"),
    "cut off": message(b'[[], {"backend": "ess"'),
    "null": message(b"null"),
    "a number": message(b"7"),
    "an empty list": message([]),
    "a string": message(b'"worker.cancel"'),
    "kwargs that are none": message([[], [], {}]),
    "positional arguments": message([["ess", "1"], {}, {}]),
    "nested too deep": message(b'[[], {"a": ' + b"[" * 5000 + b"]" * 5000 + b"}, {}]"),
    "a pickle": message(content_type="application/x-python-serialize", content_encoding="binary"),
    "a content type of its own": message(content_type="text/plain"),
    "no content type": amqp.Message(json.dumps(GOOD).encode(), application_headers=TASK),
    "an encoding that is none": message(b"\xff[]", content_encoding="utf-17"),
    "an unknown task": message(headers={"task": "worker.unheard_of", "id": "t"}),
    "a task of a strange kind": message(headers={"task": 7, "id": "n"}),
    "no headers at all": message(headers={}),
    "no id, and a mistake": message([[], {"backend": "nowhere", "job_id": 1}, {}], headers={"task": "worker.cancel"}),
    "an id that is none": message([[], {"backend": "ess", "job_id": ".."}, {}], headers={**TASK, "id": "x" * 1000}),
    "a compression that is none": message(headers={**TASK, "id": "c1", "compression": "application/x-gzip"}),
    "an unknown compression": message(headers={**TASK, "id": "c2", "compression": "application/x-secret"}),
    "a bomb": message(BOMB, headers={**TASK, "id": "c3", "compression": "application/x-gzip"}),
    "an unknown field": message([[], {"backend": "ess", "job_id": 1, "cancle": True}, {}]),
    "a table in the headers": message(b"7", headers={**TASK, "id": "h", "more": nested(100)}),
    "tables too deep for Python": Raw(b"7"),
}


def test_every_bad_message_is_told_and_kept_and_stops_nothing(place: Place) -> None:
    cell = place.cell
    for number in range(1, len(BAD) + 1):
        cell.simulator.add_job("ess", number, "finished")
    worker = cell.start_worker()
    worker.wait_for("ready.")
    for number, bad in enumerate(BAD.values(), 1):
        place.publish(bad)
        cell.send("cancel", backend="ess", job_id=number)
    place.finish(len(BAD))
    cell.wait_until(lambda: len(cell.of("rejected")) >= len(BAD))

    assert len(cell.of("rejected")) == cell.redis.xlen("{canceller}:dead") == len(BAD)
    assert all(event["data"]["error"] for event in cell.of("rejected"))
    assert worker.process.poll() is None
    assert {one["event"] for one in place.complaints()} == {"command.rejected"}
