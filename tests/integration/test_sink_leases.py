"""A worker's lease of a sink: what the worker must not do once it may have lost it, and what it leaves behind."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio import Redis
from support.webhooks import Slow, body, found, pumping, receiving, sink

from worker.sinks.clock import Clock
from worker.sinks.ledger import Entry
from worker.sinks.pump import Pump
from worker.sinks.service import LIFE, LeaseLost, Service
from worker.sinks.webhook import Webhook
from worker.store.store import Store


async def test_a_worker_that_can_not_read_what_is_owed_leaves_it_owed(store: Store, redis: Redis) -> None:
    await store.sinks.claim("s", "w0", 0.0, "webhook", 60)
    await redis.hset("{canceller}:sink:s", mapping={"oldest": "5-0", "position": "7-0"})  # type: ignore[misc]
    await redis.hset("{canceller}:owed:s", "5-0", "of a newer version")  # type: ignore[misc]

    async def claimed_again() -> bool:
        return int(await redis.hget("{canceller}:sink:s", "epoch") or 0) >= 3  # type: ignore[misc]

    async with receiving() as receiver, pumping(store, receiver):
        await found(claimed_again)

    assert await redis.hget("{canceller}:sink:s", "oldest") == b"5-0"  # type: ignore[misc]


async def test_a_worker_that_stops_while_it_claims_a_sink_gives_it_back(store: Store) -> None:
    async with receiving() as receiver, asyncio.timeout(60):
        slow = Slow(store.sinks)
        pump = Pump(sink(Webhook(receiver.url, [receiver.secret])), slow, "w1")  # type: ignore[arg-type,list-item]
        pump._task = asyncio.create_task(pump._run())
        await slow.asked.wait()
        stopped = asyncio.create_task(pump.stop(60))
        await asyncio.sleep(0)
        slow.goes_on.set()
        await stopped

    (state,) = await store.sinks.states()
    assert state.worker == ""


async def test_a_worker_that_stood_still_longer_than_its_lease_delivers_nothing(store: Store) -> None:
    async with receiving() as receiver:
        one = sink(Webhook(receiver.url, [receiver.secret]))  # type: ignore[list-item]
        now, lease = await store.sinks.claim("s", "w1", LIFE, "webhook", 60)
        assert lease is not None
        service = Service(one, store.sinks, lease, Clock(now.timestamp() * 1000, time.monotonic() - LIFE - 1))
        with pytest.raises(LeaseLost):
            await service._deliver([Entry("1-0", "c", "c-1", body("c", 1))])
        await one.receiver.aclose()

    assert receiver.tries == []
