"""A few commands are taken in and claimed in one step, which has the same result as two steps."""

from __future__ import annotations

from datetime import timedelta
from math import inf

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from support.commands import LIMITS, command, names, signed

from worker.backends.adapter import Reply, Request
from worker.backends.oracle_ess import OracleEss
from worker.domain.model import Policy
from worker.engine.backend import Backend
from worker.engine.dispatcher import Dispatcher
from worker.observability.outage import Outage
from worker.store.store import Store
from worker.store.transitions import ToClaim


class Calls:
    """A backend that knows no job."""

    async def ready(self) -> None:
        """Need no credential."""

    async def send(self, request: Request, *, traceparent: str | None = None) -> Reply:  # noqa: ARG002
        """Answer that there is no such job."""
        return Reply(404, body=b'{"errorCode": "ESS-00500"}')


@pytest.fixture
def dispatcher(store: Store) -> Dispatcher:
    """A dispatcher that does not claim by itself."""
    adapter = OracleEss()
    return Dispatcher(
        Backend("ess", adapter, Policy(adapter.steps), Calls()), store, "w1", 10, Outage("away", "REDIS_URL")
    )


async def test_a_command_is_worked_on_with_the_step_that_takes_it_in(dispatcher: Dispatcher, store: Store) -> None:
    dispatcher.alarm.at = inf
    await dispatcher.accept([command()])
    assert len(dispatcher._window.passes) == 1
    await dispatcher.stop(30)

    assert "cancel_sent" in await names(store)


async def test_a_command_that_nothing_is_due_for_makes_the_next_claim_come_at_once(
    dispatcher: Dispatcher, store: Store
) -> None:
    later = (await store.times())[0] + timedelta(hours=1)
    dispatcher.alarm.at = inf
    (accepted,) = await dispatcher.accept([replace(command(), not_before=later)])

    assert (accepted.verdict, len(dispatcher._window.passes), dispatcher.alarm.at) == ("accepted", 0, 0.0)


async def test_the_same_command_again_is_the_same(dispatcher: Dispatcher) -> None:
    first = await dispatcher.accept([command()])
    again = await dispatcher.accept([command()])
    await dispatcher.stop(30)

    assert [one.verdict for one in (*first, *again)] == ["accepted", "same"]
    assert first[0].cancellation_id == again[0].cancellation_id


ASKED = ToClaim("ess", "w1", LIMITS, unseen=True)


async def test_a_command_for_an_open_cancellation_joins_it_and_another_is_claimed(store: Store) -> None:
    await store.accept(command("1", "c-1"))
    accepted, claims = await store.accept_and_claim([command("1", "c-2", verb="delete"), command("2", "c-3")], ASKED)

    assert [one.verdict for one in accepted] == ["joined", "accepted"]
    assert [one.record.cancellation.job_id for one in claims.claims] == ["1", "2"]


async def test_a_signature_that_was_used_is_replayed(store: Store) -> None:
    first, again = signed("ops", "c-1", job_id="1"), signed("ops", "c-2", job_id="2")
    accepted, claims = await store.accept_and_claim([first, replace(again, signed=first.signed)], ASKED)

    assert [one.verdict for one in accepted] == ["accepted", "replayed"]
    assert len(claims.claims) == 1


async def test_a_hold_whose_time_is_over_is_released_by_the_claim(store: Store, redis: Redis) -> None:
    accepted = await store.accept(command("1", "c-1"))
    await store.act("hold", accepted.cancellation_id, "ann", "wait", more={"for": 60_000})
    await redis.hset("{canceller}:clock", "o", 61_000)
    await store.accept_and_claim([command("2", "c-2")], ASKED)

    assert "released" in await names(store)


async def test_while_the_backend_is_paused_what_is_taken_in_is_parked_and_claimed_once_that_is_over(
    store: Store, redis: Redis
) -> None:
    await redis.hset("{canceller}:breaker:ess", mapping={"open": 1, "until": 10**15})
    _, paused = await store.accept_and_claim([command("1", "c-1")], ASKED)
    await redis.delete("{canceller}:breaker:ess")
    _, resumed = await store.accept_and_claim([command("2", "c-2")], ASKED)

    assert (paused.paused, len(paused.claims)) == (True, 0)
    assert sorted(one.record.cancellation.job_id for one in resumed.claims) == ["1", "2"]
