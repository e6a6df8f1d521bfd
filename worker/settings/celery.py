"""Celery's settings, derived from ours, with the reasons. Unless noted, the names are valid in Celery 5.6.3 and 5.7."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, unquote, urlencode

from kombu import Exchange, Queue
from redis.backoff import NoBackoff
from redis.retry import Retry

from .environment import AMQP_SCHEMES, Settings, scheme_of
from .errors import ConfigurationError
from .redis_url import REDIS_SCHEMES, RedisTarget, split_url

_REDIS_OPTIONS: Final[dict[str, object]] = {
    # No task runs long, so what a dead worker held may come back after seconds. The restore
    # cadence is kombu's from 5.7 on; 5.6 does not know it and sweeps every 100 s.
    "visibility_timeout": 15,
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
    # Without a timeout a publish waits forever on a dead peer; it must outlast BRPOP's 1 s.
    # `retry_on_timeout` stays unset: it switches kombu's batch publishing off.
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}

_FIXED: Final[dict[str, object]] = {
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    "task_serializer": "json",
    "result_serializer": "json",
    "event_serializer": "json",
    "enable_utc": True,
    "timezone": "UTC",
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    # A handler keeps every mistake itself, and without an ack the message of a failed task would be dropped all the
    # same. 5.6.3 knows neither name, ignores both, and always behaves like this.
    "task_acks_on_failure": True,
    "task_acks_on_timeout": True,
    "task_ignore_result": True,
    "result_backend": None,
    "task_create_missing_queues": True,
    "worker_pool": "threads",
    # These threads only serve a broker that is neither Redis nor RabbitMQ: each waits until what it took is stored.
    "worker_concurrency": 8,
    "worker_prefetch_multiplier": 4,
    "worker_disable_rate_limits": True,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "worker_send_task_events": False,
    "task_send_sent_event": False,
    # Threads cannot be terminated, and a repeated command is harmless.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "broker_connection_retry_on_startup": True,
    # Otherwise a full Redis, one that forgot a script, or a channel that RabbitMQ closed ends Celery's consumer.
    "broker_channel_error_retry": True,
    # However long Redis is away, the workers are there when it is back.
    "broker_connection_max_retries": None,
}


_QUORUM: Final[dict[str, object]] = {
    "task_default_queue_type": "quorum",
    "task_create_missing_queue_type": "quorum",
    # What a worker holds belongs to the receiver: Celery runs none of it, and must not count it.
    "worker_enable_prefetch_count_reduction": False,
    "worker_cancel_long_running_tasks_on_connection_loss": True,
}


def celery_settings(settings: Settings) -> dict[str, object]:
    """Return all of Celery's settings, for `app.conf.update(...)`.

    Args:
        settings: Where the broker is, and the names of prefix and queue.

    Raises:
        ConfigurationError: Neither `REDIS_URL` nor `CELERY_BROKER_URL` is set.

    """
    if settings.broker_url is None:
        raise ConfigurationError(
            ["REDIS_URL: is required and missing: set it, or start an embedded Redis with `canceller up`"]
        )
    url = settings.broker_url.get_secret_value()
    quorum = scheme_of(url) in AMQP_SCHEMES
    # kombu's own names for what its consumers hold are the same for all applications of a database, and any of them
    # that finds a message older than its own visibility timeout there sends it again.
    held = f"{{{settings.prefix}}}:broker:{settings.queue}"
    own_keys = {f"{name}_key": f"{held}:{name}" for name in ("unacked", "unacked_index", "unacked_mutex")}
    exchange = f"{settings.prefix}.{settings.queue}"
    return {
        **_FIXED,
        "broker_url": broker_url(url),
        # Celery itself prefers CELERY_BROKER_URL to `broker_url`, but kombu does not understand redis-py's URLs.
        "broker_read_url": broker_url(url),
        "broker_write_url": broker_url(url),
        "broker_transport_options": transport_options(url, own_keys),
        # Other applications on the broker broadcast under Celery's own names, e.g. a `celery control shutdown`.
        "worker_enable_remote_control": settings.remote_control,
        "control_exchange": exchange,
        "event_exchange": f"{exchange}.events",
        "task_default_queue": settings.queue,
        "task_queues": [
            # Declared exactly as a producer's Celery declares a queue that it only knows by name: RabbitMQ refuses to
            # declare a queue again with other arguments.
            Queue(
                settings.queue,
                Exchange(settings.queue),
                routing_key=settings.queue,
                queue_arguments={"x-queue-type": "quorum"} if quorum else None,
            )
        ],
        "task_routes": {"worker.*": {"queue": settings.queue}},
        **(_QUORUM if quorum else {}),
    }


def transport_options(url: str, own_keys: Mapping[str, object] = MappingProxyType({})) -> dict[str, object]:
    """Return kombu's options for a broker; `own_keys` name what our consumers keep in a Redis."""
    scheme = scheme_of(url)
    if scheme in AMQP_SCHEMES:
        return {"confirm_publish": True}
    if scheme == "redis+socket":
        return {**_REDIS_OPTIONS, **own_keys}
    if scheme not in REDIS_SCHEMES:
        return {}
    target = RedisTarget.parse(url)
    options = {**_REDIS_OPTIONS, **target.options, **own_keys}
    if target.kind == "sentinel":
        once = Retry(NoBackoff(), 0)
        options |= {"master_name": target.master, "sentinel_kwargs": {**target.sentinel_arguments(), "retry": once}}
    return options


def broker_url(url: str) -> str:
    """Translate redis-py's URL into kombu's: their schemes and queries differ."""
    if scheme_of(url) not in REDIS_SCHEMES:
        return url
    target = RedisTarget.parse(url)
    if target.kind == "sentinel":
        hosts = ((f"[{host}]" if ":" in host else host, port) for host, port in target.sentinels)
        rest = f"/{target.db}{_tls(target)}"
        return ";".join(f"sentinel://{_userinfo(target)}{host}:{port}{rest}" for host, port in hosts)
    parts = split_url(url)
    if parts.scheme == "unix":
        path = quote(unquote(parts.path))
        return f"redis+socket://{_userinfo(target)}{path}?virtual_host={target.db}"
    host = parts.netloc.rpartition("@")[2] or "localhost"
    return f"{parts.scheme}://{_userinfo(target)}{host}/{target.db}{_tls(target)}"


def _tls(target: RedisTarget) -> str:
    if not target.tls:
        return ""
    # kombu verifies nothing unless told to; redis-py verifies by default.
    return f"?{urlencode({'ssl_cert_reqs': 'required', **target.tls_options})}"


def _userinfo(target: RedisTarget) -> str:
    if target.username is None and target.password is None:
        return ""
    return f"{quote(target.username or '', safe='')}:{quote(target.password or '', safe='')}@"
