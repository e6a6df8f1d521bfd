"""Former and current places of backends: a record keeps only a mark, and the words are stored once."""

from __future__ import annotations

from msgspec.structs import replace
from redis.asyncio import Redis
from support.commands import command

from worker.store.codec import place_mark
from worker.store.store import Store
from worker.store.transitions import Acceptance

HERE, THERE = "oracle-ess at https://here.example.com", "oracle-ess at https://there.example.com"
BYTES = 40
"""The most bytes that keeping its place may cost an open cancellation."""


def placed(place: str, job_id: str = "1", command_id: str = "c-1") -> Acceptance:
    return replace(command(job_id, command_id), place=place)


async def test_a_cancellation_keeps_the_place_that_it_was_accepted_for(store: Store) -> None:
    accepted = await store.accept(placed(HERE))
    await store.accept(placed(THERE, command_id="c-2"))

    assert place_mark(HERE) == (await store.get(accepted.cancellation_id)).record.cancellation.place


async def test_one_without_a_place_keeps_none(store: Store) -> None:
    accepted = await store.accept(command())

    assert "" == (await store.get(accepted.cancellation_id)).record.cancellation.place


async def test_a_place_costs_a_cancellation_few_bytes(store: Store, redis: Redis) -> None:
    cost: list[int] = []
    for number, place in enumerate(("", HERE)):
        found = (await store.accept(placed(place, str(number), f"c-{number}"))).cancellation_id
        cost.append(await redis.memory_usage(f"{{canceller}}:hot:{found}"))

    assert cost[1] - cost[0] <= BYTES


async def test_the_words_of_many_places_are_kept(store: Store, redis: Redis) -> None:
    await store.accept_all([placed(HERE, str(number), f"c-{number}") for number in range(60)])
    await store.accept(placed(THERE, "there", "c-there"))

    assert {place_mark(one).encode(): one.encode() for one in (HERE, THERE)} == await redis.hgetall(  # type: ignore[misc]  # redis-py's own types
        "{canceller}:places"
    )


async def test_the_old_place_and_the_new_one_can_be_told(store: Store) -> None:
    found = (await store.accept(placed(HERE))).cancellation_id
    cancellation = (await store.get(found)).record.cancellation
    before = await store.places(cancellation)
    await store.note_places({"ess": THERE})

    assert ((HERE, ""), (HERE, THERE)) == (before, await store.places(cancellation))


async def test_the_places_of_all_backends_are_told_as_the_last_start_has_them(store: Store, redis: Redis) -> None:
    none = await store.places_now()
    await store.note_places({"ess": HERE, "oml": HERE})
    await store.note_places({"ess": THERE})
    await redis.hset("{canceller}:at", "lost", "no-mark")  # type: ignore[misc]  # redis-py's own types

    assert (none, await store.places_now()) == ({}, {"ess": THERE, "oml": HERE})


async def test_what_is_open_for_which_place_can_be_counted(store: Store, redis: Redis) -> None:
    for number, place in enumerate((HERE, THERE, THERE, "")):
        await store.accept(placed(place, str(number), f"c-{number}"))
    strange = (await store.accept(placed(HERE, "strange", "c-strange"))).cancellation_id
    await redis.set(f"{{canceller}}:hot:{strange}", "no record")

    marks = [place_mark(one) for one in (HERE, THERE, THERE)]
    assert sorted([*marks, "", ""]) == sorted(await store.open_places("ess", 1000))
    assert 2 == len(await store.open_places("ess", 2))
    assert [] == await store.open_places("oml", 1000)
