"""An alarm goes off at the earliest time that it was set to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

import pytest
from support.jumping_loop import run

from worker.engine.alarm import Alarm


async def slept(alarm: Alarm) -> float:
    """Sleep, and return the time at which the alarm went off."""
    await alarm.sleep()
    return asyncio.get_running_loop().time()


async def used() -> Alarm:
    """An alarm that has gone off and is not set again."""
    alarm = Alarm()
    await alarm.sleep()
    return alarm


def test_a_new_alarm_goes_off_at_once() -> None:
    async def work() -> None:
        assert await slept(Alarm()) == 0.0

    run(work())


def test_an_alarm_is_reset_when_it_has_gone_off() -> None:
    async def work() -> None:
        alarm = await used()
        assert alarm.at == inf
        alarm.wake(3.0)
        await alarm.sleep()
        assert alarm.at == inf

    run(work())


@pytest.mark.parametrize(
    ("set_it", "at"),
    [
        pytest.param(lambda alarm: alarm.wake(3.0), 3.0, id="in a while"),
        pytest.param(lambda alarm: alarm.wake(3.0, not_before=7.0), 7.0, id="not before a later time"),
        pytest.param(lambda alarm: alarm.wake(3.0, not_before=2.0), 3.0, id="not before an earlier time"),
        pytest.param(lambda alarm: alarm.wake(-3.0), 0.0, id="in the past"),
        pytest.param(lambda alarm: (alarm.wake(5.0), alarm.wake(3.0)), 3.0, id="earlier than it was set to"),
        pytest.param(lambda alarm: (alarm.wake(3.0), alarm.wake(inf)), 3.0, id="later than it was set to"),
        pytest.param(lambda alarm: (alarm.wake(3.0), alarm.wake()), 0.0, id="at once"),
    ],
)
def test_an_alarm_goes_off_at_the_earliest_time(set_it: Callable[[Alarm], object], at: float) -> None:
    async def work() -> None:
        alarm = await used()
        set_it(alarm)
        assert await slept(alarm) == pytest.approx(at)

    run(work())


@pytest.mark.parametrize("first", [60.0, inf], ids=["till later", "for ever"])
@pytest.mark.parametrize(("after", "seconds", "at"), [(2.0, 0.0, 2.0), (2.0, 5.0, 7.0), (2.0, 100.0, None)])
def test_a_sleeper_is_woken_by_an_earlier_time(first: float, after: float, seconds: float, at: float | None) -> None:
    async def work() -> None:
        alarm = await used()
        alarm.wake(first)
        asyncio.get_running_loop().call_later(after, alarm.wake, seconds)
        assert await slept(alarm) == pytest.approx(at or min(first, after + seconds))

    run(work())
