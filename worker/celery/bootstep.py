"""The bootstep that runs the engine in every worker."""

from __future__ import annotations

import gc
from typing import Any

from celery import bootsteps
from celery.signals import celeryd_init, worker_shutdown

from ..observability.streams import complain
from ..runtime.process import runtime
from ..runtime.wiring import deployment_of
from ..settings.celery import celery_settings
from ..settings.environment import Settings
from ..settings.errors import ConfigurationError
from . import app
from .patches import apply
from .rabbitmq_bridge import CommandConsumer
from .worker_logs import USAGE, drain_logs


@celeryd_init.connect
def prepare(conf: Any, instance: Any, **_: Any) -> None:
    """Read the configuration before anything starts; if it has mistakes, the worker reports them and exits with 2.

    If events go to standard output, Celery's banner does not.
    """
    apply()
    try:
        settings = Settings.load().discovered()
        deployment = deployment_of(settings)
        instance.quiet |= any(sink.kind == "stdout" for sink in deployment.sinks.values())
        conf.update(celery_settings(settings))
        bridge, idle = f"{__package__}.rabbitmq_bridge", f"{__package__}.idle_consumer:IdleConsumer"
        others = idle if settings.redis_broker else f"{bridge}:LoneConsumer"
        conf.worker_consumer = f"{bridge}:CommandConsumer" if settings.amqp_broker else others
    except ConfigurationError as error:
        complain("canceller: the configuration has mistakes:", *error.problems)
        raise SystemExit(USAGE) from None


COLLECT_AFTER = 10_000, 20, 50
"""Thresholds of Python's cyclic garbage collector: passes leave few cycles; the defaults cost a tenth of the CPU."""


class EngineStep(bootsteps.StartStopStep):
    """Starts the engine with the worker; drains it when the worker stops."""

    def __init__(self, parent: Any, **options: Any) -> None:
        """Choose the queues that Celery itself consumes, whatever `-Q` says: the command queue, except from Redis."""
        settings = Settings.load().discovered()
        queues = parent.app.amqp.queues
        for queue in parent.app.conf.task_queues:
            queues.select_add(queue)
        if settings.redis_broker is not None:
            queues.deselect([settings.queue])
        super().__init__(parent, **options)

    def start(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Start to work on what is due."""
        gc.collect()
        gc.freeze()  # a collection of all that was imported would stop all passes for tens of milliseconds
        gc.set_threshold(*COLLECT_AFTER)
        try:
            runtime().start()
        except ConfigurationError as error:
            complain("canceller: the configuration has mistakes:", *error.problems)
            raise SystemExit(USAGE) from None

    def stop(self, parent: Any) -> None:
        """Take nothing new; give open calls 5 s to end."""
        runtime().stop()
        if isinstance(parent.consumer, CommandConsumer):
            parent.consumer.acknowledge()
        drain_logs()  # before Celery removes its pid file, the sign that the worker has ended


app.steps["worker"].add(EngineStep)


@worker_shutdown.connect
def close(**_: Any) -> None:
    """Close all connections once no task runs any more."""
    runtime().close()
