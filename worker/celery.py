"""The Celery object, `celery -A worker`. Its settings come from `config`, when they are first needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import click
from celery import Celery
from kombu.transport.redis import Channel
from redis.exceptions import ConnectionError as ConnectionLost

from config.celeryconfig import celery_settings
from config.errors import ConfigurationError
from config.settings import Settings


class FromEnvironment(Mapping[str, Any]):
    """Celery's settings, read when Celery first asks for one: importing this module needs no environment."""

    @cached_property
    def _values(self) -> Mapping[str, Any]:
        try:
            return celery_settings(Settings.load().discovered())
        except ConfigurationError as error:
            raise click.UsageError(str(error)) from None

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


app = Celery("canceller", include=["worker.tasks", "worker.timer"])
app.config_from_object(FromEnvironment())


def producer(settings: Settings) -> Celery:
    """Return a Celery object that only sends.

    Raises:
        ConfigurationError: there is no broker to send to.

    """
    sender = Celery("canceller-producer", set_as_current=False)
    sender.conf.update(celery_settings(settings))
    return sender


PRIVATE = "_connparams"
"""kombu has no public place for what `survive_a_lost_broker` needs."""


def survive_a_lost_broker() -> None:
    """Let a worker outlive its broker: kombu 5.7 asks a channel that was closed under it for its settings.

    The AttributeError that this raises while messages are given back ends the worker; a lost connection, which it
    is, would be waited out.
    """
    stock = getattr(Channel, PRIVATE)

    def connection_parameters(self: Any, *args: Any, **options: Any) -> Any:
        if self.connection is None or self.connection.client is None:
            raise ConnectionLost("the connection to the broker is closed")
        return stock(self, *args, **options)

    setattr(Channel, PRIVATE, connection_parameters)


survive_a_lost_broker()
