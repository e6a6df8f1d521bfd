"""The intent of a first cancel, noted with the claim: when this is done, and what it means once the worker is gone."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from support.commands import LATER, LIMITS, Anything, claim, command, commit

from worker.backends.adapter import Adapter, Reply, Request
from worker.domain.cancellation import Intent
from worker.domain.model import Action, Policy
from worker.engine.backend import Backend
from worker.engine.engine import Engine
from worker.store.store import Store
from worker.store.transitions import Claims, ToClaim


async def unseen(store: Store, worker: str = "w1", lease: float = 40.0) -> Claims:
    return await store.claim(ToClaim("ess", worker, replace(LIMITS, lease=lease), unseen=True))


async def noted(store: Store) -> bool:
    (one,) = (await unseen(store)).claims
    return one.noted


async def test_a_first_cancel_is_noted(store: Store) -> None:
    await store.accept(command())

    assert await noted(store)


async def test_none_is_where_a_look_comes_first(store: Store) -> None:
    await store.accept(command())

    assert not (await claim(store)).claims[0].noted


@pytest.mark.parametrize("fields", [{"verb": "delete"}, {"give_up_after": 0.0001}], ids=["delete", "too-late"])
async def test_none_is_where_no_cancel_comes(store: Store, fields: dict[str, Any]) -> None:
    await store.accept(command(**fields))

    assert not await noted(store)


async def test_none_is_for_an_aborted_one(store: Store) -> None:
    taken = await store.accept(command())
    await store.act("abort", taken.cancellation_id, "ops", "not that one")

    assert not await noted(store)


async def test_none_is_for_what_a_pass_has_seen(store: Store) -> None:
    await store.accept(command())
    (one,) = (await claim(store)).claims
    await store.commit(commit(one, "wait", due=one.record.cancellation.accepted_at))

    assert not await noted(store)


async def test_none_is_where_redis_may_have_forgotten(redis: Redis, store: Store) -> None:
    await claim(store)
    await store.accept(command())
    await redis.hset("{canceller}:server", "run_id", "another")

    assert not await noted(store)


async def test_the_worker_gets_the_record_as_it_was(store: Store) -> None:
    await store.accept(command())
    (one,) = (await unseen(store)).claims

    assert one.record.cancellation.progress.intent is None


async def test_who_claims_it_next_finds_the_intent_open(store: Store) -> None:
    await store.accept(command())
    first = await unseen(store, lease=0.0)
    (again,) = (await unseen(store, "w2")).claims

    assert Intent(Action.CANCEL, "1", first.now) == again.record.cancellation.progress.intent
    assert not again.noted


async def test_it_keeps_its_lease_when_its_worker_dies(store: Store) -> None:
    await store.accept(command())
    await unseen(store)
    await store.beat("w2", 5.0, ["ess"])

    assert () == (await unseen(store, "w2")).claims


async def test_one_that_a_dead_worker_left_survives_a_refused_intent(store: Store) -> None:
    taken = await store.accept(command())
    await unseen(store, lease=0.0)
    (again,) = (await unseen(store, "w2")).claims
    await store.accept(command(command_id="c-2", verb="delete"))

    assert 0 == await store.commit(commit(again, "intent"))
    assert (await store.get(taken.cancellation_id)).record.cancellation.progress.intent is not None


class SlowStore(Store):
    """The real store, whose claims take long enough for a stop to come in between."""

    asked: asyncio.Event

    async def claim(self, one: ToClaim) -> Claims:
        claims = await super().claim(one)
        self.asked.set()
        await asyncio.sleep(0.05)
        return claims


class NoCalls:
    """The calls of a worker that must make none."""

    async def ready(self) -> None: ...

    async def send(self, request: Request, *, traceparent: str | None = None) -> Reply:
        raise AssertionError((request, traceparent))


async def test_a_worker_that_stops_takes_back_what_it_noted_for_nothing(redis: Redis, store: Store) -> None:
    slow = SlowStore(redis, "canceller")
    slow.asked = asyncio.Event()
    await store.accept(command())
    engine = Engine(slow, {"ess": Backend("ess", cast("Adapter", Anything()), Policy(Anything.steps), NoCalls())})
    await engine.start()
    await slow.asked.wait()
    await engine.stop()

    (one,) = (await unseen(store, "w2")).claims
    assert one.record.cancellation.progress.intent is None


@pytest.mark.parametrize("mode", ["wait", "intent", "finish"])
async def test_it_is_over_with_the_pass(store: Store, mode: str) -> None:
    taken = await store.accept(command())
    (one,) = (await unseen(store)).claims
    if mode != "wait":
        await store.accept(command(command_id="c-2", verb="delete"))  # so that the commit is rejected
    await store.commit(commit(one, mode, due=LATER, facts=()))

    assert (await store.get(taken.cancellation_id)).record.cancellation.progress.intent is None
