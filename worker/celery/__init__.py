"""All that Celery sees: its app (`celery -A worker`), the tasks, the bootstep, and the consumers."""

from __future__ import annotations

from celery import Celery

app = Celery("canceller", include=[f"{__name__}.tasks", f"{__name__}.bootstep"])
app.config_from_object(f"{__name__}.environment:SETTINGS")  # by name: importing this module needs no environment
