"""Whole passes over a real Redis and real HTTP: every dialect, every command, every fault; the reported end is true."""

from __future__ import annotations

from typing import Any

import pytest
from conformance.dialect import Dialect
from conformance.dialects import DIALECTS, each_dialect, habitual
from conformance.kit import ENDLESS, spoiled
from conformance.whole import prepare, whole
from redis.asyncio import Redis

from worker.domain.model import Action, Poll
from worker.simulator import Clock

FAULTS: dict[str, dict[str, Any]] = {
    "error": {},
    "error_after": {},
    "lost_answer": {},
    "reset": {},
    "throttled": {"retry_after": 0},
    "expired_token": {},
    "html": {},
    "html-200": {"http": 200},
    "html-200-applied": {"http": 200, "applied": True},
    "truncated": {},
    "hang": {},
    "hang-applied": {"applied": True},
    "error-twice": {"times": 2},
    "reset-twice": {"times": 2},
    "lost_answer-twice": {"times": 2},
    "throttled-twice": {"times": 2, "retry_after": 0},
}
READS = ("error", "reset", "throttled", "expired_token", "html", "html-200", "truncated", "hang", "error-twice")
"""The faults that differ for a call that changes nothing."""

LIVES = ("runs", "waits", "finished", "failed", "race", "absent", "forbidden")
STEPS = [(dialect, command) for dialect in DIALECTS for command in dialect.steps]
SILENT = {
    ("get_after_delete=500", "cancel", "absent"),
    ("get_after_delete=500", "delete", "absent"),
    ("delete_finished=400", "delete", "finished"),
}
"""Cases in which Oracle ML, read this way, never says that there is no job, or how to remove it: they time out."""
MISTAKEN = {("sahara-v1.1-mode=sync", "cancel", "runs"), ("sahara-v1.1-mode=sync", "cancel", "race")}
"""Sahara before September 2014 answered a cancel with the record after it, which looks like a record from before."""

CASES = [
    pytest.param(dialect, command, action, fault, id=f"{dialect.name}-{command}-{action}-{fault}")
    for dialect, command in STEPS
    for action in (Action.LOOK, *dialect.steps[command])
    for fault in (FAULTS if action is not Action.LOOK else READS)
]
COMMANDS = [pytest.param(dialect, command, id=f"{dialect.name}-{command}") for dialect, command in STEPS]
LAST_STEPS = [
    pytest.param(dialect, command, action, id=f"{dialect.name}-{command}-{action}")
    for dialect, command in STEPS
    for action in dialect.steps[command]
]
HABITUAL = [
    pytest.param(dialect, command, life, id=f"{dialect.name}-{command}-{life}")
    for dialect in habitual()
    for command in ("cancel", "delete")
    for life in ("runs", "finished", "race", "absent")
    if (dialect.name.rpartition("-")[2], command, life) not in SILENT and (dialect.name, command, life) not in MISTAKEN
]


@pytest.mark.parametrize(("dialect", "command", "action", "fault"), CASES)
async def test_one_fault_changes_nothing_about_the_end(
    redis: Redis, dialect: Dialect, command: str, action: Action, fault: str
) -> None:
    kind = fault.partition("-")[0]
    async with whole(redis, dialect, hasty=kind in ENDLESS) as one:
        prepare(one, command)
        spoiled(one.one.sim, kind, verb=dialect.verbs[action], **{"times": 1, **FAULTS[fault]})
        await one.accept(command)
        await one.finish()

        finished = await one.check(command)
        assert {"cancel": "cancelled", "delete": "deleted", "force": "force_cancelled"}[command] == finished.outcome
        assert all(1 == sum(entry.effect for entry in one.made(step)) for step in dialect.steps[command])


@pytest.mark.parametrize(("dialect", "command"), COMMANDS)
@pytest.mark.parametrize("life", LIVES)
async def test_each_life_ends_as_it_truly_did(redis: Redis, dialect: Dialect, command: str, life: str) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, command, life)
        await one.accept(command)
        await one.finish()

        await one.check(command)


@pytest.mark.parametrize(("dialect", "command", "life"), HABITUAL)
async def test_each_reading_of_the_vendors_pages_ends_right(
    redis: Redis, dialect: Dialect, command: str, life: str
) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, command, life)
        await one.accept(command)
        await one.finish()

        await one.check(command)


@pytest.mark.parametrize("life", sorted(life for _, _, life in MISTAKEN))
async def test_an_end_in_the_answer_of_an_old_sahara_counts_as_before_the_call(redis: Redis, life: str) -> None:
    (old,) = [dialect for dialect in habitual() if dialect.name == "sahara-v1.1-mode=sync"]
    async with whole(redis, old) as one:
        prepare(one, "cancel", life)
        await one.accept("cancel")

        assert (await one.finish()).outcome == "already_finished"


@pytest.mark.parametrize("dialect", list(habitual()), ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("command", ["cancel", "delete"])
async def test_lost_answers_end_right_in_each_reading(redis: Redis, dialect: Dialect, command: str) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, command)
        for action in dialect.steps[command]:
            one.one.sim.add_fault("lost_answer", verb=dialect.verbs[action], times=1)
        await one.accept(command)
        await one.finish()

        await one.check(command)


@each_dialect
@pytest.mark.parametrize("life", ["finished", "failed"])
async def test_a_lost_answer_about_an_ended_job_is_told_as_doubt_or_proven(
    redis: Redis, dialect: Dialect, life: str
) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, "cancel", life)
        one.one.sim.clock.advance(3600)
        one.one.sim.add_fault("lost_answer", verb=dialect.verbs[Action.CANCEL], times=1)
        await one.accept("cancel")
        finished = await one.finish()

        proven = not one.made(Action.CANCEL) or dialect.system == "ess"
        assert ("already_finished" if proven else "completed_anyway") == finished.outcome
        assert proven or "unanswered" in finished.data["detail"]
        assert not any(entry.effect for entry in one.journal)


@pytest.mark.parametrize(("dialect", "command", "action"), LAST_STEPS)
async def test_a_401_after_a_renewal_is_refused_once_it_has_lasted(
    redis: Redis, dialect: Dialect, command: str, action: Action
) -> None:
    async with whole(redis, dialect, poll=Poll(first=0.02, max=0.02)) as one:
        prepare(one, command)
        one.one.sim.add_fault("expired_token", verb=dialect.verbs[action])
        await one.accept(command)
        await one.finish()

        assert "refused" == (await one.check(command)).outcome
        made = [entry.http for entry in one.made(action)]
        assert {401} == set(made)
        assert len(made) >= 6  # three answers, each after a renewal


@pytest.mark.parametrize(("dialect", "command", "action"), LAST_STEPS)
async def test_a_repeat_comes_poll_first_later_at_the_earliest(
    redis: Redis, dialect: Dialect, command: str, action: Action
) -> None:
    speed = 200.0 if command == "force" else 1.0
    async with whole(redis, dialect, poll=Poll(first=0.03, max=0.03), clock=Clock(speed)) as one:
        prepare(one, command)
        one.one.sim.add_fault("error", verb=dialect.verbs[action], times=1)
        await one.accept(command)
        await one.finish()

        await one.check(command)
        first, second = (entry.at for entry in one.made(action))
        assert second - first >= 0.03 * speed


@pytest.mark.parametrize(("dialect", "command"), COMMANDS)
async def test_a_second_command_after_the_end_opens_a_new_cancellation(
    redis: Redis, dialect: Dialect, command: str
) -> None:
    async with whole(redis, dialect) as one:
        prepare(one, command)
        first = await one.accept(command)
        ended = await one.finish()
        again = await one.accept(command, command_id="c-2")
        finished = await one.finish()

        assert first != again == finished.cancellationid
        kept = command != "delete" and not dialect.adapter.steps.cancel_removes
        assert ("already_finished" if kept else "not_found") == finished.outcome
        assert ended.outcome in {"cancelled", "deleted", "force_cancelled"}
        one.check_calls()
