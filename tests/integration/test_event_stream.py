"""The event stream as its readers meet it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from integration.stored import FINISHED, claim_one, command, commit
from redis.asyncio import Redis

from worker.store import Store

STREAM = "{canceller}:events"


async def ended(store: Store, redis: Redis) -> list[dict[str, Any]]:
    """End a cancellation that somebody joined, and return its events as they lie in the stream."""
    await store.accept(command())
    await store.accept(command(command_id="c-2"))
    await store.commit(commit(await claim_one(store), "finish", facts=FINISHED))
    return [msgspec.json.decode(fields[b"event"]) for _, fields in await redis.xrange(STREAM)]


async def test_a_cancellations_events_count_in_ten_digits(store: Store, redis: Redis) -> None:
    events = await ended(store, redis)

    assert ["0000000001", "0000000002", "0000000003"] == [event["sequence"] for event in events]


async def test_each_event_of_a_cancellation_names_its_sequences_type(store: Store, redis: Redis) -> None:
    assert {"Integer"} == {event["sequencetype"] for event in await ended(store, redis)}


async def test_an_events_id_ends_with_its_number_without_zeros(store: Store, redis: Redis) -> None:
    events = await ended(store, redis)

    assert [f"{events[0]['cancellationid']}-{number}" for number in (1, 2, 3)] == [event["id"] for event in events]


async def test_more_than_nine_events_still_sort_as_text(store: Store) -> None:
    for number in range(12):
        await store.accept(command(command_id=f"c-{number}"))
    told = [event.sequence for _, event in await store.events("0-0")]

    assert 12 == len(told)
    assert sorted(told, key=str) == told


@pytest.mark.parametrize(("sequence", "number"), [("7", 7), ("0000000007", 7), ("10", 10)])
async def test_events_from_before_the_zeros_are_still_read(
    sequence: str, number: int, store: Store, redis: Redis
) -> None:
    (stored, *_) = await ended(store, redis)
    del stored["sequencetype"]
    await redis.xadd(STREAM, {"event": msgspec.json.encode({**stored, "sequence": sequence})})
    _, event = (await store.events("0-0"))[-1]

    assert number == int(event.sequence or "")
