"""The bootstep that runs the engine in every worker: no worker leads, and each looks for what is due by itself."""

from __future__ import annotations

import gc
from typing import Any

from celery import bootsteps
from celery.signals import celeryd_init, worker_shutdown

from ..observability.streams import complain
from ..runtime.process import runtime
from ..runtime.wiring import backends_of
from ..settings.celery import celery_settings
from ..settings.environment import Settings
from ..settings.errors import ConfigurationError
from . import app
from .patches import apply
from .rabbitmq_bridge import CommandConsumer
from .worker_logs import USAGE, drain_logs


def consumer_of(settings: Settings) -> str:
    """Return which consumer Celery is to run: the queue's own on RabbitMQ, one that takes nothing on Redis."""
    if settings.amqp_broker:
        return f"{__package__}.rabbitmq_bridge:CommandConsumer"
    return (
        f"{__package__}.idle_consumer:IdleConsumer"
        if settings.redis_broker
        else f"{__package__}.rabbitmq_bridge:LoneConsumer"
    )


@celeryd_init.connect
def prepare(conf: Any, **_: Any) -> None:
    """Read the backends before anything starts: a worker without them says so and exits 2."""
    apply()
    try:
        settings = Settings.load().discovered()
        backends_of(settings)
        conf.update(celery_settings(settings))
        conf.worker_consumer = consumer_of(settings)
    except ConfigurationError as error:
        complain("canceller: the configuration has mistakes:", *error.problems)
        raise SystemExit(2) from None
        raise SystemExit(USAGE) from None


COLLECT_AFTER = 10_000, 20, 50
"""Python's thresholds for collecting cycles, of which passes leave few: the stock ones take a tenth of the CPU."""


def spare_the_collector() -> None:
    """Leave all that was imported out of every collection, which would stop all passes for tens of milliseconds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


class EngineStep(bootsteps.StartStopStep):
    """Starts the engine with the worker; drains it when the worker stops."""

    def __init__(self, parent: Any, **options: Any) -> None:
        """Choose the queues that Celery itself consumes, whatever `-Q` says: commands, but not from Redis."""
        settings = Settings.load().discovered()
        queues = parent.app.amqp.queues
        for queue in parent.app.conf.task_queues:
            queues.select_add(queue)
        if settings.redis_broker is not None:
            queues.deselect([settings.queue])
        super().__init__(parent, **options)

    def start(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Start working on what is due."""
        spare_the_collector()
        runtime().start()

    def stop(self, parent: Any) -> None:
        """Take nothing new, let open calls end for 5 s."""
        runtime().stop()
        if isinstance(parent.consumer, CommandConsumer):
            parent.consumer.acknowledge()
        drain_logs()  # before Celery removes its pid file, which tells that all is over


app.steps["worker"].add(EngineStep)


@worker_shutdown.connect
def close(**_: Any) -> None:
    """Close what is open once no task runs any more."""
    runtime().close()
