"""Celery's settings as the environment gives them; Celery imports this when it first asks for one."""

from __future__ import annotations

import click

from ..observability.streams import shown
from ..settings.celery import celery_settings
from ..settings.environment import Settings
from ..settings.errors import ConfigurationError

try:
    SETTINGS = celery_settings(Settings.load().discovered())
except ConfigurationError as error:
    raise click.UsageError(shown(*error.problems)) from None
