"""Waiting for many ends at once: what is yielded, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
from redis.asyncio import Redis
from support.commands import FINISHED, INTAKE, claim, command, commit

from worker.client.ends import End, Ends, Rejected, Result
from worker.domain.errors import StoreUnavailable, UnknownCancellation
from worker.store.codec import Snapshot
from worker.store.message_notes import MessageNotes
from worker.store.store import Store
from worker.store.transitions import Rejection

LONG = 30.0
Seen = AsyncGenerator[tuple[str, Snapshot | End | None], None]


@pytest.fixture
async def ends(store: Store, redis: Redis) -> AsyncIterator[Ends]:
    one = Ends(store, MessageNotes(redis, "canceller"))
    yield one
    await one.watch.aclose()


def wait_many(ends: Ends, *references: str, patience: float = LONG) -> Seen:
    def outage(error: StoreUnavailable) -> None:
        raise error

    return ends.wait_many(dict.fromkeys(references, ""), patience, outage)


async def following(seen: Seen) -> tuple[str, Snapshot | End | None]:
    async with asyncio.timeout(LONG):
        return await anext(seen)


async def rest(seen: Seen) -> list[tuple[str, Snapshot | End | None]]:
    async with asyncio.timeout(LONG):
        return [one async for one in seen]


async def finish(store: Store) -> None:
    """End all cancellations that are open."""
    for one in (await claim(store)).claims:
        await store.commit(commit(one, "finish", facts=FINISHED))


async def test_an_open_cancellation_is_yielded_once_and_then_its_end(store: Store, ends: Ends) -> None:
    await store.accept(command())
    seen = wait_many(ends, "c-1")

    first = await following(seen)
    await finish(store)
    ((_, end),) = await rest(seen)

    assert (first[0], type(first[1])) == ("c-1", Snapshot)
    assert isinstance(end, Result)
    assert end.outcome == "cancelled"


async def test_an_end_is_yielded_before_others_have_come(store: Store, ends: Ends) -> None:
    await store.accept(command())
    await finish(store)
    await store.accept(command(job_id="2", command_id="c-2"))
    seen = wait_many(ends, "c-1", "c-2")

    early = dict([await following(seen), await following(seen)])
    await finish(store)
    late = dict(await rest(seen))

    assert {name: type(one) for name, one in early.items()} == {"c-1": Result, "c-2": Snapshot}
    assert {name: type(one) for name, one in late.items()} == {"c-2": Result}


async def test_an_unknown_id_is_yielded_once_and_the_wait_for_it_goes_on(store: Store, ends: Ends) -> None:
    seen = wait_many(ends, "c-1", patience=0)

    unknown = await following(seen)
    await store.accept(command())
    known = await following(seen)
    await finish(store)
    ((_, end),) = await rest(seen)

    assert unknown == ("c-1", None)
    assert isinstance(known[1], Snapshot)
    assert isinstance(end, Result)


async def test_a_rejection_is_an_end(store: Store, ends: Ends) -> None:
    rejected = INTAKE.take({"verb": "cancel", "backend": "nowhere", "job_id": "1"}, "c-1")
    assert isinstance(rejected, Rejection)
    await store.reject(rejected)

    ((_, end),) = await rest(wait_many(ends, "c-1"))

    assert isinstance(end, Rejected)


async def test_a_known_record_that_is_gone_is_an_end(store: Store, ends: Ends, redis: Redis) -> None:
    await store.accept(command())
    seen = wait_many(ends, "c-1")
    await following(seen)
    await redis.flushall()
    await store.accept(command(job_id="2", command_id="c-1:2"))  # an event that wakes it

    ((_, end),) = await rest(seen)

    assert isinstance(end, UnknownCancellation)
    assert "its record was there and is gone" in str(end)


async def test_a_record_that_can_not_be_read_is_an_end(store: Store, ends: Ends, redis: Redis) -> None:
    found = (await store.accept(command())).cancellation_id
    await redis.set(f"{{canceller}}:hot:{found}", b"\x00")

    ((_, end),) = await rest(wait_many(ends, "c-1"))

    assert isinstance(end, UnknownCancellation)
    assert found in str(end)
