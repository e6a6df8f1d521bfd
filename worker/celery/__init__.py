"""All that Celery sees: its app (`celery -A worker`), the tasks, the bootstep, and the consumers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from celery import Celery
from celery.local import PromiseProxy

from ..observability.streams import shown
from ..settings.celery import celery_settings
from ..settings.environment import Settings
from ..settings.errors import ConfigurationError


def from_environment() -> Mapping[str, Any]:
    """Return Celery's settings."""
    try:
        return celery_settings(Settings.load().discovered())
    except ConfigurationError as error:
        raise click.UsageError(shown(*error.problems)) from None


app = Celery("canceller", include=[f"{__name__}.tasks", f"{__name__}.bootstep"])
app.config_from_object(PromiseProxy(from_environment))  # read when Celery first asks: an import needs no environment
