"""Passes in flight: they take slots, are reported when they end, and are waited for at a stop."""

from __future__ import annotations

import asyncio

import pytest
from support.jumping_loop import run

from worker.aio.tasks import cancel_all
from worker.engine.window import UNCOUNTED_POLLS, Window

SLOTS = 10


def window(ended: list[None] | None = None) -> Window:
    return Window(SLOTS, lambda: (ended if ended is not None else []).append(None))


@pytest.mark.parametrize(
    ("passes", "polls", "busy"),
    [
        pytest.param(0, 0, 0, id="nothing"),
        pytest.param(3, 0, 3, id="passes"),
        pytest.param(3, UNCOUNTED_POLLS, 3, id="as many piggy-backed polls as are free"),
        pytest.param(3, UNCOUNTED_POLLS + 2, 5, id="more piggy-backed polls than are free"),
        pytest.param(3, UNCOUNTED_POLLS + SLOTS, SLOTS + 3, id="more than there are slots"),
    ],
)
def test_slots_are_taken_by_passes_and_by_piggy_backed_polls_past_the_free_ones(
    passes: int, polls: int, busy: int
) -> None:
    async def work() -> None:
        one = window()
        for piggy_backed in [False] * passes + [True] * polls:
            one.start(asyncio.sleep(1), piggy_backed=piggy_backed)
        assert (len(one.passes), one.busy, one.free) == (passes, busy, SLOTS - busy)
        assert await one.drain(2) == set()
        assert (len(one.passes), one.busy, one.free) == (0, 0, SLOTS)

    run(work())


@pytest.mark.parametrize("piggy_backed", [False, True], ids=["pass", "piggy-backed"])
def test_the_end_of_each_pass_is_reported_once_its_slot_is_free(*, piggy_backed: bool) -> None:
    async def work() -> None:
        busy: list[int] = []
        one = Window(SLOTS, lambda: busy.append(one.busy))
        for seconds in (1, 2):
            one.start(asyncio.sleep(seconds), piggy_backed=piggy_backed)
        await one.drain(3)
        assert busy == ([0, 0] if piggy_backed else [1, 0])

    run(work())


def test_a_drain_returns_the_passes_that_have_not_ended_in_time() -> None:
    async def work() -> None:
        ended: list[None] = []
        one = window(ended)
        for seconds in (1, 5, 60):
            one.start(asyncio.sleep(seconds), piggy_backed=seconds == 5)
        late = await one.drain(2)
        assert (len(late), len(ended), asyncio.get_running_loop().time()) == (2, 1, 2)
        await cancel_all(late)
        assert (len(one.passes), len(ended)) == (0, 3)

    run(work())


def test_a_drain_of_nothing_takes_no_time() -> None:
    async def work() -> None:
        assert await window().drain(60) == set()
        assert asyncio.get_running_loop().time() == 0

    run(work())


def test_a_drain_waits_for_what_a_claim_under_way_brings() -> None:
    async def work() -> None:
        one, ended = window(), list[None]()

        async def claim(seconds: float) -> None:
            with one.claiming():
                await asyncio.sleep(seconds)
                one.start(asyncio.sleep(seconds), piggy_backed=False)
            ended.append(None)

        claims = [asyncio.create_task(claim(seconds)) for seconds in (1, 3)]
        await asyncio.sleep(0)
        assert await one.drain(60) == set()
        assert (len(ended), asyncio.get_running_loop().time()) == (2, 6)
        await asyncio.gather(*claims)

    run(work())


def test_a_drain_does_not_wait_for_a_claim_for_ever() -> None:
    async def work() -> None:
        one = window()
        with one.claiming():
            one.start(asyncio.sleep(60), piggy_backed=False)
            late = await one.drain(2)
            assert (len(late), asyncio.get_running_loop().time()) == (1, 2)
        await cancel_all(late)

    run(work())
