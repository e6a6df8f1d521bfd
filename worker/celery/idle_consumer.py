"""Celery's consumer if the broker is a Redis: it takes no messages, and serves remote control once Redis allows it.

Commands are taken by `intake/redis_consumer.py`. If Redis refuses a call, Celery itself would retry it several times a
second, with a traceback each time, or end.
"""

from __future__ import annotations

import time
from math import inf
from typing import Any

import structlog
from celery.worker.state import maybe_shutdown
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError, ResponseError

from ..domain.errors import StoreRefused
from ..observability.outage import Seldom
from ..settings.environment import Settings
from ..store.redis_client import refusal
from ..store.trial import try_celery_now
from .rabbitmq_bridge import LoneConsumer

log = structlog.get_logger(__name__)

RECHECK = 5.0
"""The fewest seconds between two connections: Celery logs many lines about each lost one."""


class IdleConsumer(LoneConsumer):
    """Connects, and waits for the rights that remote control needs if it is switched on."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._logged = Seldom()
        self._connected_at = -inf

    def connect(self) -> Any:
        """Connect, and wait until Redis refuses no call of Celery's; commands are worked on meanwhile."""
        while True:
            while time.monotonic() < self._connected_at + RECHECK:
                maybe_shutdown()
                time.sleep(RECHECK / 20)
            self._connected_at = time.monotonic()
            connection, refused = self._try_to_connect()
            if not refused:
                return connection
            if self._logged.due():
                log.warning("celery.refused", error=refused, hint=StoreRefused.hint)

    def _try_to_connect(self) -> tuple[Any, str]:
        """Return the connection, and which calls Redis refuses."""
        try:
            connection: Any = super().connect()
        except (ResponseError, OperationalError) as error:
            words = refusal(error) or (refusal(error.__cause__) if isinstance(error.__cause__, Exception) else "")
            if not words:
                raise
            return None, words
        settings = Settings.load().discovered()
        if not settings.remote_control:
            return connection, ""
        try:
            refused = try_celery_now(connection.default_channel.client, settings)
        except RedisError:
            return connection, ""  # Celery notices by itself and waits until Redis is back
        if refused:
            connection.collect()
        return connection, ", ".join(f"{call}: {words}" for call, words in sorted(refused.items()))
