"""All that Celery sees: its app (`celery -A worker`), the tasks, the bootstep, and the consumers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import click
from celery import Celery

from ..observability.streams import shown
from ..settings.celery import celery_settings
from ..settings.environment import Settings
from ..settings.errors import ConfigurationError


class FromEnvironment(Mapping[str, Any]):
    """Celery's settings, read when Celery first asks for one, so that importing this module needs no environment."""

    @cached_property
    def _values(self) -> Mapping[str, Any]:
        try:
            return celery_settings(Settings.load().discovered())
        except ConfigurationError as error:
            raise click.UsageError(shown(*error.problems)) from None

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


app = Celery("canceller", include=[f"{__name__}.tasks", f"{__name__}.bootstep"])
app.config_from_object(FromEnvironment())
