"""Slow work whose result is kept for a while."""

from __future__ import annotations

import asyncio

import pytest

from worker.aio.cached import Cached


class Work:
    """Work that ends when it is told to; its results count up."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.fails = False

    async def __call__(self) -> int:
        self.begun += 1
        own = self.begun
        await self.may_end.wait()
        if self.fails:
            raise ConnectionError("away")
        return own


async def test_a_fresh_result_is_served_again() -> None:
    work = Work()
    cached = Cached(work, for_seconds=60, patience=60)

    assert [await cached.get(), await cached.get(), work.begun] == [1, 1, 1]


async def test_an_old_result_is_made_anew() -> None:
    work = Work()
    cached = Cached(work, for_seconds=0, patience=60, share=1)

    assert [await cached.get(), await cached.get()] == [1, 2]


async def test_however_many_ask_it_is_made_once() -> None:
    work = Work()
    cached = Cached(work, for_seconds=60, patience=60)

    assert await asyncio.gather(*(cached.get() for _ in range(5))) == [1] * 5


async def test_who_waits_too_long_gets_the_result_before() -> None:
    work = Work()
    cached = Cached(work, for_seconds=0, patience=0.01, share=1)
    await cached.get()
    work.may_end.clear()

    assert await cached.get() == 1
    await cached.aclose()


async def test_who_waits_too_long_for_the_first_result_gets_none() -> None:
    work = Work()
    work.may_end.clear()
    cached = Cached(work, for_seconds=0, patience=0.01)

    with pytest.raises(TimeoutError):
        await cached.get()
    await cached.aclose()


async def test_a_failure_replaces_the_result_until_the_work_succeeds_again() -> None:
    work = Work()
    cached = Cached(work, for_seconds=0, patience=60, share=1)
    await cached.get()
    work.fails = True
    with pytest.raises(ConnectionError):
        await cached.get()
    work.fails = False

    assert await cached.get() == 3
