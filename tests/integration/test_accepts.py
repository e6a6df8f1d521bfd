"""A few commands are taken in and claimed on one way to Redis."""

from __future__ import annotations

from datetime import timedelta
from math import inf

import pytest
from msgspec.structs import replace
from support.commands import command, names

from worker.backends.adapter import Reply, Request
from worker.backends.oracle_ess import OracleEss
from worker.domain.model import Policy
from worker.engine.backend import Backend
from worker.engine.dispatcher import Dispatcher
from worker.observability.outage import Outage
from worker.store.store import Store


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
