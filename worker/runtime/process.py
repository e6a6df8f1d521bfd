"""What one worker process runs: an event loop in a thread, and in it the store, intake and the engine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from ..aio.loop_thread import LoopThread
from ..aio.tasks import cancel_all
from ..engine.backend import Backend
from ..engine.engine import Engine
from ..intake.decoder import Item
from ..intake.feeder import Feeder
from ..intake.handler import Handler
from ..intake.rabbitmq_consumer import RabbitMQConsumer
from ..intake.redis_consumer import RedisConsumer
from ..settings.backends_file.load import Deployment
from ..settings.environment import Settings
from ..sinks.pump import Pump
from ..store.redis_client import connect_to
from ..store.store import Store
from .observers import observers_of
from .sink_wiring import sink_of
from .wiring import backend_of, deployment_of, intake_of, store_of

if TYPE_CHECKING:
    from ..observability.endpoint import Endpoint

log = structlog.get_logger(__name__)

STOP_LIMIT = 9.0
"""Seconds that a stop may take in all."""
FEEDER_LIMIT = 1.0
"""Seconds of that for the feeder's round under way; members not started by then are left to other workers."""
RUNTIMES: dict[int, Runtime] = {}
"""By process id: a forked child inherits its parent's but never uses it."""


class Runtime:
    """All that one worker process has; `rabbitmq` receives what a RabbitMQ delivers, and is idle with other brokers."""

    def __init__(self, settings: Settings, deployment: Deployment) -> None:
        self._settings = settings
        self._left_alone = deployment.left_alone
        admission = intake_of(deployment.backends, deployment.producers, deployment.sink_names)
        self._loop = LoopThread("canceller")
        self._observers = observers_of(deployment.backends.keys(), served=settings.http is not None)
        self._store, self._engine, self._backends, self._pumps = self._loop.call(self._build(deployment))
        observer = self._observers.every
        engine = self._engine
        self._handler = Handler(self._store, admission, engine.accept, engine.wake, engine.serving, observer)
        in_flight = {one.name: one.max_in_flight for one in self._backends}
        handover = self._handler.handover
        self._feeder = Feeder(self._store, admission, engine.worker, engine.wake, handover, in_flight, observer)
        self._handler.batches.wake = engine.feed = self._feeder.wake
        self._feeding: asyncio.Task[None] | None = None
        self.rabbitmq = RabbitMQConsumer(self._handler.handle, self._store.fullness)
        self._consumer: RedisConsumer | RabbitMQConsumer | None = None
        self._taking_over: asyncio.Task[None] | None = None
        self._endpoint: Endpoint | None = None
        self._not_ready = "it is starting"

    async def _build(self, deployment: Deployment) -> tuple[Store, Engine, list[Backend], list[Pump]]:
        configs, speed, observer = deployment.backends, self._settings.clock_speed, self._observers.every
        store = store_of(self._settings, configs, observer, deployment.sink_names)
        backends = {name: backend_of(name, config, speed, observer) for name, config in configs.items()}
        engine = Engine(store, backends, self._settings.slots)
        pumps = [
            Pump(sink_of(name, config), store.sinks, engine.worker, speed) for name, config in deployment.sinks.items()
        ]
        return store, engine, list(backends.values()), pumps

    def start(self) -> None:
        """Start to work on what is due, and to take in commands if the broker is a Redis or a RabbitMQ.

        Raises:
            ConfigurationError: the address in `CANCELLER_HTTP` can't be listened on.

        """
        for problem in self._left_alone:
            log.warning("backends_file.left_alone", problem=problem)

        async def start() -> None:
            await self._start_endpoint()
            await asyncio.gather(*(pump.start() for pump in self._pumps))
            await self._engine.start()
            self._taking_over = asyncio.create_task(self._handler.handover.run())
            self._feeding = asyncio.create_task(self._feeder.run())
            broker, queue = self._settings.redis_broker, self._settings.queue
            if broker is not None:
                redis, handle = connect_to(broker), self._handler.handle
                self._consumer = RedisConsumer(redis, queue, self._engine.worker, handle, self._store.fullness)
            elif self._settings.amqp_broker:
                self._consumer = self.rabbitmq
            if self._consumer is not None:
                await self._consumer.start()
            self._not_ready = ""

        self._loop.call(start())

    async def _start_endpoint(self) -> None:
        if self._settings.http is None or self._observers.metrics is None:
            return
        from .health import endpoint_of  # noqa: PLC0415 - a server that few workers need

        registry = self._observers.metrics.registry
        self._endpoint = endpoint_of(self._settings.http, self._store, registry, self._problem)
        await self._endpoint.start()

    def _problem(self) -> str:
        """Return why this worker takes no commands in; empty if it does."""
        return self._not_ready or (self._consumer.problem if self._consumer is not None else "")

    def do(self, items: Sequence[Item]) -> None:
        """Do what messages ask for; all of it is stored when this returns.

        Raises:
            StoreUnavailable: Redis did not take it in time; doing it again is harmless.

        """
        self._loop.call(self._handler.handle(items))

    def stop(self, grace: float = 5.0) -> None:
        """Take in and claim nothing new; give open calls `grace` seconds to end."""

        async def stop() -> None:
            self._not_ready = "it is stopping"
            if self._consumer is not None:
                await self._consumer.stop()
            if self._taking_over is not None:
                await cancel_all({self._taking_over})
            if self._feeding is not None:
                self._feeder.stop()
                await asyncio.wait({self._feeding}, timeout=FEEDER_LIMIT)
                await cancel_all({self._feeding})
            await asyncio.gather(self._engine.stop(grace), *(pump.stop(grace) for pump in self._pumps))

        with suppress(TimeoutError):
            self._loop.call(stop(), STOP_LIMIT)

    def close(self) -> None:
        """Close all connections and end the loop."""

        async def close() -> None:
            if self._endpoint is not None:
                await self._endpoint.stop()
            await asyncio.gather(*(backend.connections.aclose() for backend in self._backends))
            await self._store.aclose()

        self._loop.call(close())
        self._loop.close()


def runtime() -> Runtime:
    """Return this process's runtime; it is built when first asked for, also in a forked child."""
    pid = os.getpid()
    if pid not in RUNTIMES:
        settings = Settings.load().discovered()
        RUNTIMES[pid] = Runtime(settings, deployment_of(settings))
    return RUNTIMES[pid]
