"""Opens Redis as the settings name it, and translates its errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import MovedError, NoPermissionError, RedisError, ResponseError

from ..domain.errors import StoreRefused, StoreUnavailable
from ..settings.environment import Settings
from ..settings.errors import ConfigurationError
from ..settings.redis_url import RedisTarget
from .sentinels import Pool, Sentinels

SOCKET_TIMEOUT = 20.0
CONNECT_TIMEOUT = 5.0
REFUSES = re.compile(
    r"ACL failure in script|user executing the script can't|^unknown (sub)?command|[Uu]nknown (Redis )?command called"
)
"""What Redis says, besides NOPERM, if a script's user lacks a right or a command was removed."""
TRANSIENT = re.compile(
    r"(?:Error running script .*: -)?"
    r"(?:OOM|LOADING|READONLY|MASTERDOWN|BUSY|MISCONF|NOREPLICAS|CLUSTERDOWN|TRYAGAIN)",
    re.DOTALL,
)
"""How transient errors begin, in scripts on Redis 6.2 after a prefix; redis-py does not have a class for each."""


def connect(settings: Settings) -> Redis:
    """Return a client that never retries by itself: after an unanswered script the records are read first.

    Raises:
        ConfigurationError: there is no Redis to connect to.

    """
    if settings.redis is None:
        raise ConfigurationError([NO_REDIS])
    return connect_to(settings.redis)


def connect_to(target: RedisTarget) -> Redis:
    """Return a client of one Redis."""
    options: dict[str, Any] = {
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "health_check_interval": 15,
        **target.options,
        **(target.tls_options if target.tls else {}),
        "retry": Retry(NoBackoff(), 0),
        "db": target.db,
        "username": target.username,
        "password": target.password,
    }
    if target.kind == "sentinel":
        return _by_sentinels(target, options)
    if "max_connections" in options:  # with a limit, calls wait for a free connection instead of failing
        return Redis.from_pool(BlockingConnectionPool.from_url(target.address, **options))
    return Redis.from_url(target.address, **options)


def _by_sentinels(target: RedisTarget, options: Mapping[str, Any]) -> Redis:
    sentinels = Sentinels(  # type: ignore[no-untyped-call]  # redis-py leaves it without types
        target.sentinels,
        sentinel_kwargs={**target.sentinel_arguments(), "retry": options["retry"]},
        ssl=target.tls,
        **options,
    )
    master: Redis = sentinels.master_for(target.master or "", connection_pool_class=Pool)
    return master


NO_REDIS = (
    "REDIS_URL: is not set and `canceller up` runs no embedded server: set it, or start `canceller up`, or type the "
    "export line that `canceller dev` prints"
)


@contextmanager
def translated() -> Iterator[None]:
    """Raise Redis's errors as this project's; their texts hold no secret.

    A ResponseError that blames the script or command itself is raised as it is: it would fail again.
    """
    try:
        yield
    except (RedisError, OSError) as error:
        refused = refusal(error)
        if type(error) is ResponseError and not refused and not TRANSIENT.match(str(error)):
            raise
        raise unavailable(error) from error


def unavailable(error: Exception) -> StoreUnavailable:
    """Return this project's error for an error of Redis or of the connection to it."""
    if isinstance(error, StoreUnavailable):
        return error
    refused = refusal(error)
    return StoreRefused(refused) if refused else StoreUnavailable(f"Redis: {type(error).__name__}: {error}")


def refusal(error: Exception) -> str:
    """Return what Redis refuses permanently, empty for any other error."""
    if isinstance(error, MovedError):
        return "Redis is a node of a cluster, which is not supported: use a server that is not in one"
    text = str(error).partition(", with args")[0]  # which holds what was sent
    if isinstance(error, NoPermissionError) or (isinstance(error, ResponseError) and REFUSES.search(text)):
        return f"Redis refuses what workers need: {text}"
    return ""
