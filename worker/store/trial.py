"""Tries on a real Redis what a worker does there, and returns what is refused; it leaves nothing behind."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import MovedError, ResponseError

from ..settings.environment import Settings
from .redis_client import refusal
from .rights import BINDINGS, Call, CeleryNames, celery_calls, queue_calls, scratch_calls, store_calls
from .scripts import Script, source

ANSWER = 1.0
"""Seconds that a subscription may take to be confirmed."""

Refusals = Mapping[str, str]
"""What is refused, such as `BLMOVE commands.taken:...`, and Redis's error."""


async def try_store(redis: Redis, prefix: str) -> Refusals:
    """Try what a worker and its clients do under a prefix."""
    token = secrets.token_hex(6)
    refused = await _script(redis, f"{{{prefix}}}:check:{token}")
    return refused | await _tried(store_calls(prefix, token), redis.execute_command)


async def try_broker(redis: Redis, settings: Settings) -> Refusals:
    """Try what a worker does with the command queue of a Redis broker, and what Celery does there."""

    async def subscribe(_: str, channel: str) -> None:
        pubsub: Any = redis.pubsub()
        async with pubsub:
            await pubsub.psubscribe(channel)
            await pubsub.get_message(timeout=ANSWER)

    token = secrets.token_hex(6)
    refused = await _script(redis, f"{settings.queue}.taken:check-{token}")
    refused |= await _tried(queue_calls(settings.queue, token), redis.execute_command)
    refused |= await _script(redis, f"{BINDINGS}{token}")
    refused |= await _tried(celery_calls(settings, token), redis.execute_command)
    return refused | await _tried([("PSUBSCRIBE", channel) for channel in CeleryNames(settings).channels], subscribe)


def try_celery_now(redis: Any, settings: Settings) -> Refusals:
    """Try what Celery does, with Celery's own client, which is synchronous.

    Raises:
        RedisError: Redis can't be asked.

    """

    def subscribe(_: str, channel: str) -> None:
        with redis.pubsub() as pubsub:
            pubsub.psubscribe(channel)
            pubsub.get_message(timeout=ANSWER)

    token = secrets.token_hex(6)
    base = f"{BINDINGS}{token}"
    calls: list[tuple[Call, Any]] = [(call, redis.execute_command) for call in celery_calls(settings, token)]
    if settings.remote_control:
        calls += [(("PSUBSCRIBE", channel), subscribe) for channel in CeleryNames(settings).channels]
    try:
        refused = _in_script(redis.eval(source("probe"), 1, base, json.dumps(list(scratch_calls(base)))))
    except ResponseError as error:
        refused = _said(("EVAL", base), error)
    for call, made in calls:
        try:
            made(*call)
        except ResponseError as error:
            refused |= _said(call, error)
    return refused


async def _script(redis: Redis, base: str) -> dict[str, str]:
    """Run a script that tries every command of the others."""
    script = Script(redis, source("probe"))
    try:
        return _in_script(await script(keys=[base], args=[json.dumps(list(scratch_calls(base)))]))
    except ResponseError as error:
        return _said(("EVALSHA",), error)


def _in_script(reply: Any) -> dict[str, str]:
    """Read what `probe.lua` returns."""
    texts = [part.decode() for part in reply]
    return {f"{command} in a script": said for command, said in zip(texts[::2], texts[1::2], strict=True)}


async def _tried(calls: Sequence[Call], call: Callable[..., Awaitable[Any]]) -> dict[str, str]:
    """Make calls one by one.

    Raises:
        RedisError: Redis can't be asked.

    """
    refused: dict[str, str] = {}
    for one in calls:
        try:
            await call(*one)
        except ResponseError as error:
            refused |= _said(one, error)
    return refused


def _said(call: Call, error: ResponseError) -> dict[str, str]:
    """Name a call if it was refused; any other error does not matter here.

    Raises:
        MovedError: the server is a node of a cluster.

    """
    if isinstance(error, MovedError):
        raise error
    return {" ".join(call[:2]): str(error).partition(", with args")[0]} if refusal(error) else {}
