"""Receivers that take many events at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from redis.asyncio import Redis
from support.webhooks import emit, pumping, sink, until

from worker.sinks.receiver import Message
from worker.sinks.tries import Failure
from worker.store.store import Store

FAST = 10.0
"""How much faster the clock of the deliveries is: a wait of a second takes 100 ms."""


class Pages:
    """Takes 25 events at once; `fails` decides about each, given the pages that came before."""

    max_in_flight = 1
    at_once = 25

    def __init__(self, fails: Callable[[str, list[list[str]]], bool]) -> None:
        self._fails = fails
        self.pages: list[list[str]] = []
        self.taken: list[str] = []

    async def deliver(self, messages: Sequence[Message]) -> Sequence[Failure | None]:
        failed = [self._fails(message.id, self.pages) for message in messages]
        self.pages.append([message.id for message in messages])
        self.taken += [message.id for message, fails in zip(messages, failed, strict=True) if not fails]
        return [Failure("no") if fails else None for fails in failed]

    async def reach(self) -> str:
        return "here"

    async def aclose(self) -> None: ...


async def deliver(store: Store, redis: Redis, pages: Pages, *events: tuple[str, int]) -> None:
    """Deliver events that were all in the stream before the first page."""
    async with pumping(store, sink(pages)):
        pass  # a new sink starts at the current end of the stream
    for cancellation, number in events:
        await emit(redis, cancellation, number)
    async with pumping(store, sink(pages), speed=FAST):
        await until(lambda: len(pages.taken) >= len(events))


async def test_an_event_that_fails_holds_up_none_of_its_page_but_those_behind_it(store: Store, redis: Redis) -> None:
    pages = Pages(lambda event_id, before: event_id == "b-1" and not before)
    await deliver(store, redis, pages, *((cancellation, number) for number in (1, 2) for cancellation in "abc"))

    assert pages.pages == [["a-1", "b-1", "c-1"], ["a-2", "c-2"], ["b-1"], ["b-2"]]


async def test_what_a_receiver_raises_is_a_failure_of_its_whole_page(store: Store, redis: Redis) -> None:
    raised: list[str] = []

    def fails(event_id: str, _: list[list[str]]) -> bool:
        if not raised:
            raised.append(event_id)
            raise RuntimeError("broken")
        return False

    pages = Pages(fails)
    await deliver(store, redis, pages, ("a", 1), ("b", 1))

    assert raised == ["a-1"]
    assert sorted(pages.taken) == ["a-1", "b-1"]


async def test_while_all_fail_one_event_at_a_time_is_tried(store: Store, redis: Redis) -> None:
    pages = Pages(lambda _, before: len(before) < 2)
    await deliver(store, redis, pages, *((f"c{number}", 1) for number in range(60)))

    assert [len(page) for page in pages.pages[:3]] == [25, 1, 1]
    assert sorted(pages.taken) == sorted(f"c{number}-1" for number in range(60))
