"""What our tasks see of messages that Celery's own consumer takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kombu.message import Message

from worker.celery.tasks import ASKED, set_aside

TIMES = {"eta": "2026-11-22T12:00:00+00:00", "expires": None}
SHAPES: dict[str, tuple[Any, dict[str, Any]]] = {
    "protocol 2": ([[], {}, {}], {"task": "worker.cancel", "id": "m-1", **TIMES}),
    "protocol 1": ({"task": "worker.cancel", "id": "m-1", "args": [], "kwargs": {}, **TIMES}, {}),
}


@pytest.mark.parametrize(("content", "headers"), SHAPES.values(), ids=SHAPES.keys())
def test_a_messages_times_are_set_aside_once_also_if_it_is_redelivered(content: Any, headers: dict[str, Any]) -> None:
    message = Message(json.dumps(content), headers=headers, content_type="application/json", content_encoding="utf-8")
    set_aside(message)
    again = Message(message.body, headers=message.headers, content_type="application/json", content_encoding="utf-8")
    set_aside(again)

    for one in (message, again):
        assert one.headers[ASKED] == TIMES
        held = one.payload if isinstance(one.payload, dict) else one.headers
        assert not {"eta", "expires"} & held.keys()
