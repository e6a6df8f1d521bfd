"""The Celery app of our workers: what importing it must not need."""

from __future__ import annotations

import pickle

from worker.celery import app


def test_needs_no_environment_to_be_imported() -> None:
    assert app.main == "canceller"


def test_can_be_sent_to_a_process_that_is_spawned() -> None:
    assert b"canceller" in pickle.dumps(app)
