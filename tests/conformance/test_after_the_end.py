"""Looks at jobs after the end of their cancellations: what is reported, what is opened again, what a kill leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from conformance.dialect import Dialect
from conformance.dialects import DIALECTS
from conformance.kit import ASKED, Busy
from conformance.replies.oracle_ess import ESS
from conformance.whole import Whole, prepare, whole
from msgspec.structs import replace as replaced
from redis.asyncio import Redis
from support.commands import command

from worker.domain.model import Action
from worker.engine.clock import Clock
from worker.engine.watcher import Watcher
from worker.intake.admission import BackendRules
from worker.intake.reopening import reopened
from worker.observability.outage import Outage
from worker.protocol.messages import Event
from worker.store.retention import DAY
from worker.store.watch_list import ToWatch

WATCH = (0.01, 0.02, 3600.0)
each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


class Afterwards:
    """A cancellation that has ended, and a worker that looks at its job from then on."""

    def __init__(self, one: Whole, ended: Event) -> None:
        self.one = one
        self.ended = ended
        self.woken: list[str] = []
        self.watcher = self.another()

    def another(self) -> Watcher:
        return Watcher(self.one.backend, self.one.store, Outage("test", "REDIS_URL"), self.woken.append)

    async def due(self) -> None:
        """Make the next look due now."""
        redis: Any = self.one.store._redis
        for member in await redis.zrange("{canceller}:watch:b", 0, -1):
            await redis.zadd("{canceller}:watch:b", {member: 1})

    async def look(self) -> None:
        await self.due()
        await self.watcher.round()

    async def reported(self) -> list[Event]:
        return [event for event in await self.one.events() if event.name == "reappeared"]

    async def planned(self) -> int:
        redis: Any = self.one.store._redis
        return int(await redis.zcard("{canceller}:watch:b"))


@asynccontextmanager
async def ended(
    redis: Redis, dialect: Dialect = ESS, *, watch: tuple[float, ...] = WATCH, reopen: bool = False, **kit: Any
) -> AsyncIterator[Afterwards]:
    async with whole(redis, dialect, **kit) as one:
        rules = BackendRules(one.backend.adapter, one.backend.policy)
        one.backend = replace(one.backend, watch_after=watch, reopen=partial(reopened, rules) if reopen else None)
        prepare(one, "cancel")
        await one.accept("cancel", reason="budget", labels={"team": "a"}, batch_id="b-1")
        yield Afterwards(one, await one.finish())


@each_dialect
async def test_a_job_that_lives_again_is_reported_once(redis: Redis, dialect: Dialect) -> None:
    async with ended(redis, dialect) as after:
        after.one.one.add()
        await after.look()
        await after.look()
        (event,) = await after.reported()

        old = after.ended.data["cancellation_id"]
        assert (event.type, event.source, event.subject) == ("canceller.job.reappeared.v1", "/canceller/b", "1")
        assert (event.id, event.sequence, event.cancellationid) == (f"{old}-reappeared", None, None)
        assert (event.data["cancellation_id"], event.data["outcome"]) == (old, "cancelled")
        assert (event.data["job_state"], event.data["reason"]) == ("active", "budget")
        assert await after.planned() == 0


@each_dialect
async def test_a_job_that_stays_ended_is_looked_at_until_the_last_time(redis: Redis, dialect: Dialect) -> None:
    async with ended(redis, dialect, watch=(0.001,)) as after, asyncio.timeout(30):
        assert await after.planned() == 1
        while await after.planned():  # a look before that time has come plans it again
            await after.look()

        assert await after.reported() == []


async def test_nothing_is_planned_where_nothing_is_configured(redis: Redis) -> None:
    async with ended(redis, watch=()) as after:
        assert await after.planned() == 0


async def test_the_next_look_is_planned_from_the_end(redis: Redis) -> None:
    async with ended(redis, watch=(1000.0, 3600.0)) as after:
        first: Any = await after.one.store._redis.zrange("{canceller}:watch:b", 0, 0, withscores=True)  # type: ignore[misc]
        finished_at = (await after.one.store.get(after.ended.data["cancellation_id"])).record.ended_at
        assert finished_at is not None
        assert first[0][1] / 1000 == pytest.approx(finished_at.timestamp() + 1000, abs=0.01)


async def test_a_record_is_kept_until_the_last_look(redis: Redis) -> None:
    async with ended(redis, watch=(60.0, 30 * DAY)) as after:
        found = after.ended.data["cancellation_id"]
        assert await redis.ttl(f"{{canceller}}:hot:{found}") > 30 * DAY
        assert await redis.ttl("{canceller}:watch:b") > 30 * DAY


async def test_a_job_that_lives_again_is_cancelled_again_if_that_is_configured(redis: Redis) -> None:
    async with ended(redis, reopen=True) as after:
        after.one.one.add()
        await after.look()
        await after.look()
        opened = [event for event in await after.one.events() if event.name == "accepted"][-1]
        again = await after.one.finish()

        assert [event.name for event in await after.one.events()].count("accepted") == 2
        assert after.woken == ["b"]
        assert opened.data["requested_by"] == "canceller"
        assert after.ended.data["cancellation_id"] in opened.data["reason"]
        assert (opened.data["labels"], opened.data["batch_id"]) == ({"team": "a"}, "b-1")
        assert (again.outcome, len(await after.reported())) == ("cancelled", 1)
        assert len(after.one.made(Action.CANCEL)) == 2


@pytest.mark.parametrize("taken", [1, 3])
async def test_a_strangers_command_with_the_id_for_it_keeps_no_cancellation_closed(redis: Redis, taken: int) -> None:
    """Workers reject such an id, but one of an older version accepts it, before or during the upgrade."""
    async with ended(redis, reopen=True) as after:
        old = after.ended.data["cancellation_id"]
        for number in range(taken):
            stranger = replaced(command(str(number)), command_id=f"{old}-reopened-{number}".removesuffix("-0"))
            assert (await after.one.store.accept(stranger)).verdict == "accepted"
        after.one.one.add()
        await asyncio.gather(after.look(), after.another().round())
        await after.look()
        opened = [event for event in await after.one.events() if event.name == "accepted"]

        assert [event.data["requested_by"] for event in opened[1 + taken :]] == ["canceller"]
        assert opened[-1].command_ids == [f"{old}-reopened-{taken}"]
        assert await after.planned() == 0


async def test_a_cancellation_whose_ids_are_all_taken_stays_closed_and_is_looked_at_no_more(redis: Redis) -> None:
    async with ended(redis, reopen=True) as after:
        make = after.one.backend.reopen
        assert make is not None
        await after.one.store.accept(command(command_id="taken"))
        after.one.backend = replace(after.one.backend, reopen=lambda *which: replaced(make(*which), command_id="taken"))
        after.watcher = after.another()
        after.one.one.add()
        await after.look()

        assert (len(await after.reported()), await after.planned()) == (1, 0)
        assert [event.name for event in await after.one.events()].count("accepted") == 2


async def test_a_worker_that_dies_after_its_report_leaves_the_rest_to_another(redis: Redis) -> None:
    async with ended(redis, reopen=True) as after:
        after.one.one.add()
        make = after.one.backend.reopen
        after.one.backend = replace(after.one.backend, reopen=lambda *_: 1 / 0)  # type: ignore[arg-type,return-value]
        after.watcher = after.another()
        await after.look()
        assert [event.name for event in await after.one.events()].count("accepted") == 1

        after.one.backend = replace(after.one.backend, reopen=make)
        after.watcher = after.another()
        await after.look()

        assert [event.name for event in await after.one.events()][-2:] == ["reappeared", "accepted"]
        assert await after.planned() == 0


async def test_a_claimed_look_comes_back_when_its_worker_is_gone(redis: Redis) -> None:
    async with ended(redis) as after:
        after.one.one.add()
        await after.due()
        lost = await after.one.store.watch_list.claim(ToWatch("b", 10, 0.01, 64, 0.0))
        while not await after.reported():
            await after.watcher.round()

        assert len(lost.ended) == 1
        assert len(await after.reported()) == 1


async def test_two_workers_report_a_new_life_once(redis: Redis) -> None:
    async with ended(redis, reopen=True) as after:
        after.one.one.add()
        await after.due()
        first = await after.one.store.watch_list.claim(ToWatch("b", 10, 40.0, 64, 0.0))
        await after.look()
        clock = Clock(first.now)
        await after.watcher._settle(first.ended[0], await after.watcher._seen(first.ended[0], clock))

        names = [event.name for event in await after.one.events()]
        assert (names.count("reappeared"), names.count("accepted")) == (1, 2)


async def test_a_look_that_shows_nothing_proves_nothing(redis: Redis) -> None:
    async with ended(redis, hasty=True) as after:
        after.one.one.sim.add_fault("hang", verb="look")
        await after.look()

        assert (await after.reported(), await after.planned()) == ([], 1)


@pytest.mark.parametrize("kind", ["error", "gateway"])
async def test_a_last_look_that_a_gateway_answers_is_repeated(redis: Redis, kind: str) -> None:
    async with ended(redis, watch=(0.001,)) as after:
        after.one.one.sim.add_fault(kind, verb="look", times=1)
        await after.look()
        assert (await after.reported(), await after.planned()) == ([], 1)

        after.one.one.add()
        await after.look()
        assert len(await after.reported()) == 1


async def test_looks_wait_while_the_backend_is_paused_and_then_probe_it(redis: Redis) -> None:
    async with ended(redis) as after:
        after.one.one.add()
        await redis.hset("{canceller}:breaker:b", mapping={"open": 1, "fails": 9, "until": 1 << 50})  # type: ignore[misc]
        await after.look()
        assert (await after.reported(), await after.planned()) == ([], 1)

        await redis.hset("{canceller}:breaker:b", "until", "1")  # type: ignore[misc]
        await after.look()
        assert [event.name for event in await after.one.events()][-2:] == ["resumed", "reappeared"]


async def test_a_look_that_may_not_begin_is_asked_for_once_a_second(redis: Redis) -> None:
    async with ended(redis) as after:
        await redis.hset("{canceller}:breaker:b", mapping={"open": 1, "fails": 9, "until": 1 << 50})  # type: ignore[misc]
        await after.due()

        assert await after.watcher.round() == 1.0


@pytest.mark.parametrize("limits", [(0, 0.0), (64, 0.001)], ids=["no-permit", "no-call-left"])
async def test_looks_keep_to_the_limits_of_their_backend(redis: Redis, limits: tuple[int, float]) -> None:
    async with ended(redis) as after:
        await after.due()
        many, rate = limits
        if rate:
            await redis.hset("{canceller}:limit:b", mapping={"tokens": 0, "at": 1 << 60})  # type: ignore[misc]
        found = await after.one.store.watch_list.claim(ToWatch("b", 10, 40.0, many, rate))

        assert found.ended == ()


async def test_a_look_that_asks_for_time_puts_off_the_next(redis: Redis) -> None:
    async with ended(redis, watch=(0.01, 20.0)) as after:
        after.one.backend = replace(after.one.backend, calls=Busy(after.one.one, after.one.backend.calls))
        after.watcher = after.another()
        (now,) = await after.one.store.times()
        await after.look()
        raw: Any = redis
        ((_, due),) = await raw.zrange("{canceller}:watch:b", 0, -1, withscores=True)

        assert due >= (now + ASKED).timestamp() * 1000
