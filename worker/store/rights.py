"""PURE: what Canceller does on Redis, as calls that change nothing, and the rights that this takes.

A worker uses Redis in three ways: scripts and commands under the prefix, the command queue, and Celery with the keys
and channels of kombu. Each of them may be forbidden by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ..settings.celery import celery_settings
from ..settings.environment import Settings
from .patterns import literal

Call = tuple[str, ...]

BINDINGS: Final = "_kombu.binding."
"""The prefix of the keys under which kombu notes its queues."""

_SCRATCH: Final[Mapping[str, Sequence[Call]]] = {
    "string": [("MSET", "1"), ("SET", "1"), ("GET",), ("MGET",), ("EXPIRE", "60"), ("EXISTS",)],
    "hash": [
        ("HSET", "f", "1"),
        ("HGET", "f"),
        ("HMGET", "f"),
        ("HGETALL",),
        ("HEXISTS", "f"),
        ("HINCRBY", "f", "1"),
        ("HINCRBYFLOAT", "f", "1"),
        ("HLEN",),
        ("HDEL", "g"),
    ],
    "set": [("SADD", "m"), ("SMEMBERS",), ("SREM", "n")],
    "zset": [
        ("ZADD", "1", "m"),
        ("ZCARD",),
        ("ZCOUNT", "-inf", "+inf"),
        ("ZRANGE", "0", "-1"),
        ("ZREVRANGE", "0", "-1"),
        ("ZRANGEBYSCORE", "-inf", "+inf"),
        ("ZSCORE", "m"),
        ("ZREM", "n"),
        ("ZREMRANGEBYSCORE", "-inf", "0"),
    ],
    "list": [("LPUSH", "x"), ("RPUSH", "z"), ("LLEN",), ("LRANGE", "0", "-1"), ("LREM", "1", "y")],
    "stream": [
        ("XADD", "*", "f", "v"),
        ("XRANGE", "-", "+"),
        ("XREVRANGE", "+", "-"),
        ("XTRIM", "MAXLEN", "1"),
        ("XDEL", "0-1"),
    ],
}
"""What scripts and clients do, each on a scratch key of its kind; the key comes after the command."""


def scratch_calls(base: str) -> Iterator[Call]:
    """Return all that is tried in a script, on keys that begin with `base`."""
    for kind, calls in _SCRATCH.items():
        key = f"{base}:{kind}"
        yield from ((command, key, *rest) for command, *rest in calls)
    yield ("LMOVE", f"{base}:list", f"{base}:list", "RIGHT", "LEFT")
    yield ("INFO", "server")
    yield ("TIME",)
    for kind in _SCRATCH:
        yield ("DEL", f"{base}:{kind}")


def store_calls(prefix: str, token: str) -> list[Call]:
    """Return what clients do under a prefix besides scripts; the stream that these calls make is deleted."""
    base = f"{{{prefix}}}"
    stream = f"{base}:check:{token}"
    return [
        ("XADD", stream, "MAXLEN", "1", "*", "f", "v"),
        ("XREAD", "COUNT", "1", "STREAMS", stream, "0-0"),
        ("XINFO", "GROUPS", stream),
        ("XDEL", stream, "0-1"),
        ("DEL", stream),
        ("HSCAN", f"{base}:open:{token}", "0"),
        ("XREVRANGE", f"{base}:events", "+", "-", "COUNT", "1"),
        ("INFO", "memory"),
        ("TIME",),
    ]


def queue_calls(queue: str, token: str) -> list[Call]:
    """Return what is done with the command queue; messages are only taken from a list that is always empty."""
    own = f"{queue}.taken:check-{token}"
    return [
        ("BLMOVE", own, own, "RIGHT", "LEFT", "0.01"),
        ("LLEN", queue),
        ("LREM", queue, "1", token),
    ]


def celery_calls(settings: Settings, token: str) -> list[Call]:
    """Return what Celery does through kombu, as calls without any effect."""
    names = CeleryNames(settings)
    reply = f"{token}.reply.{names.control}.pidbox"
    return [
        ("BRPOP", reply, "0.01"),
        ("SREM", f"{BINDINGS}{settings.queue}", token),
        ("ZREM", names.unacked_index, token),
        ("DEL", reply),
        ("LLEN", f"{names.event_queues}{token}"),
        ("SCRIPT", "EXISTS", token),
    ]


class CeleryNames:
    """The names that follow from Celery's settings; `channels` are patterns, to which it subscribes."""

    def __init__(self, settings: Settings) -> None:
        made: Mapping[str, Any] = celery_settings(settings)
        options: Mapping[str, Any] = made["broker_transport_options"]
        self.control = str(made.get("control_exchange", "celery"))
        self.unacked = str(options.get("unacked_key", "unacked"))
        self.unacked_index = str(options.get("unacked_index_key", "unacked_index"))
        db = settings.redis_broker.db if settings.redis_broker else 0
        events = made.get("event_exchange", "celeryev")
        self.event_queues = f"{made.get('event_queue_prefix', 'celeryev')}."
        self.channels = [f"/{db}.{self.control}.pidbox", f"/{db}.{events}/worker.*"]


def acl_line(settings: Settings) -> str:
    """Return the command that gives a user all rights that workers, clients and `check` need, and no others.

    Redis compares the pattern of a subscription with those of the user as text.
    """
    keys = [f"{{{literal(settings.prefix)}}}:*"]
    channels: list[str] = []
    if settings.redis_broker is not None:
        names = CeleryNames(settings)
        keys += [f"{literal(settings.queue)}*", f"{BINDINGS.rstrip('.')}*"]
        keys += [f"*.{literal(names.control)}.pidbox*", f"{literal(names.event_queues)}*"]
        keys += [] if names.unacked.startswith(f"{{{settings.prefix}}}:") else [f"{literal(names.unacked)}*"]
        channels = names.channels
    user = settings.redis.username if settings.redis else None
    who = f"ACL SETUSER {user}" if user else "ACL SETUSER canceller on >PASSWORD"
    shown = (*(f"~{key}" for key in keys), "resetchannels", *(f"&{channel}" for channel in channels))
    return " ".join((who, "resetkeys", *shown, COMMANDS))


COMMANDS: Final = (
    "+@read +@write +@blocking +@pubsub +@connection +@transaction +@scripting -@dangerous +time +info +config|get"
)
"""The commands in that line. Only the keys limit the user: it may do anything on a key that it may write."""
