"""Waiting for the ends of cancellations: what is found by an id, and what a wait costs Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from support.commands import FINISHED, INTAKE, claim, command, commit

from worker.client.ends import Ends, Rejected, Result, StillOpen
from worker.domain.errors import UnknownCancellation, UnreadableRecord
from worker.store.codec import moment
from worker.store.dead_letters import DeadLetters
from worker.store.message_notes import FORGOTTEN, MessageNotes
from worker.store.store import Store
from worker.store.stream_ids import stream_order
from worker.store.transitions import Rejection

LONG = 30.0


@pytest.fixture
async def ends(store: Store, redis: Redis) -> AsyncIterator[Ends]:
    one = Ends(store, MessageNotes(redis, "canceller"))
    yield one
    await one.watch.aclose()


async def reject(store: Store, command_id: str = "c-1") -> bool:
    rejected = INTAKE.take({"verb": "cancel", "backend": "nowhere", "job_id": "1"}, command_id)
    assert isinstance(rejected, Rejection)
    return await store.reject(rejected)


async def finish(store: Store) -> None:
    """End all cancellations that are open."""
    while claimed := (await claim(store)).claims:
        for one in claimed:
            await store.commit(commit(one, "finish", facts=FINISHED))


async def blocked(redis: Redis, count: int) -> None:
    """Wait until so many connections wait for an event."""
    async with asyncio.timeout(LONG):
        while (await redis.info("clients"))["blocked_clients"] != count:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0)


async def wait(ends: Ends, command_id: str = "c-1", after: str = "", seconds: float = LONG) -> Result:
    async with asyncio.timeout(2 * LONG):
        return await ends.wait(command_id, seconds, after=after)


async def test_a_rejected_command_is_found_by_its_id(store: Store, ends: Ends) -> None:
    await reject(store)

    with pytest.raises(Rejected, match="backend: no backend has this name"):
        await ends.get("c-1")


async def test_a_wait_ends_when_the_command_is_rejected(store: Store, ends: Ends, redis: Redis) -> None:
    waiting = asyncio.create_task(wait(ends))
    await blocked(redis, 1)
    await reject(store)

    with pytest.raises(Rejected, match="no backend has this name"):
        await waiting


async def test_a_rejection_from_before_the_command_was_sent_again_does_not_count(store: Store, ends: Ends) -> None:
    await reject(store)
    sent = await store.last_event_id()

    with pytest.raises(UnknownCancellation):
        await ends.get("c-1", after=sent)


async def test_but_the_same_rejection_again_does_though_no_event_tells_it(store: Store, ends: Ends) -> None:
    await reject(store)
    sent = await store.last_event_id()
    now = before = moment(stream_order(sent)[0])
    while now <= before:  # a rejection counts only from a later millisecond on; a real message takes longer than that
        now, *_ = await store.times()
    await reject(store, "c-2")  # a newer event than the first rejection's
    assert not await reject(store)

    with pytest.raises(Rejected, match="no backend has this name"):
        await wait(ends, after=sent)


async def test_what_was_accepted_after_a_rejection_is_no_longer_rejected(store: Store, ends: Ends) -> None:
    await reject(store)
    await store.accept(command())

    assert (await ends.get("c-1")).command_ids == ("c-1",)


async def test_a_rejection_that_is_forgotten_for_a_new_try_is_found_no_more(
    store: Store, ends: Ends, redis: Redis
) -> None:
    await reject(store)
    letters = DeadLetters(redis, "canceller")
    await letters.forget(await anext(letters.list()))

    with pytest.raises(UnknownCancellation):
        await ends.get("c-1")


async def test_a_rejection_is_known_longer_than_its_reason(store: Store, ends: Ends, redis: Redis) -> None:
    await reject(store)
    await redis.delete("{canceller}:events")

    with pytest.raises(Rejected, match=FORGOTTEN):
        await ends.get("c-1")


async def test_no_command_can_be_taken_for_the_rejection_of_another(store: Store, ends: Ends) -> None:
    await store.accept(command(command_id="refused c-1"))

    with pytest.raises(UnknownCancellation):
        await ends.get("c-1")


async def test_many_waits_share_one_reader_and_look_only_when_an_event_is_about_them(
    store: Store, ends: Ends, redis: Redis
) -> None:
    ids = [f"c-{index}" for index in range(200)]
    await store.accept_all([command(f"{index}", command_id) for index, command_id in enumerate(ids)])
    await redis.config_resetstat()
    waiting = [asyncio.create_task(wait(ends, command_id)) for command_id in ids]
    await blocked(redis, 1)
    await store.accept_all([command(f"{index}", f"o-{index}", backend="oml") for index in range(500)])
    await finish(store)
    results = await asyncio.gather(*waiting)

    assert {result.outcome for result in results} == {"cancelled"}
    assert (await redis.info("commandstats"))["cmdstat_exists"]["calls"] <= 3 * len(ids)


async def test_a_wait_for_a_command_that_no_event_names_ends(store: Store, ends: Ends, redis: Redis) -> None:
    await store.accept_all([command(command_id=f"c-{index}") for index in range(120)])
    waiting = asyncio.create_task(wait(ends, "c-110"))
    await blocked(redis, 1)
    await finish(store)

    assert (await waiting).outcome == "cancelled"


async def test_a_wait_says_when_it_has_lasted_long_enough(store: Store, ends: Ends) -> None:
    await store.accept(command())

    for seconds in (0, 0.05):
        with pytest.raises(StillOpen, match=f"still open after {seconds:g} s"):
            await wait(ends, seconds=seconds)


async def test_a_wait_for_what_nobody_knows_says_so(ends: Ends) -> None:
    with pytest.raises(StillOpen, match=r"not known after 0\.05 s: no worker has taken it in yet"):
        await wait(ends, seconds=0.05)


async def test_the_number_of_commands_in_a_message_is_kept_for_a_while(store: Store, ends: Ends, redis: Redis) -> None:
    await store.count_commands({"m-1": 3, "m-2": -1})

    assert [await ends.notes.counted(one) for one in ("m-1", "m-3")] == [3, None]
    with pytest.raises(UnknownCancellation, match="ids of their own"):
        await ends.notes.counted("m-2")
    assert 0 < await redis.ttl("{canceller}:submit:m-1") <= 7 * 86400


@pytest.mark.parametrize("forever", [None, LONG], ids=["without a limit", "with one"])
async def test_a_wait_ends_once_its_known_record_is_gone(
    forever: float | None, store: Store, ends: Ends, redis: Redis
) -> None:
    await store.accept(command())
    waiting = asyncio.create_task(ends.wait("c-1", forever))
    await blocked(redis, 1)
    await redis.flushall()
    await store.accept(command(job_id="2", command_id="c-1:2"))  # its event wakes the waiting reader

    with pytest.raises(UnknownCancellation, match="its record was there and is gone"):
        await asyncio.wait_for(waiting, 2 * LONG)


async def test_a_wait_for_what_is_still_on_its_way_goes_on(store: Store, ends: Ends, redis: Redis) -> None:
    waiting = asyncio.create_task(wait(ends))
    await blocked(redis, 1)
    await redis.flushall()
    await store.accept(command())
    await finish(store)

    assert "cancelled" == (await waiting).outcome


async def test_a_wait_for_a_record_that_can_not_be_read_says_so(store: Store, ends: Ends, redis: Redis) -> None:
    found = (await store.accept(command())).cancellation_id
    await redis.set(f"{{canceller}}:hot:{found}", b"\x00")

    with pytest.raises(UnreadableRecord, match=found):
        await wait(ends)
