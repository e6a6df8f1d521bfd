"""What `check` does with Redis: all that a worker does there, as calls that change nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import MovedError, NoPermissionError, RedisError, ResponseError

from ...domain.errors import StoreUnavailable
from ...runtime.wiring import store_of
from ...settings.backends_file.backends import BackendConfig
from ...settings.environment import Settings
from ...settings.redis_url import RedisTarget
from ...store.redis_client import connect_to
from ...store.retention import LETTERS, UNSIGNED
from ...store.rights import acl_line
from ...store.trial import try_broker, try_store
from .attendance import attendance
from .findings import Finding, redis_findings
from .redis_findings import (
    CLUSTER,
    MOST_OPEN,
    Letters,
    backend_findings,
    is_cluster,
    memory_finding,
    rights_finding,
)

PATIENCE = 10.0
"""Seconds that one server may take for all answers."""
Look = Callable[[Redis], Awaitable[list[Finding]]]
SAMPLES = 100
"""Entries that Redis measures to estimate the size of all dead letters."""


async def redis_look(settings: Settings, configs: Mapping[str, BackendConfig]) -> list[Finding]:
    """Look at the store, and at the broker if that is a Redis."""
    target, broker = settings.redis, settings.redis_broker
    assert target is not None  # noqa: S101 - `check` needs one
    found = await _looked_at("Redis", target, partial(_store, settings=settings))
    if any(finding.verdict == "wrong" and finding.what == "Redis" for finding in found):
        return found
    if broker not in {None, target}:
        found += await _looked_at("broker", broker, partial(_broker, settings=settings))
    return found + await _at_work(settings, configs)


async def _looked_at(what: str, target: RedisTarget, look: Look) -> list[Finding]:
    client = connect_to(target)
    try:
        async with asyncio.timeout(PATIENCE):
            return await look(client)
    except MovedError:
        return [Finding("wrong", what, CLUSTER)]
    except TimeoutError:
        return [
            Finding("wrong", what, f"it did not answer within {PATIENCE:g} s; check REDIS_URL, and that it is running")
        ]
    except (RedisError, OSError) as error:
        variable = "REDIS_URL" if what == "Redis" else "CELERY_BROKER_URL, or else REDIS_URL"
        told = str(error).rstrip(".") or type(error).__name__
        return [Finding("wrong", what, f"it can't be reached: {told}; check {variable}, and that it is running")]
    finally:
        await client.aclose()


async def _store(client: Redis, settings: Settings) -> list[Finding]:
    started = time.monotonic()
    info: Mapping[str, Any] | None = None
    fsync = None
    with suppress(NoPermissionError):
        await client.ping()
    seconds = time.monotonic() - started
    with suppress(ResponseError):  # what workers need of it is tried below
        info = await client.info()
    if info is not None and is_cluster(info):
        return [Finding("wrong", "Redis", CLUSTER)]
    with suppress(RedisError):  # managed servers often forbid CONFIG
        fsync = (await client.config_get("appendfsync")).get("appendfsync")
    found = [] if info is None else list(redis_findings(info, fsync, seconds))
    refused = dict(await try_store(client, settings.prefix))
    if settings.redis_broker == settings.redis:
        refused |= await try_broker(client, settings)
    found.append(rights_finding("Redis rights", refused, acl_line(settings)))
    if info is not None:
        found.append(memory_finding(info, await _letters(client, settings.prefix)))
    return found


async def _broker(client: Redis, settings: Settings) -> list[Finding]:
    return [rights_finding("broker rights", await try_broker(client, settings), acl_line(settings))]


async def _letters(client: Redis, prefix: str) -> Letters:
    sizes: list[int | None] = []
    counts = dict.fromkeys(LETTERS, 0)
    for stream in LETTERS:
        name, size = f"{{{prefix}}}:{stream}", None
        with suppress(ResponseError):
            counts[stream] = await client.xlen(name)
        with suppress(ResponseError):
            size = await client.memory_usage(name, samples=SAMPLES) or 0
        sizes.append(size)
    size = None if None in sizes else sum(filter(None, sizes))
    return Letters(sum(counts.values()), size, counts[UNSIGNED])


async def _at_work(settings: Settings, configs: Mapping[str, BackendConfig]) -> list[Finding]:
    """Count workers, waiting commands, and what is open on backends that the file, or the workers, do not know."""
    store = store_of(settings, configs)
    try:
        async with asyncio.timeout(PATIENCE):
            there = await attendance(settings)
            nameless = sorted(set(await store.backends()) - set(configs))
            counts = {name: len(await store.open_ids(name, MOST_OPEN)) for name in nameless}
    except (StoreUnavailable, TimeoutError):
        return []  # reported already
    finally:
        await store.aclose()
    workers = Finding("ok" if there.workers else "warning", "workers", str(there))
    unserved = [name for name in sorted(configs) if there.unserved(name)]
    return [workers, *backend_findings(unserved, counts, there.served)]
