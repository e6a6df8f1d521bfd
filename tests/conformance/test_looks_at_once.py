"""A look that is due at once after a call is made in the call's pass: fewer steps, the same ends, nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import pytest
from conformance.crowd import AT_ONCE, NO_DELAY, crowd
from conformance.dialect import Dialect
from conformance.dialects import DIALECTS
from conformance.replies.oracle_ess import ESS
from conformance.whole import LONG, Whole, prepare, whole
from redis.asyncio import Redis

from worker.backends.adapter import Reply, Request
from worker.domain.errors import StoreUnavailable
from worker.domain.model import Action, Job, Poll
from worker.engine.backend import Calls
from worker.engine.clock import Clock
from worker.engine.reconcile import PassInput, Reconciliation
from worker.store.store import Store
from worker.store.transitions import Commit, Limits, ToClaim

each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


Happens = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """Do nothing."""


async def a_stop() -> None:
    raise asyncio.CancelledError


async def a_bug() -> None:
    raise LookupError("a bug")


class Died(BaseException):
    """The worker has died; nothing in a pass may catch this."""


async def death() -> None:
    raise Died


@dataclass
class Interrupted:
    """The real client, for a pass in which something happens at the first call after a changing one."""

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


async def told(one: Whole, name: str) -> None:
    """Wait for an event."""
    position, found = "0-0", False
    async with asyncio.timeout(LONG):
        while not found:
            page = await one.store.events(position, block=LONG)
            found = any(event.name == name for _, event in page)
            position = page[-1][0] if page else position


async def names(one: Whole) -> list[str]:
    return [event.name for event in await one.events()]


async def test_a_job_that_stops_at_once_ends_in_the_pass_that_asked(redis: Redis) -> None:
    async with crowd(redis, poll=AT_ONCE, knobs=NO_DELAY) as one:
        await one.accept(["1"])
        claims = await one.store.claim(ToClaim("b", "w1", Limits(1, 60.0, 1, 0.0, 1)))
        await Reconciliation(PassInput(claims.claims[0]), one.backend, one.store, Clock(claims.now)).run()

        (finished,) = await one.wait_for("finished", 1)
        assert [event.name for event in one.events] == ["accepted", "cancel_sent", "finished"]
        assert finished.data["calls"] == {"cancel": 1, "look": 1}


async def test_a_job_that_does_not_stop_at_once_waits_for_its_next_look(redis: Redis) -> None:
    async with crowd(redis, poll=AT_ONCE) as one:
        await one.accept(["1"])
        claims = await one.store.claim(ToClaim("b", "w1", Limits(1, 60.0, 1, 0.0, 1)))
        due = await Reconciliation(PassInput(claims.claims[0]), one.backend, one.store, Clock(claims.now)).run()

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
    """The answer may decide the outcome, and would be lost if the worker died during the look."""
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
            await one.store.act("abort", cancellation_id, "ops", "not that one")

        await one_pass(one, abort)
        assert await names(one) == ["accepted", "cancel_sent"]
        assert (await one.finish("w2")).outcome == "aborted"


async def test_no_look_starts_that_would_outlast_the_lease(redis: Redis) -> None:
    async with whole(redis, ESS) as one:
        prepare(one, "cancel")
        await one.accept("cancel")
        clock = Clock((await one.store.times())[0])

        class Slow(Interrupted):
            async def send(self, request: Request, *, traceparent: str | None = None) -> Reply:
                reply = await super().send(request, traceparent=traceparent)
                clock.started -= one.backend.lease
                return reply

        calls = Slow(one.backend.calls, a_bug)
        (claim,) = (claims := await one.claim("w1")).claims
        given = PassInput(claim, claims.lost_at)
        await Reconciliation(given, replace(one.backend, calls=calls), one.store, clock).run()

        assert one.journal[-1].verb == "cancel"
        assert await names(one) == ["accepted", "cancel_sent"]
        assert (await one.store.get(claim.record.cancellation.id)).record.cancellation.progress.failed_looks == 0


async def test_an_answer_does_not_wait_for_a_look_that_takes_long(redis: Redis) -> None:
    async with whole(redis, ESS) as one:
        prepare(one, "cancel")
        await one.accept("cancel")

        async def die_when_it_is_told() -> None:
            await told(one, "cancel_sent")
            raise Died

        with pytest.raises(Died):
            await one_pass(one, die_when_it_is_told, lease=0.0)
        one.one.sim.clock.advance(one.tick)

        assert (await one.finish("w2")).outcome == "cancelled"
        assert len(one.made(Action.CANCEL)) == 1
        assert await names(one) == ["accepted", "cancel_sent", "finished"]


async def test_and_what_the_late_look_shows_is_handed_in_by_the_same_pass(redis: Redis) -> None:
    async with whole(redis, ESS) as one:
        one.one.sim.set_knobs(NO_DELAY)
        prepare(one, "cancel")
        await one.accept("cancel")

        await one_pass(one, partial(told, one, "cancel_sent"))

        assert await names(one) == ["accepted", "cancel_sent", "finished"]
        assert (await one.events())[-1].data["calls"] == {"cancel": 1, "look": 1}


@dataclass
class Blinking:
    """The real store, in which one commit of an answer fails: it is not stored, or stored without confirmation."""

    store: Store
    stored: bool
    failed: bool = False

    async def commit(self, commit: Commit) -> int:
        fails = commit.mode == "answer" and not self.failed
        self.failed |= fails
        result = 0 if fails and not self.stored else await self.store.commit(commit)
        if fails:
            raise StoreUnavailable("away for a moment")
        return result


@each_dialect
@pytest.mark.parametrize("stored", [False, True], ids=["not-stored", "not-heard"])
async def test_an_answer_that_redis_did_not_take_at_once_is_handed_in_again(
    redis: Redis, dialect: Dialect, *, stored: bool
) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, "cancel")
        await one.accept("cancel")
        store = Blinking(one.store, stored)
        calls = Interrupted(one.backend.calls, partial(told_or_tried, store, one))
        await one.run(await one.claim("w1"), replace(one.backend, calls=calls), cast("Store", store))

        assert (await one.finish("w2")).outcome == "cancelled"
        (sent,) = [event for event in await one.events() if event.name == "cancel_sent"]
        assert sent.data["answer"] != "unanswered"
        assert sum(entry.effect for entry in one.made(Action.CANCEL)) == 1


async def told_or_tried(store: Blinking, one: Whole) -> None:
    """Take longer than an answer waits for its look: until the answer was committed, after a first try that failed."""
    await told(one, "cancel_sent")
    assert store.failed
