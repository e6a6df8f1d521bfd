"""A worker that dies at any step of a pass, and another that finishes its work: the same end, nothing done twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from conformance.dialect import Dialect
from conformance.dialects import DIALECTS
from conformance.whole import Whole, prepare, whole
from redis.asyncio import Redis

from worker.backends.adapter import Reply, Request
from worker.domain.model import Action, Poll
from worker.engine.backend import Calls
from worker.engine.reconcile import FRESH
from worker.store.store import Store
from worker.store.transitions import Commit

BEFORE, AFTER = "before", "after"
MODES = ("intent", "wait", "finish")


class Died(BaseException):
    """The worker has died; nothing in a pass may catch this."""


@dataclass
class DyingCalls:
    """The real client, in a worker that dies just before or after its `nth` changing call."""

    calls: Calls
    when: str
    nth: int
    changing: bool = False
    made: int = 0

    async def ready(self) -> None:
        await self.calls.ready()
        self.changing = True

    async def send(self, request: Request, *, traceparent: str | None = None) -> Reply:
        fatal = self.changing and self.made + 1 == self.nth
        self.made += self.changing
        self.changing = False
        if fatal and self.when == BEFORE:
            raise Died
        reply = await self.calls.send(request, traceparent=traceparent)
        if fatal:
            raise Died
        return reply


@dataclass
class DyingStore:
    """The real store, for a worker that dies just before or after its `nth` commit of one mode."""

    store: Store
    when: str
    mode: str
    nth: int
    made: int = field(default=0)

    async def commit(self, commit: Commit) -> int:
        self.made += commit.mode == self.mode
        fatal = commit.mode == self.mode and self.made == self.nth
        if fatal and self.when == BEFORE:
            raise Died
        result = await self.store.commit(commit)
        if fatal:
            raise Died
        return result


def steps(dialect: Dialect, command: str) -> Sequence[Action]:
    return dialect.steps[command]


RUNS = [(dialect, command) for dialect in DIALECTS for command in dialect.steps]
CALLS = [
    pytest.param(dialect, command, when, nth, id=f"{dialect.name}-{command}-{when}-{steps(dialect, command)[nth - 1]}")
    for dialect, command in RUNS
    for when in (BEFORE, AFTER)
    for nth in range(1, len(steps(dialect, command)) + 1)
]
COMMITS = [
    pytest.param(dialect, command, when, mode, nth, id=f"{dialect.name}-{command}-{when}-{mode}-{nth}")
    for dialect, command in RUNS
    for when in (BEFORE, AFTER)
    for mode in MODES
    for nth in range(1, 2 if mode == "finish" else 1 + len(steps(dialect, command)))
]
UNSEEN = [one for one in CALLS if not one.values[0].adapter.steps.look_before_cancel]
"""The cases in which the intent of a first cancel can be noted with its claim."""
COMMANDS = [pytest.param(dialect, command, id=f"{dialect.name}-{command}") for dialect, command in RUNS]


def claimed(calls: Sequence[Any], *, unseen: bool) -> list[Any]:
    """Add to each case, and to its id, whether claims note intents."""
    return [pytest.param(*one.values, unseen, id=f"{one.id}{'-noted' * unseen}") for one in calls]


async def die(one: Whole, **changes: Any) -> None:
    """Make passes until the worker dies; by default, its leases are over at once."""
    with pytest.raises(Died):
        await passes(one, **{"lease": 0.0, **changes})


async def passes(one: Whole, **changes: Any) -> None:
    while await one.step("w1", **changes):
        one.one.sim.clock.advance(one.tick)


async def ends_right(one: Whole, command: str) -> None:
    """Let a second worker finish; check what must be true at every end, and that each step was done once."""
    one.one.sim.clock.advance(one.tick)
    await one.finish("w2")
    finished = await one.check(command)
    assert {"cancel": "cancelled", "delete": "deleted", "force": "force_cancelled"}[command] == finished.outcome
    assert all(1 == sum(entry.effect for entry in one.made(step)) for step in steps(one.one.dialect, command))


@pytest.mark.parametrize(("dialect", "command"), COMMANDS)
async def test_a_worker_that_died_with_a_fresh_claim_is_replaced(redis: Redis, dialect: Dialect, command: str) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, command)
        await one.accept(command)
        await one.store.beat("w1", 5.0, ["b"])
        assert 1 == len((await one.claim("w1")).claims)
        await one.store.leave("w1")
        await one.store.beat("w2", 5.0, ["b"])

        await ends_right(one, command)


@pytest.mark.parametrize(
    ("dialect", "command", "when", "nth", "unseen"), [*claimed(CALLS, unseen=False), *claimed(UNSEEN, unseen=True)]
)
async def test_a_worker_that_died_around_a_call_is_replaced(
    redis: Redis, dialect: Dialect, command: str, when: str, nth: int, *, unseen: bool
) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, command)
        await one.accept(command)
        calls = DyingCalls(one.backend.calls, when, nth)
        await die(one, backend=replace(one.backend, calls=calls), unseen=unseen)
        made = len(one.made(steps(dialect, command)[nth - 1]))
        assert made == (when == AFTER)

        await ends_right(one, command)
        said = [event.data["answer"] for event in await one.events() if event.name.endswith("_sent")]
        assert "unanswered" in said


@pytest.mark.parametrize(("dialect", "command", "when", "mode", "nth"), COMMITS)
async def test_a_worker_that_died_around_a_commit_is_replaced(
    redis: Redis, dialect: Dialect, command: str, when: str, mode: str, nth: int
) -> None:
    poll = Poll(0.001, 0.001) if mode == "wait" else Poll(0.0, 0.0)  # after a look at once there is no `wait` commit
    async with whole(redis, dialect, poll=poll) as one:
        prepare(one, command)
        await one.accept(command)
        await die(one, store=DyingStore(one.store, when, mode, nth))

        await ends_right(one, command)


@pytest.mark.parametrize(("dialect", "command", "when", "nth"), CALLS)
async def test_an_open_intent_is_nobodys_until_its_lease_is_over(
    redis: Redis, dialect: Dialect, command: str, when: str, nth: int
) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, command)
        await one.accept(command)
        calls = DyingCalls(one.backend.calls, when, nth)
        await die(one, backend=replace(one.backend, calls=calls), lease=one.backend.lease)
        await one.store.leave("w1")
        await one.store.beat("w2", 5.0, ["b"])

        assert () == (await one.claim("w2")).claims


@pytest.mark.parametrize(("dialect", "command"), COMMANDS)
async def test_what_was_noted_with_the_claim_of_a_dead_worker_counts_as_unanswered(
    redis: Redis, dialect: Dialect, command: str
) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, command)
        await one.accept(command)
        (claim,) = (await one.claim("w1", lease=0.0, unseen=True)).claims
        await one.step("w2")

        said = [event.data["answer"] for event in await one.events() if event.name == "cancel_sent"]
        assert ("unanswered" in said) is claim.noted
        await ends_right(one, command)


@pytest.mark.parametrize(("dialect", "command"), COMMANDS)
async def test_an_intent_that_was_noted_with_the_claim_holds_for_a_moment(
    redis: Redis, dialect: Dialect, command: str
) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, command)
        await one.accept(command)
        claims = await one.claim("w1", unseen=True)
        await one.store.act("abort", claims.claims[0].record.cancellation.id, "ops", "not that one")
        await one.run(claims, late=2 * FRESH)

        changing = {one.one.dialect.verbs[step] for step in steps(dialect, command)}
        assert not any(entry.verb in changing for entry in one.journal)
        assert "aborted" == (await one.finish("w2")).outcome


@pytest.mark.parametrize(("dialect", "command"), COMMANDS)
async def test_a_worker_that_lost_its_claim_writes_nothing_more(redis: Redis, dialect: Dialect, command: str) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, command)
        await one.accept(command)
        late = await one.claim("w1", lease=0.0)
        ended = await one.finish("w2")
        before = len(one.journal)
        await one.run(late)

        assert [ended.id] == [event.id for event in (await one.events())[-1:]]
        changing = {one.one.dialect.verbs[step] for step in steps(dialect, command)}
        assert not any(entry.verb in changing for entry in one.journal[before:])
