"""No changing call begins once a hold is acknowledged, whenever it comes and whichever worker dies around it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
from conformance.dialect import Dialect
from conformance.dialects import DIALECTS
from conformance.replies.oracle_ess import ESS
from conformance.whole import FORCE_AFTER, Whole, prepare, whole
from redis.asyncio import Redis

from worker.backends.adapter import Reply, Request
from worker.domain.cancellation import OperatorHold
from worker.domain.errors import ActionRejected
from worker.domain.model import Action, JobState, Observation, Source
from worker.engine.backend import Calls
from worker.engine.clock import Clock
from worker.engine.reconcile import PassInput, Reconciliation

LEASE = 0.5
"""Seconds: the record of a killed pass is free again soon, and no pass takes nearly as long."""
AROUND = 0.025
"""Seconds from the start of a pass within which a hold comes: most passes are over by then."""
MOMENTS = range(25)
LONG = 60.0


@dataclass
class Watched:
    """The real calls of a backend; notes those that begin while the cancellation is held."""

    calls: Calls
    one: Whole
    begun: list[Request] = field(default_factory=list)

    async def ready(self) -> None:
        await self.calls.ready()

    async def send(self, request: Request, *, traceparent: str | None = None) -> Reply:
        names = [event.name for event in await self.one.events() if event.name in {"held", "released"}]
        if names and names[-1] == "held" and request.method != "GET":
            self.begun.append(request)
        return await self.calls.send(request, traceparent=traceparent)


async def passes(one: Whole, found: str, least: int = 0) -> OperatorHold | None:
    """Make passes until the hold is acknowledged or all has ended, and so many more; return the hold."""
    async with asyncio.timeout(LONG):
        while True:
            seen = (await one.store.get(found)).record
            hold = seen.cancellation.spec.hold
            if seen.outcome is not None or ((hold is None or hold.announced) and least <= 0):
                return hold if seen.outcome is None else None
            least -= await stepped(one)


async def stepped(one: Whole) -> bool:
    """Make a pass if any is due; say whether one was.

    Nobody can claim the record of a killed pass until its lease is over. Meanwhile the backend's clock stands still: if
    it ran ahead of ours, a job's end could seem to be before the call that caused it.
    """
    made = await one.step(lease=LEASE)
    if made:
        one.one.sim.clock.advance(one.tick)
    return made


async def ends(one: Whole, found: str) -> None:
    """Make passes until the cancellation has ended."""
    async with asyncio.timeout(LONG):
        while (await one.store.get(found)).record.outcome is None:
            await stepped(one)


@pytest.mark.parametrize("kill", [False, True], ids=["alive", "killed"])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("command", ["cancel", "delete", "force"])
async def test_no_changing_call_begins_after_the_acknowledgement(
    redis: Redis, command: str, moment: int, *, kill: bool
) -> None:
    chance = Random(f"{command} {moment} {kill}")  # noqa: S311 - chance, not secrets
    async with whole(redis, ESS) as one:
        watched = Watched(one.backend.calls, one)
        one.backend = replace(one.backend, calls=watched)
        prepare(one, command)
        found = await one.accept(command)
        if command == "force":
            await one.step()
            one.one.sim.clock.advance(FORCE_AFTER)
        run = asyncio.create_task(one.step(lease=LEASE, unseen=True))
        await asyncio.sleep(chance.uniform(0, AROUND))
        if kill:
            run.cancel()
        try:
            await one.store.act("hold", found, "ann", "wait")
            await asyncio.gather(run, return_exceptions=True)
            if await passes(one, found, least=4):
                await one.store.act("release", found, "ann", "go on")
        except ActionRejected:
            await asyncio.gather(run, return_exceptions=True)  # the cancellation had already ended
        await ends(one, found)

        assert watched.begun == []
        await one.check(command)


# Dry runs and expectations, by each adapter


def changing(one: Whole) -> list[str]:
    verbs = {one.one.dialect.verbs[action] for action in one.one.dialect.changing}
    return [entry.verb for entry in one.journal if entry.verb in verbs]


async def raw_state(one: Whole) -> str:
    """The job's state as a look shows it, in the backend's own word."""
    found = await one.accept("cancel", dry_run=True)
    assert (await one.finish()).outcome == "planned"
    return (await one.store.get(found)).record.cancellation.progress.raw


@pytest.mark.parametrize("verb", ["cancel", "delete"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_dry_run_looks_and_sends_nothing(redis: Redis, dialect: Dialect, verb: str) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, verb)
        await one.accept(verb, dry_run=True)
        ended = await one.finish()

        assert ended.outcome == "planned"
        assert ended.data["plan"]["would"] == verb
        assert ended.data["plan"]["raw_state"] == ended.data["raw_state"]
        assert ended.data["calls"].keys() == {"look"}
        assert changing(one) == []
        assert await one.left_over() == {}


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_dry_run_of_a_job_that_is_not_there_plans_nothing(redis: Redis, dialect: Dialect) -> None:
    async with whole(redis, dialect) as one:
        await one.accept("delete", dry_run=True, job_id="404")
        ended = await one.finish()

        assert (ended.outcome, ended.data["plan"]["would"]) == ("planned", "nothing")
        assert changing(one) == []


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_job_in_the_state_that_a_dry_run_told_is_cancelled(redis: Redis, dialect: Dialect) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, "cancel")
        expect = {"raw_state": await raw_state(one)}
        intake_id = await one.accept("cancel", command_id="c-2", expect=expect)
        ended = await one.finish()

        assert (ended.cancellationid, ended.outcome) == (intake_id, "cancelled")


@pytest.mark.parametrize("verb", ["cancel", "delete"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_job_in_another_state_is_left(redis: Redis, dialect: Dialect, verb: str) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, verb)
        await one.accept(verb, expect={"raw_state": "NO SUCH STATE"})
        ended = await one.finish()

        assert (ended.outcome, ended.data["evidence"]) == ("changed", "none")
        assert changing(one) == []


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_held_job_is_looked_at_and_cancelled_once_it_is_released(redis: Redis, dialect: Dialect) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, "cancel")
        found = await one.accept("cancel")
        await one.store.act("hold", found, "ann", "wait")
        for _ in range(3):
            await one.step(unseen=True)
        untouched = changing(one)
        looks = (await one.store.get(found)).record.cancellation.progress.looks
        await one.store.act("release", found, "ann", "go on")
        ended = await one.finish()

        assert (untouched, looks) == ([], 3)
        assert ended.outcome == "cancelled"
        assert Action.CANCEL in one.one.dialect.verbs


STALE = Observation(JobState.ACTIVE, "BLOCKED", Source.OWN, "1")
"""What an outdated list may show of a job that runs."""


@pytest.mark.parametrize(
    ("fields", "calls"),
    [
        pytest.param({"expect": {"raw_state": "RUNNING"}}, ["cancel"], id="an-expectation"),
        pytest.param({"dry_run": True}, [], id="a-dry-run"),
    ],
)
async def test_what_a_list_shows_is_looked_at_alone_before_it_ends_anything(
    redis: Redis, fields: dict[str, Any], calls: list[str]
) -> None:
    async with whole(redis, ESS) as one:
        prepare(one, "cancel")
        found = await one.accept("cancel", **fields)
        claims = await one.claim("w1")
        (claim,) = claims.claims
        given = PassInput(claim, claims.lost_at, listed=STALE)
        await Reconciliation(given, one.backend, one.store, Clock(claims.now)).run()
        seen = (await one.store.get(found)).record

        assert seen.outcome != "changed"
        assert changing(one) == calls
        assert one.journal[0].verb == "look"
        assert seen.cancellation.progress.raw != "BLOCKED"
