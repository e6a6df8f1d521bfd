"""The Celery object: what it must outlive, and what importing it must not need."""

from __future__ import annotations

import pytest
from kombu.transport.redis import Channel
from redis.exceptions import ConnectionError as ConnectionLost

from worker.celery import app


def test_a_channel_that_was_closed_is_a_lost_connection() -> None:
    closed = Channel.__new__(Channel)
    closed.connection = None

    with pytest.raises(ConnectionLost, match="closed"):
        closed._connparams()


def test_needs_no_environment_to_be_imported() -> None:
    assert app.main == "canceller"
