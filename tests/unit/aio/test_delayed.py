"""Delayed work is started or called off, never both."""

from __future__ import annotations

import asyncio

import pytest
from support.jumping_loop import run

from worker.aio.delayed import Delayed


@pytest.mark.parametrize(
    ("called_off_at", "result", "ends_at"),
    [
        pytest.param(1, None, 1, id="before it starts"),
        pytest.param(3, "done", 7, id="while it works"),
        pytest.param(9, "done", 9, id="after its end"),
    ],
)
def test_work_that_has_started_is_waited_for_when_it_is_called_off(
    called_off_at: int, result: str | None, ends_at: int
) -> None:
    async def work() -> str:
        await asyncio.sleep(5)
        return "done"

    async def main() -> None:
        one = Delayed(2, work)
        await asyncio.sleep(called_off_at)
        assert (await one.call_off(), asyncio.get_running_loop().time()) == (result, ends_at)

    run(main())


def test_work_that_was_called_off_never_starts() -> None:
    started = []

    async def work() -> None:
        started.append(1)

    async def main() -> None:
        await Delayed(2, work).call_off()
        await asyncio.sleep(5)

    run(main())
    assert not started


def test_what_started_work_raises_is_raised_when_it_is_called_off() -> None:
    async def work() -> None:
        raise RuntimeError("lost")

    async def main() -> None:
        one = Delayed(2, work)
        await asyncio.sleep(3)
        with pytest.raises(RuntimeError, match="lost"):
            await one.call_off()

    run(main())
