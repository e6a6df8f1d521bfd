"""A backends file that points elsewhere: commands accepted for another place are left alone until that is back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from conformance.crowd import PATIENCE, Crowd, crowd, numbers
from conformance.dialect import Dialect
from conformance.dialects import DIALECTS
from conformance.replies.mrs import MRS_V11
from conformance.replies.oracle_ess import ESS
from redis.asyncio import Redis
from structlog.testing import capture_logs

from worker.domain.model import Poll
from worker.engine.clock import Clock
from worker.engine.reconcile import PassInput, Reconciliation
from worker.intake.admission import Admission, BackendRules
from worker.observability.outage import SELDOM, Seldom
from worker.store.transitions import Acceptance, Limits, ToClaim

HERE, THERE = "oracle-ess at https://here.example.com", "oracle-ess at https://there.example.com"
SOON = timedelta(milliseconds=20)
each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


async def accept(one: Crowd, place: str = HERE, **fields: Any) -> str:
    """Create a job and take in a command to cancel it, for a backend at this place; return the cancellation's id."""
    one.one.add("runs", "1")
    door = BackendRules(one.backend.adapter, one.backend.policy, place=place)
    params = {"cluster_id": "c1"} if one.backend.adapter.params else {}
    command = {"verb": "cancel", "backend": "b", "job_id": "1", "params": params, **fields}
    taken = Admission({"b": door}).take(command, "c-1")
    assert isinstance(taken, Acceptance), taken
    return (await one.store.accept(taken)).cancellation_id


async def step(one: Crowd, place: str = THERE, *, unseen: bool = False) -> None:
    """Make one pass over what is due or about to be, for the backend at this place."""
    wanted = ToClaim("b", "w1", Limits(100, 60.0, 100, 0.0, 100), unseen)
    claims = await one.store.claim(wanted)
    while not claims.claims and claims.next_due is not None and claims.next_due <= claims.now + SOON:
        claims = await one.store.claim(wanted)
    for claim in claims.claims:
        backend = replace(one.backend, place=place)
        await Reconciliation(PassInput(claim), backend, one.store, Clock(claims.now)).run()


async def names(one: Crowd) -> list[str]:
    return [event.name for _, event in await one.store.events("0-0")]


@pytest.mark.parametrize("unseen", [False, True], ids=["looking-first", "intent-noted-with-the-claim"])
@each_dialect
async def test_what_was_accepted_for_another_place_is_not_called(redis: Redis, dialect: Dialect, unseen: bool) -> None:  # noqa: FBT001 - a table's column
    async with crowd(redis, dialect) as one:
        found = await accept(one)
        await step(one, unseen=unseen and not dialect.adapter.steps.look_before_cancel)
        progress = (await one.store.get(found)).record.cancellation.progress

        assert (one.one.sim.log(), await names(one), progress.intent) == ([], ["accepted"], None)
        assert "the backends file points elsewhere now" in progress.note


async def test_a_job_that_was_asked_to_stop_elsewhere_is_not_concluded_about(redis: Redis) -> None:
    async with crowd(redis, poll=Poll(0.0, 0.0)) as one:
        found = await accept(one)
        await step(one, HERE)
        one.one.sim.world.put(replace(one.one.sim.world.jobs["ess", "1"], deleted_at=0.0))
        await step(one)

        assert (await one.store.get(found)).record.outcome is None
        assert await names(one) == ["accepted", "cancel_sent"]


async def test_a_file_that_points_back_goes_on_with_it(redis: Redis) -> None:
    async with crowd(redis, poll=Poll(0.0, 0.0)) as one:
        await accept(one)
        await step(one)
        await step(one, HERE)
        one.stop_all()
        await step(one, HERE)

        assert await names(one) == ["accepted", "cancel_sent", "finished"]


async def abort(one: Crowd, found: str) -> None:
    await one.store.act("abort", found, "ops", "it moved")


async def wait(_one: Crowd, _found: str) -> None:
    """Do nothing: `give_up_after` passes by itself."""


ENDS: dict[str, tuple[dict[str, Any], Callable[[Crowd, str], Awaitable[None]], str, str]] = {
    "an abort": ({}, abort, "aborted", "withdrawn by ops: it moved"),
    "the end of give_up_after": ({"give_up_after": 0.001}, wait, "timed_out", "the backends file points elsewhere now"),
}


@pytest.mark.parametrize(("fields", "end", "outcome", "detail"), ENDS.values(), ids=ENDS.keys())
async def test_it_still_ends(
    redis: Redis, fields: dict[str, Any], end: Callable[[Crowd, str], Awaitable[None]], outcome: str, detail: str
) -> None:
    async with crowd(redis) as one:
        await end(one, await accept(one, **fields))
        (finished,) = [event for event in await _ended(one) if event.name == "finished"]

        assert (finished.outcome, one.one.sim.log()) == (outcome, [])
        assert detail in finished.data["detail"]


async def _ended(one: Crowd) -> Any:
    backend = replace(one.backend, place=THERE)
    async with replace(one, backend=backend).engine():
        await one.wait_for("finished", 1)
    return one.events


@pytest.mark.parametrize("kept", ["", HERE], ids=["of-an-older-version", "of-this-place"])
async def test_what_is_not_known_to_be_elsewhere_is_worked_on(redis: Redis, kept: str) -> None:
    async with crowd(redis) as one:
        await accept(one, kept)
        await step(one, HERE)

        assert await names(one) == ["accepted", "cancel_sent"]


async def test_it_says_nothing_of_how_the_backend_does(redis: Redis) -> None:
    async with crowd(redis, poll=Poll(0.0, 0.0)) as one:
        await accept(one)
        for _ in range(3):
            await step(one)

        assert await redis.keys("{canceller}:breaker:*") == []


async def test_it_does_not_ride_in_lists(redis: Redis) -> None:
    async with crowd(redis, MRS_V11, place=HERE) as one:
        await one.ask(numbers(20))
        moved = replace(one, backend=replace(one.backend, place=THERE))
        async with moved.engine(), asyncio.timeout(PATIENCE):
            while not all([await failed_looks(one, one_id) for one_id in numbers(20)]):  # noqa: ASYNC110 - a record tells nobody
                await asyncio.sleep(0)

        assert one.one.sim.log() == []


async def failed_looks(one: Crowd, job_id: str) -> int:
    found = await one.store.get(await one.store.open_id("b", job_id))
    return found.record.cancellation.progress.failed_looks


async def test_a_join_opens_nothing_new(redis: Redis) -> None:
    async with crowd(redis) as one:
        found = await accept(one)

        assert found == await accept(one, THERE, command_id="c-2")
        assert await names(one) == ["accepted", "joined"]


async def test_it_is_told_in_the_log_once_a_minute_at_most(redis: Redis) -> None:
    now = [0.0]
    async with crowd(redis, ESS, poll=Poll(0.0, 0.0), moved=Seldom(lambda: now[0])) as one:
        await accept(one)
        with capture_logs() as lines:
            for now[0] in (0.0, 1.0, SELDOM - 1, SELDOM, SELDOM + 1):
                await step(one)

        told = [line for line in lines if line["event"] == "backend.moved"]
        assert [(line["backend"], line["place"]) for line in told] == [("b", THERE)] * 2
