"""The clock that all scripts use: Redis's TIME, plus an offset that compensates for steps that workers disprove."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis
from support.stepped_redis import SteppedRedis

from worker.store.scripts import Script, text_of
from worker.store.store import Store

LIFE = 4000
HOUR, DAY = 3_600_000, 86_400_000
CLOCK = "{canceller}:clock"


class Worker:
    """The beats of one worker; every answer comes at once."""

    def __init__(self, redis: SteppedRedis, name: str) -> None:
        self.redis, self.name = redis, name
        self._beat = Script(redis, text_of("beat"))
        self.known, self.at = -1, redis.at

    async def beat(self, passed: int = 0) -> tuple[int, int | bytes]:
        """Beat, `passed` ms after the last one by its own clock; return the time since the start, and the step."""
        args = [self.name, LIFE, self.known, passed, "ess"]
        now, step, *_ = await self._beat(keys=["{canceller}:events"], args=args)
        if step != b"?":
            self.known = now
        return now - self.at, step


@pytest.fixture
def stepped(redis: Redis) -> SteppedRedis:
    return SteppedRedis(connection_pool=redis.connection_pool)


async def opened(redis: Redis) -> None:
    """Leave one cancellation open."""
    await redis.sadd("{canceller}:backends", "ess")  # type: ignore[misc]
    await redis.hset("{canceller}:open:ess", "1", "id")  # type: ignore[misc]


async def times(redis: SteppedRedis) -> tuple[int, int]:
    now, by_redis, *_ = await Script(redis, text_of("now"))(keys=["{canceller}:events"], args=[])
    return now, by_redis


STEPS = {"31 minutes ahead": 31 * 60_000, "25 hours ahead": 25 * HOUR, "an hour back": -HOUR, "6 seconds back": -6000}
step = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)


async def test_is_redis_time_before_the_first_beat(stepped: SteppedRedis) -> None:
    assert await times(stepped) == (stepped.at, stepped.at)


@step
async def test_a_step_that_a_worker_disproves_is_no_time_that_passed(stepped: SteppedRedis, step: int) -> None:
    await opened(stepped)
    one = Worker(stepped, "w1")
    await one.beat()
    stepped.at += 1000 + step

    assert await one.beat(1000) == (1000, step)


@step
async def test_a_step_is_taken_up_once_however_many_workers_find_it(stepped: SteppedRedis, step: int) -> None:
    await opened(stepped)
    one, two = Worker(stepped, "w1"), Worker(stepped, "w2")
    await one.beat()
    await two.beat()
    stepped.at += 1000 + step

    assert await one.beat(1000) == (1000, step)
    assert await two.beat(1000) == (1000, 0)
    stepped.at += 1000
    assert await one.beat(1000) == (2000, 0)


@step
async def test_no_script_sees_a_step_before_the_first_beat_after_it(stepped: SteppedRedis, step: int) -> None:
    await Worker(stepped, "w1").beat()
    before = stepped.at
    stepped.at += step
    now, _ = await times(stepped)

    assert now == before


FOLLOWED = {"slewed ahead": (1000, 1400), "slewed back": (1000, 600), "a long gap of both": (DAY, DAY + 60_000)}


@pytest.mark.parametrize(("ours", "theirs"), FOLLOWED.values(), ids=FOLLOWED)
async def test_what_clocks_drift_is_followed(stepped: SteppedRedis, ours: int, theirs: int) -> None:
    one = Worker(stepped, "w1")
    await one.beat()
    stepped.at += theirs

    assert await one.beat(ours) == (theirs, 0)


async def test_never_goes_back(stepped: SteppedRedis) -> None:
    one = Worker(stepped, "w1")
    await one.beat()
    stepped.at -= 3000

    assert await one.beat(1) == (0, 0)
    assert await times(stepped) == (stepped.at + 3000, stepped.at)


@step
async def test_after_all_workers_left_redis_time_counts_as_it_is(stepped: SteppedRedis, step: int) -> None:
    await opened(stepped)
    one = Worker(stepped, "w1")
    await one.beat()
    await Store(stepped, "canceller").leave("w1")
    stepped.at += step

    assert await Worker(stepped, "w2").beat() == (max(0, -step), 0)


async def test_a_worker_that_knows_no_time_waits_for_one_that_does(stepped: SteppedRedis) -> None:
    await opened(stepped)
    one = Worker(stepped, "w1")
    await one.beat()
    stepped.at += 1000 + DAY
    new = Worker(stepped, "w2")

    assert (await new.beat())[1] == b"?"
    assert await one.beat(1000) == (1000, DAY)
    assert (await new.beat(500))[1] == 0


async def test_redis_time_counts_once_no_worker_has_disproved_it(stepped: SteppedRedis) -> None:
    await opened(stepped)
    await Worker(stepped, "killed").beat()
    stepped.at += DAY
    new = Worker(stepped, "w2")

    assert (await new.beat())[1] == b"?"
    assert await new.beat(3000) == (0, 0)


async def test_a_worker_that_can_not_tell_yet_takes_nothing_from_others(stepped: SteppedRedis) -> None:
    await Worker(stepped, "w1").beat()
    await stepped.hset("{canceller}:claims:ess", "id", "w1/1/1")  # type: ignore[misc]
    stepped.at += DAY
    await Worker(stepped, "w2").beat()

    assert await stepped.hgetall("{canceller}:claims:ess") == {b"id": b"w1/1/1"}  # type: ignore[misc]


async def test_a_slow_answer_that_looked_like_a_step_is_put_right_by_the_next_beat(stepped: SteppedRedis) -> None:
    await opened(stepped)
    one = Worker(stepped, "w1")
    known, _ = await one.beat()
    stepped.at += 10_000
    assert await one.beat(0) == (0, 10_000)
    one.known = stepped.at - 10_000
    stepped.at += 1000

    assert await one.beat(11_000) == (11_000, -10_000)
    assert known == 0


async def test_falls_back_to_redis_time_where_that_is_ahead_and_nothing_is_open(stepped: SteppedRedis) -> None:
    await opened(stepped)
    one = Worker(stepped, "w1")
    await one.beat()
    stepped.at += DAY
    await one.beat(0)
    await stepped.delete("{canceller}:open:ess")

    assert await one.beat(0) == (DAY, 0)


async def test_goes_a_tenth_slower_while_it_is_ahead_of_redis_time(stepped: SteppedRedis) -> None:
    one = Worker(stepped, "w1")
    await one.beat()
    stepped.at -= HOUR
    await one.beat(0)
    for _ in range(100):
        stepped.at += 1000
        await one.beat(1000)
    now, by_redis = await times(stepped)

    assert 8_000 < HOUR - (now - by_redis) < 11_000


async def test_goes_on_where_a_failover_has_lost_it(stepped: SteppedRedis) -> None:
    await opened(stepped)
    one = Worker(stepped, "w1")
    await one.beat()
    await stepped.delete(CLOCK)
    stepped.at += 1000 - HOUR

    assert await one.beat(1000) == (1000, -HOUR)
