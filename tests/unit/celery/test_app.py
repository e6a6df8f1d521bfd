"""The Celery object of our workers: what importing it must not need."""

from __future__ import annotations

from worker.celery import app


def test_needs_no_environment_to_be_imported() -> None:
    assert app.main == "canceller"
