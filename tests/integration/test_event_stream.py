"""The event stream as its readers see it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis
from support.commands import FINISHED, claim_one, command, commit

from worker.domain.errors import UnreadableRecord
from worker.store.store import Store

STREAM = "{canceller}:events"


async def ended(store: Store, redis: Redis) -> list[dict[str, Any]]:
    """End a cancellation that a second command joined, and return its events as they are in the stream."""
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


EVENT = {"id": "x-1", "source": "/s", "type": "canceller.cancellation.finished.v1", "time": "2026-01-02T03:04:05Z"}
STRANGE: dict[str, dict[str, Any]] = {
    "another field": {"x": "y"},
    "an empty field": {"event": ""},
    "no JSON": {"event": "{"},
    "no text": {"event": b"\xff\xfe"},
    "JSON that is no object": {"event": "7"},
    "no attributes": {"event": "{}"},
    "no data": {"event": msgspec.json.encode(EVENT)},
    "data that is no object": {"event": msgspec.json.encode({**EVENT, "data": [1]})},
    "a type in one word": {"event": msgspec.json.encode({**EVENT, "type": "x", "data": {}})},
    "a time that is none": {"event": msgspec.json.encode({**EVENT, "time": "now", "data": {}})},
    "nested without end": {"event": '{"data":' + "[" * 100_000},
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
async def test_an_entry_that_is_no_event_is_skipped(strange: dict[str, Any], store: Store, redis: Redis) -> None:
    await redis.xadd(STREAM, strange)
    await store.accept(command())
    await redis.xadd(STREAM, strange)
    await store.accept(command(command_id="c-2"))

    assert ["accepted", "joined"] == [event.name for _, event in await store.events("0-0", count=1)] + [
        event.name for _, event in (await store.events("0-0"))[1:]
    ]
    assert ["joined", "accepted"] == [event.name async for event in store.newest_events(1)]


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
async def test_an_entry_that_is_no_event_is_reported_once(
    strange: dict[str, Any], store: Store, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    entry = (await redis.xadd(STREAM, strange)).decode()
    for _ in range(3):
        await store.events("0-0")

    assert [f"entry {entry} of the event stream is not an event"] == [
        record.getMessage().partition(" and is skipped")[0] for record in caplog.records
    ]


async def test_a_reader_waits_for_an_event_behind_strange_entries(store: Store, redis: Redis) -> None:
    await redis.xadd(STREAM, STRANGE["no JSON"])
    reading = asyncio.create_task(store.events("0-0", block=30))
    while (await redis.info("clients"))["blocked_clients"] != 1:  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(0)
    await store.accept(command())

    assert ["accepted"] == [event.name for _, event in await reading]


async def test_an_event_that_is_asked_for_by_its_place_may_be_strange(store: Store, redis: Redis) -> None:
    entry = await redis.xadd(STREAM, STRANGE["no JSON"])

    assert await store.event(entry.decode()) is None


RECORDS: dict[str, tuple[bytes, bytes]] = {
    "no JSON": (b"\x00", b""),
    "JSON of nobody's": (b'{"f":1}\n', b""),
    "no object": (b"[]\n", b""),
    "no number of a format": (b'{"f":"x"}\n', b""),
    "no text": (b"\xff\n\xff", b"\xff"),
}


@pytest.mark.parametrize(("hot", "cold"), RECORDS.values(), ids=RECORDS)
async def test_a_record_that_can_not_be_read_is_an_error_with_its_id(
    hot: bytes, cold: bytes, store: Store, redis: Redis
) -> None:
    found = (await store.accept(command())).cancellation_id
    await redis.set(f"{{canceller}}:hot:{found}", hot)
    await redis.set(f"{{canceller}}:cold:{found}", cold)

    with pytest.raises(UnreadableRecord, match=f"the record of {found} can't be read"):
        await store.get(found)


@pytest.mark.parametrize("part", [b"\n\x00progress that is none", b""], ids=["damaged progress", "no cold part"])
async def test_a_record_that_is_damaged_in_part_is_an_error_too(part: bytes, store: Store, redis: Redis) -> None:
    found = (await store.accept(command())).cancellation_id
    if part:
        await redis.append(f"{{canceller}}:hot:{found}", part)
    else:
        await redis.delete(f"{{canceller}}:cold:{found}")
        await redis.set(f"{{canceller}}:cold:{found}", "x\nx\nx")

    with pytest.raises(UnreadableRecord):
        await store.get(found)


BEGAN = datetime(2026, 1, 2, tzinfo=UTC)
WRITTEN = 400
"""The number of events: Redis trims a hundred at a time, and so trims most of the old ones."""


@pytest.mark.parametrize(
    ("read", "acknowledged", "days", "left"),
    [
        pytest.param(None, None, 8, range(100), id="no-group"),
        pytest.param(0, 0, 8, range(WRITTEN, WRITTEN + 1), id="a-group-that-has-read-nothing"),
        pytest.param(0, 0, 31, range(100), id="a-group-that-has-read-nothing-for-a-month"),
        pytest.param(200, 200, 8, range(WRITTEN - 200, WRITTEN - 99), id="a-group-that-has-read-half"),
        pytest.param(WRITTEN, WRITTEN, 8, range(101), id="a-group-that-has-read-all"),
        pytest.param(WRITTEN, 0, 8, range(WRITTEN, WRITTEN + 1), id="a-group-that-has-acknowledged-nothing"),
    ],
)
async def test_old_events_are_trimmed_but_those_that_a_consumer_group_needs(
    read: int | None, acknowledged: int | None, days: int, left: range, store: Store, redis: Redis
) -> None:
    began = int(BEGAN.timestamp() * 1000)
    for number in range(WRITTEN):
        await redis.xadd(STREAM, {"event": "{}"}, id=f"{began + number}-1")
    if read is not None:
        await redis.xgroup_create(STREAM, "audit", id="0")
        for _, entries in (await redis.xreadgroup("audit", "one", {STREAM: ">"}, count=read)) if read else []:
            ids = [entry for entry, _ in entries][:acknowledged]
            if ids:
                await redis.xack(STREAM, "audit", *ids)
    await store.trim(BEGAN + timedelta(days=days))

    assert await redis.xlen(STREAM) in left


SOURCES = {
    "usual": ("canceller", "/canceller/ess"),
    "with words": ("team/app_1.x~y-z:8@a", "/team/app_1.x~y-z:8@a/ess"),
    "with what no path may hold": ("/x*[y]?ü\"'%:#", "/%2Fx*%5By%5D%3F%C3%BC%22'%25:%23/ess"),
}


@pytest.mark.parametrize(("prefix", "source"), SOURCES.values(), ids=SOURCES.keys())
async def test_an_events_source_is_a_uri_reference_whatever_the_prefix(redis: Redis, prefix: str, source: str) -> None:
    store = Store(redis, prefix)
    await store.accept(command())
    ((_, event),) = await store.events("0-0")

    assert event.source == source
