"""A look that is due at once after a call comes within the call's pass: fewer steps, the same ends, nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from conformance.crowd import PATIENCE, Counting, Crowd, crowd, numbers
from conformance.dialects import DIALECTS, ESS, MRS_V11, Dialect
from conformance.whole import Whole, prepare, whole
from redis.asyncio import Redis

from worker.backends.base import CALLS_SAVED, Reply, Request
from worker.bunch import ALONE, ENOUGH, LISTS, Bunch, Shown
from worker.clock import Clock
from worker.engine import Engine
from worker.model import Action, Job, Poll
from worker.reconcile import Pass
from worker.remote import Calls
from worker.survey import Surveyor
from worker.transitions import Limits, ToClaim

AT_ONCE = Poll(0.0, 60.0)
each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
NO_DELAY = {"ess.cancel_delay": 0.0, "mrs.cancel_delay": 0.0, "sahara.engine_delay": 0.0}


Happens = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """Nothing happens."""


async def a_stop() -> None:
    raise asyncio.CancelledError


async def a_bug() -> None:
    raise LookupError("a bug")


class Died(BaseException):
    """The worker is no more; nothing in a pass may catch this."""


async def death() -> None:
    raise Died


@dataclass
class Interrupted:
    """The real client, for a pass to which something happens in the first call that follows a changing one."""

    calls: Calls
    happens: Happens
    changed: bool = False
    pending: bool = False

    async def ready(self) -> None:
        await self.calls.ready()
        self.pending = True

    async def send(self, request: Request, *, traceparent: str | None = None) -> Reply:
        if self.changed:
            await self.happens()
        reply = await self.calls.send(request, traceparent=traceparent)
        self.changed, self.pending = self.pending, False
        return reply


async def one_pass(one: Whole, happens: Happens = nothing, lease: float | None = None) -> None:
    """Make one pass over the only record, in which something may happen before the look at once."""
    claims = await one.claim("w1", lease)
    await one.run(claims, replace(one.backend, calls=Interrupted(one.backend.calls, happens)))


async def names(one: Whole) -> list[str]:
    return [event.name for event in await one.events()]


async def test_a_job_that_stops_at_once_ends_in_the_pass_that_asked(redis: Redis) -> None:
    async with crowd(redis, poll=AT_ONCE, knobs=NO_DELAY) as one:
        await one.accept(["1"])
        claims = await one.store.claim(ToClaim("b", "w1", Limits(1, 60.0, 1, 0.0, 1)))
        await Pass(claims.claims[0], one.backend, one.store, Clock(claims.now)).run(None, blind=False)

        (finished,) = await one.wait_for("finished", 1)
        assert [event.name for event in one.events] == ["accepted", "cancel_sent", "finished"]
        assert finished.data["calls"] == {"cancel": 1, "look": 1}


async def test_a_job_that_does_not_stop_at_once_waits_for_its_next_look(redis: Redis) -> None:
    async with crowd(redis, poll=AT_ONCE) as one:
        await one.accept(["1"])
        claims = await one.store.claim(ToClaim("b", "w1", Limits(1, 60.0, 1, 0.0, 1)))
        due = await Pass(claims.claims[0], one.backend, one.store, Clock(claims.now)).run(None, blind=False)

        assert due is not None
        await one.wait_for("cancel_sent", 1)
        assert [event.name for event in one.events] == ["accepted", "cancel_sent"]
        assert await one.store.open_id("b", "1")
        assert one.looks == ["1"]


@each_dialect
async def test_what_is_due_later_is_handed_in_without_a_look(redis: Redis, dialect: Dialect) -> None:
    async with whole(redis, dialect, poll=Poll(60.0, 60.0)) as one:
        prepare(one, "cancel")
        await one.accept("cancel")
        await one_pass(one)

        assert one.journal[-1].verb == dialect.verbs[Action.CANCEL]
        assert await names(one) == ["accepted", "cancel_sent"]


async def test_what_a_backend_said_to_a_force_is_handed_in_before_any_look(redis: Redis) -> None:
    async with whole(redis, ESS) as one:
        prepare(one, "force")
        await one.accept("force")
        while "force_sent" not in await names(one):
            one.one.sim.clock.advance(one.tick)
            await one.step()

        assert one.journal[-1].verb == "force"


OTHER_ANSWERS = [
    pytest.param("cancelled", {}, 400, id="rejected"),
    pytest.param("runs", {"http": 429, "retry_after": 0}, 429, id="busy"),
    pytest.param("runs", {"http": 503}, None, id="unanswered"),
]


@pytest.mark.parametrize(("life", "fault", "status"), OTHER_ANSWERS)
async def test_all_but_a_yes_is_handed_in_before_any_look(
    redis: Redis, life: str, fault: dict[str, int], status: int | None
) -> None:
    """It may decide the outcome, and would be lost with a worker that dies in the look."""
    async with whole(redis, ESS) as one:
        prepare(one, "cancel")
        if life == "cancelled":
            await one.one.call(Action.CANCEL, Job("1"))
            one.one.sim.clock.advance(1)
        if fault:
            one.one.sim.add_fault("error", verb="cancel", **fault)
        await one.accept("cancel")
        await one_pass(one, death)

        (sent,) = [event for event in await one.events() if event.name == "cancel_sent"]
        assert (sent.data["answer"]["status"] if status else sent.data["answer"]) == (status or "unanswered")


# what happens in between


@each_dialect
@pytest.mark.parametrize(
    ("happens", "error"), [(a_stop, asyncio.CancelledError), (a_bug, LookupError)], ids=["stop", "bug"]
)
async def test_the_answer_does_not_go_with_the_look(
    redis: Redis, dialect: Dialect, happens: Happens, error: type[BaseException]
) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, "cancel")
        await one.accept("cancel")
        with pytest.raises(error):
            await one_pass(one, happens)

        (sent,) = [event for event in await one.events() if event.name == "cancel_sent"]
        assert sent.data["answer"] != "unanswered"
        assert (await one.finish("w2")).outcome == "cancelled"
        await one.check("cancel")


@each_dialect
async def test_a_worker_that_died_in_the_look_is_replaced(redis: Redis, dialect: Dialect) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, "cancel")
        await one.accept("cancel")
        with pytest.raises(Died):
            await one_pass(one, death, lease=0.0)
        one.one.sim.clock.advance(one.tick)
        await one.finish("w2")

        await one.check("cancel")
        assert sum(entry.effect for entry in one.made(Action.CANCEL)) == 1


async def test_an_abort_in_between_is_obeyed_and_the_answer_kept(redis: Redis) -> None:
    async with whole(redis, ESS) as one:
        one.one.sim.set_knobs(NO_DELAY)
        prepare(one, "cancel")
        cancellation_id = await one.accept("cancel")

        async def abort() -> None:
            await one.store.abort(cancellation_id, "ops: not that one")

        await one_pass(one, abort)
        assert await names(one) == ["accepted", "cancel_sent"]
        assert (await one.finish("w2")).outcome == "aborted"


@pytest.mark.parametrize(("left", "lists"), [(LISTS + 1.5, True), (LISTS + 0.5, False)])
async def test_no_list_is_waited_for_that_would_outlast_the_lease(redis: Redis, left: float, *, lists: bool) -> None:
    async with crowd(redis, poll=AT_ONCE, knobs=NO_DELAY) as one:
        await one.accept(numbers(ENOUGH))
        claims = await one.store.claim(ToClaim("b", "w1", Limits(ENOUGH, 60.0, 100, 0.0, 100)))
        clock = Clock(claims.now)
        clock.started -= one.backend.lease - left * one.backend.policy.timeout
        bunch = Bunch(Surveyor(one.backend), lambda: ENOUGH)
        passes = [Pass(claim, one.backend, one.store, clock, bunch=bunch) for claim in claims.claims]
        await asyncio.gather(*(each.run(None, blind=False) for each in passes))

        assert (one.lists > 0) is lists
        assert len(await one.wait_for("finished", ENOUGH)) == ENOUGH


async def test_no_look_starts_that_would_outlast_the_lease(redis: Redis) -> None:
    async with whole(redis, ESS) as one:
        prepare(one, "cancel")
        await one.accept("cancel")
        clock = Clock(await one.store.now())

        class Slow(Interrupted):
            async def send(self, request: Request, *, traceparent: str | None = None) -> Reply:
                reply = await super().send(request, traceparent=traceparent)
                clock.started -= one.backend.lease
                return reply

        calls = Slow(one.backend.calls, a_bug)
        (claim,) = (claims := await one.claim("w1")).claims
        await Pass(claim, replace(one.backend, calls=calls), one.store, clock).run(claims.suspect, blind=False)

        assert one.journal[-1].verb == "cancel"
        assert await names(one) == ["accepted", "cancel_sent"]
        assert (await one.store.get(claim.record.cancellation.id)).record.cancellation.progress.failed_looks == 0


# together


async def a_list_of(one: Crowd) -> None:
    """Wait until a list is on its way."""
    async with asyncio.timeout(PATIENCE):
        while not one.lists:  # noqa: ASYNC110 - a backend tells nobody
            await asyncio.sleep(0)


async def see(one: Crowd, count: int, company: int) -> tuple[int, int]:
    """Look at so many jobs at once; return how many a list showed, and how many calls their passes pay for."""
    bunch = Bunch(Surveyor(one.backend), lambda: company)
    for job_id in numbers(count):
        one.one.add("runs", job_id)
    shown = await asyncio.gather(*(bunch.see(Job(job_id)) for job_id in numbers(count)))
    await bunch.aclose()
    return sum(one.observation is not None for one in shown), sum(one.calls for one in shown)


@pytest.mark.parametrize(
    ("count", "company", "expected"),
    [
        pytest.param(CALLS_SAVED - 1, 100, (0, 0), id="too few for a list"),
        pytest.param(ENOUGH, 100, (ENOUGH, 2), id="a list shows them all"),
        pytest.param(ENOUGH, CALLS_SAVED - 1, (0, 0), id="no company, no wait"),
        pytest.param(60, 100, (60, 6), id="a call is paid for every ten"),
    ],
)
async def test_looks_come_together(redis: Redis, count: int, company: int, expected: tuple[int, int]) -> None:
    async with crowd(redis) as one:
        assert await see(one, count, company) == expected
        assert one.lists == (expected[1] > 0)


async def test_where_no_list_can_be_read_each_looks_alone(redis: Redis) -> None:
    async with crowd(redis) as one:
        one.one.sim.add_fault("error", verb="list", times=1000)

        assert await see(one, ENOUGH, 100) == (0, 2)


async def test_a_list_that_hangs_is_waited_for_once(redis: Redis) -> None:
    async with crowd(redis, patience=0.3) as one:
        one.one.sim.add_fault("hang", verb="list", times=1000)
        bunch = Bunch(Surveyor(one.backend), lambda: 100)
        first = asyncio.gather(*(bunch.see(Job(job_id)) for job_id in numbers(ENOUGH)))
        await a_list_of(one)
        second = asyncio.gather(*(bunch.see(Job(job_id)) for job_id in numbers(ENOUGH)))

        assert {*await first, *await second} == {ALONE, Shown(None, 1)}
        assert one.lists == 1


async def test_jobs_that_no_list_fits_do_not_turn_lists_off(redis: Redis) -> None:
    async with crowd(redis, MRS_V11) as one:
        surveyor = Surveyor(one.backend)
        bunch = Bunch(surveyor, lambda: 100)
        shown = await asyncio.gather(*(bunch.see(Job(job_id)) for job_id in numbers(ENOUGH)))

        assert set(shown) == {ALONE}
        assert surveyor.ready


async def test_who_waits_for_a_bunch_that_closes_is_cancelled_after_its_list_has_ended(redis: Redis) -> None:
    async with crowd(redis) as one:
        one.one.sim.add_fault("hang", verb="list", times=1000)
        calls = Counting(one.backend.calls)
        bunch = Bunch(Surveyor(replace(one.backend, calls=calls)), lambda: 100)
        waiters = [asyncio.create_task(bunch.see(Job(job_id))) for job_id in numbers(ENOUGH)]
        left: list[int] = []
        for waiter in waiters:
            waiter.add_done_callback(lambda _: left.append(calls.now))
        await a_list_of(one)
        late = asyncio.create_task(bunch.see(Job("99")))
        await asyncio.sleep(0)
        await bunch.aclose()
        await asyncio.wait([*waiters, late], timeout=PATIENCE)

        assert all(waiter.cancelled() for waiter in [*waiters, late])
        assert left == [0] * ENOUGH


async def test_a_stop_frees_no_permit_while_a_list_is_on_its_way(redis: Redis) -> None:
    most = ENOUGH
    async with crowd(redis, max_in_flight=most, poll=AT_ONCE, knobs=NO_DELAY) as one:
        one.one.sim.add_fault("hang", verb="list", times=1000)
        calls = Counting(one.backend.calls)
        one.backend = replace(one.backend, calls=calls)
        await one.accept(numbers(4 * most))
        other = Engine(one.store, {"b": replace(one.backend, look_many=False)}, 200)
        async with one.engine(), asyncio.timeout(PATIENCE):
            await a_list_of(one)
            await other.start()
        async with asyncio.timeout(PATIENCE):
            await one.wait_for("cancel_sent", 2 * most)
        await other.stop(0.0)

        assert calls.most <= most


@pytest.mark.parametrize("most", [1, 2, 16, 40])
async def test_never_more_calls_are_in_flight_than_may_be(redis: Redis, most: int) -> None:
    async with crowd(redis, max_in_flight=most, poll=AT_ONCE, knobs=NO_DELAY) as one:
        calls = Counting(one.backend.calls)
        one.backend = replace(one.backend, calls=calls)
        await one.accept(numbers(80))

        assert await one.finish(80) == {"cancelled": 80}
        assert calls.most <= most
        assert sorted(one.asked("cancel")) == sorted(numbers(80))


async def test_looks_at_once_are_paid_for(redis: Redis) -> None:
    rate, count = 1000.0, 20
    async with crowd(redis, rate=rate, poll=AT_ONCE, knobs=NO_DELAY) as one:
        await one.accept(numbers(count))
        claims = await one.store.claim(ToClaim("b", "w1", Limits(count, 60.0, 100, rate, 100)))
        bunch = Bunch(Surveyor(one.backend), lambda: count)
        passes = [Pass(claim, one.backend, one.store, Clock(claims.now), bunch=bunch) for claim in claims.claims]
        await asyncio.gather(*(each.run(None, blind=False) for each in passes))

        left: Any = await redis.hget("{canceller}:limit:b", "tokens")  # type: ignore[misc]
        assert len(passes) == count
        assert len(one.one.sim.log()) <= rate / 10 - float(left)
