"""A pass that begins before `not_before` makes no call, even if the time comes while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from conformance.dialect import Dialect
from conformance.dialects import DIALECTS
from conformance.whole import Whole, prepare, whole
from redis.asyncio import Redis

from worker.domain.model import Poll
from worker.engine.clock import Clock
from worker.engine.reconcile import PassInput, Reconciliation
from worker.intake.admission import Admission, BackendRules
from worker.store.transitions import Acceptance

COMMANDS = [
    pytest.param(dialect, command, id=f"{dialect.name}-{command}")
    for dialect in DIALECTS
    for command in ("cancel", "delete")
]


class Running(Clock):
    """A clock that advances by half a second each time it is read."""

    def __init__(self, redis: datetime, moments: Iterator[datetime]) -> None:
        super().__init__(redis)
        self.moments = moments

    def now(self) -> datetime:
        return next(self.moments)


def running(start: datetime) -> Iterator[datetime]:
    while True:
        yield start
        start += timedelta(seconds=0.5)


async def scheduled(one: Whole, verb: str) -> tuple[str, datetime]:
    """Take in a command for an hour from now, and make it due at once with an attestation."""
    intake = Admission({"b": BackendRules(one.backend.adapter, one.backend.policy)})
    at = (await one.store.times())[0] + timedelta(hours=1)
    content = {"verb": verb, "backend": "b", "job_id": "1", "not_before": at.isoformat()}
    taken = intake.take(content, "c-1", (await one.store.times())[0])
    assert isinstance(taken, Acceptance), taken
    accepted = await one.store.accept(taken)
    await one.store.act("attest", accepted.cancellation_id, "ann", "it is gone")
    return accepted.cancellation_id, at


@pytest.mark.parametrize("before", [3600.0, 0.1], ids=["an-hour", "a-moment"])
@pytest.mark.parametrize(("dialect", "command"), COMMANDS)
async def test_a_pass_that_begins_too_early_ends_without_a_call(
    redis: Redis, dialect: Dialect, command: str, before: float
) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, command)
        id_, at = await scheduled(one, command)
        claims = await one.claim("w1", unseen=True)
        (claim,) = claims.claims
        clock = Running(claims.now, running(at - timedelta(seconds=before)))
        await Reconciliation(PassInput(claim, claims.lost_at), one.backend, one.store, clock).run()
        seen = await one.store.get(id_)

        assert one.journal == []
        assert seen.record.outcome is None
        assert seen.due_at is not None
        assert abs(seen.due_at - at) <= timedelta(milliseconds=1)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_an_abort_ends_it_before_its_time_without_a_call(redis: Redis, dialect: Dialect) -> None:
    async with whole(redis, dialect, poll=Poll()) as one:
        prepare(one, "cancel")
        id_, _ = await scheduled(one, "cancel")
        await one.store.act("abort", id_, "ann", "a mistake")
        await one.step()
        (*_, finished) = await one.events()

        assert finished.outcome == "aborted"
        assert one.journal == []
