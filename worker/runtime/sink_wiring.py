"""Builds sinks from the backends file."""

from __future__ import annotations

from ..settings.backends_file.sinks import CelerySink, Sink, StdoutSink, WebhookSink
from ..settings.secret import Secret
from ..sinks.celery_task import CeleryTask
from ..sinks.event import Filter
from ..sinks.receiver import Receiver
from ..sinks.service import Sink as Delivered
from ..sinks.stdout import StandardOutput
from ..sinks.tries import Limits
from ..sinks.webhook import Webhook
from .wiring import own_tls, proxy_of


def receiver_of(config: Sink) -> Receiver:
    """Return where a sink's events go; its secrets are read here. Call this in the event loop that will use it."""
    match config:
        case WebhookSink():
            return Webhook(
                config.url,
                [secret.read() for secret in config.secrets],
                timeout=config.timeout,
                max_in_flight=config.max_in_flight,
                tls=own_tls(config),
                proxy=proxy_of(config, config.url),
            )
        case CelerySink():
            return CeleryTask(Secret("env", config.broker_url_env).read(), config.queue, config.task)
        case StdoutSink():
            return StandardOutput()


def sink_of(name: str, config: Sink) -> Delivered:
    """Return one sink, ready for use."""
    return Delivered(
        name,
        config.kind,
        Filter(name, config.types, config.backends, config.outcomes),
        Limits(config.max_tries, config.believe_after, config.keep_at_most),
        receiver_of(config),
    )
