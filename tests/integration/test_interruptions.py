"""A reader of the store that is cancelled ends, whatever step it has reached."""

from __future__ import annotations

import asyncio

import pytest

from worker.store.store import Store


@pytest.mark.parametrize("steps", range(40))
async def test_a_reader_that_is_cancelled_ends(store: Store, steps: int) -> None:
    async def follow() -> None:
        while True:
            await store.events("0-0", block=0.2)

    await store.events("0-0")
    reader = asyncio.create_task(follow())
    for _ in range(steps):
        await asyncio.sleep(0)
    reader.cancel()
    ended, _ = await asyncio.wait({reader}, timeout=60)
    reader.cancel()

    assert {reader} == ended
    assert reader.cancelled()
