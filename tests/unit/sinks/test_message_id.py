"""The `webhook-id` of an event, which every receiver must read as it was signed."""

from __future__ import annotations

import pytest

from worker.sinks.webhook import message_id


@pytest.mark.parametrize(
    ("event_id", "sent"),
    [
        pytest.param("0198f-7", "0198f-7", id="of-a-cancellation"),
        pytest.param("april, 2026-1", "april, 2026-1", id="ascii"),
        pytest.param("märz-1", "m%C3%A4rz-1", id="not-ascii"),
        pytest.param(" b-1", "%20b-1", id="with-a-space-in-front"),
        pytest.param("b\n-1", "b%0A-1", id="with-a-line-break"),
    ],
)
def test_an_id_is_sent_as_a_header_carries_it(event_id: str, sent: str) -> None:
    assert message_id(event_id) == sent
