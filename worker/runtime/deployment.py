"""The totals of a whole deployment, as its Redis and its broker show them."""

from __future__ import annotations

from msgspec.structs import replace
from redis.asyncio import Redis

from ..intake.waiting import waiting_commands
from ..settings.environment import Settings
from ..store.peers import Peers
from ..store.sinks import Sinks
from ..store.totals import Totals, TotalsReader


async def totals_of(settings: Settings, redis: Redis) -> Totals:
    """Count what is open, how far the sinks lag, and which commands wait: in the queue, or for a worker to serve them.

    Raises:
        StoreUnavailable: Redis can't be read.

    """
    totals = await TotalsReader(redis, settings.prefix).read()
    lags = await Sinks(redis, settings.prefix).lags()
    return replace(totals, sink_lags=lags, waiting=await waiting_of(settings, redis))


async def waiting_of(settings: Settings, redis: Redis) -> int | None:
    """Return how many commands nobody has taken in yet: in the queue, or for a worker that serves their backend.

    None if the broker can't say. Raises what `totals_of` raises.
    """
    left = await Peers(redis, settings.prefix).left()
    waiting = await waiting_commands(settings)
    return None if waiting is None else waiting + sum(left.values())
