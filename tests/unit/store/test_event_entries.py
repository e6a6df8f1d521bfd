"""What is read from an entry of the event stream."""

from __future__ import annotations

import pytest

from worker.store.event_entries import body


@pytest.mark.parametrize(
    ("fields", "event"),
    [
        pytest.param([b"event", b"{}"], b"{}", id="alone"),
        pytest.param([b"event", b"{}", b"trace", b"t"], b"{}", id="before-others"),
        pytest.param([b"trace", b"event", b"event", b"{}"], b"{}", id="after-others"),
        pytest.param([b"trace", b"t"], b"", id="missing"),
    ],
)
def test_the_event_of_an_entry_is_the_value_of_its_field(fields: list[bytes], event: bytes) -> None:
    assert body(fields) == event
