"""A task ends even if redis-py swallows its cancellation, whenever that comes."""

from __future__ import annotations

import asyncio

import pytest

from worker.aio.tasks import unswallowed


async def deaf() -> str:
    """Answer, and swallow a cancellation meanwhile, as redis-py may."""
    try:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        pass
    return "a reply"


def cancel_this() -> None:
    task = asyncio.current_task()
    assert task
    task.cancel()


async def asked_for_before() -> str:
    cancel_this()
    return await unswallowed(deaf())


async def asked_for_meanwhile() -> str:
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().call_soon(task.cancel)
    return await unswallowed(deaf())


async def taken_in_earlier() -> str:
    cancel_this()
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        return await unswallowed(deaf())
    return "never cancelled"


@pytest.mark.parametrize("work", [asked_for_before, asked_for_meanwhile])
async def test_a_swallowed_cancellation_ends_the_task(work: object) -> None:
    assert callable(work)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(work())


async def test_cleaning_up_after_a_cancellation_goes_on() -> None:
    assert await asyncio.create_task(taken_in_earlier()) == "a reply"
