"""Every fault on every call of every dialect: how it is interpreted, and that each call is made exactly once."""

from __future__ import annotations

from typing import Any

import pytest
from conformance.dialect import Dialect
from conformance.dialects import DIALECTS
from conformance.kit import ENDLESS, MAX_REPLY, Bench, bench, spoiled

from worker.domain.model import Action, Answer, AnswerKind, Job, JobState, Observation, Source
from worker.http.credentials import StaticCredential

UNANSWERED, BUSY, REFUSED = AnswerKind.UNANSWERED, AnswerKind.BUSY, AnswerKind.REFUSED
NOT_FOUND = AnswerKind.NOT_FOUND

KINDS: dict[str, tuple[dict[str, Any], AnswerKind]] = {
    "error": ({}, UNANSWERED),
    "error-503": ({"http": 503}, UNANSWERED),
    "error-504": ({"http": 504}, UNANSWERED),
    "error-408": ({"http": 408}, UNANSWERED),
    "error-403": ({"http": 403}, REFUSED),
    "error_after": ({}, UNANSWERED),
    "error_after-502": ({"http": 502}, UNANSWERED),
    "lost_answer": ({}, UNANSWERED),
    "reset": ({}, UNANSWERED),
    "throttled": ({"retry_after": 7}, BUSY),
    "expired_token": ({}, REFUSED),
    "html": ({}, UNANSWERED),
    "html-200": ({"http": 200}, UNANSWERED),
    "html-200-applied": ({"http": 200, "applied": True}, UNANSWERED),
    "html-404": ({"http": 404}, NOT_FOUND),
    "hang": ({}, UNANSWERED),
    "hang-applied": ({"applied": True}, UNANSWERED),
    "truncated": ({}, UNANSWERED),
    "cut_body": ({}, UNANSWERED),
    "big_body": ({}, UNANSWERED),
    "slow_drip": ({}, UNANSWERED),
}
"""Each kind of fault, with its details, and the kind of answer that a spoiled answer may be taken for."""

ABOUT_THE_BODY = frozenset({"truncated", "cut_body", "big_body", "slow_drip"})
"""Faults that leave an answer without a body intact: it is complete and true."""

CALLS = [
    pytest.param(dialect, action, fault, id=f"{dialect.name}-{action}-{fault}")
    for dialect in DIALECTS
    for action in (Action.LOOK, *dialect.changing)
    for fault in KINDS
    if action is not Action.LOOK or not fault.endswith("-applied")
]
CHANGES = [
    pytest.param(dialect, action, id=f"{dialect.name}-{action}") for dialect in DIALECTS for action in dialect.changing
]
LOOKS_AND_CHANGES = [
    pytest.param(dialect, action, id=f"{dialect.name}-{action}")
    for dialect in DIALECTS
    for action in (Action.LOOK, *dialect.changing)
]


async def ready(one: Bench, action: Action) -> Job:
    """Create a job that accepts this call."""
    job = one.add("stuck" if action is Action.FORCE else "finished" if action is Action.DELETE else "runs")
    if action is Action.FORCE:
        await one.call(Action.CANCEL, job)
        one.sim.clock.advance(3600)
    return job


@pytest.mark.parametrize(("dialect", "action", "fault"), CALLS)
async def test_a_spoiled_call_is_never_taken_for_more_than_is_known(
    dialect: Dialect, action: Action, fault: str
) -> None:
    kind = fault.partition("-")[0]
    rule, wanted = KINDS[fault]
    async with bench(dialect, hasty=kind in ENDLESS) as one:
        job = await ready(one, action)
        spoiled(one.sim, kind, verb=dialect.verbs[action], **rule)
        said = await one.do(action, job)

        if wanted is NOT_FOUND and action is Action.LOOK:
            assert isinstance(said, Observation), said
            assert (JobState.GONE, Source.UNSURE) == (said.state, said.source)
            return
        assert isinstance(said, Answer), said
        allowed = {wanted, AnswerKind.ACCEPTED} if kind in ABOUT_THE_BODY and action in dialect.silent else {wanted}
        assert said.kind in allowed, said
        (entry,) = one.asked(action)
        assert said.kind is not AnswerKind.ACCEPTED or entry.effect
        assert said.kind is UNANSWERED or action is Action.LOOK or entry.effect == (said.kind is AnswerKind.ACCEPTED)


@pytest.mark.parametrize(("dialect", "action"), LOOKS_AND_CHANGES)
@pytest.mark.parametrize("seconds", [0, 7, 3600])
async def test_a_throttled_call_keeps_the_wait_that_is_asked_for(
    dialect: Dialect, action: Action, seconds: int
) -> None:
    async with bench(dialect) as one:
        job = await ready(one, action)
        one.sim.add_fault("throttled", verb=dialect.verbs[action], retry_after=seconds)
        said = await one.do(action, job)

    assert isinstance(said, Answer)
    assert (BUSY, 429, seconds) == (said.kind, said.status, said.retry_after)


@pytest.mark.parametrize(("dialect", "action"), LOOKS_AND_CHANGES)
async def test_a_throttled_call_without_a_wait_is_busy_too(dialect: Dialect, action: Action) -> None:
    async with bench(dialect) as one:
        job = await ready(one, action)
        one.sim.add_fault("throttled", verb=dialect.verbs[action], retry_after=None)
        said = await one.do(action, job)

    assert isinstance(said, Answer)
    assert (BUSY, None) == (said.kind, said.retry_after)


@pytest.mark.parametrize(("dialect", "action"), LOOKS_AND_CHANGES)
async def test_one_expired_token_is_renewed_and_the_call_made_again(dialect: Dialect, action: Action) -> None:
    async with bench(dialect, credential=StaticCredential(lambda: "t1", header="X-Auth-Token")) as one:
        job = await ready(one, action)
        one.sim.add_fault("expired_token", verb=dialect.verbs[action], times=1)
        said = await one.do(action, job)

        assert isinstance(said, Observation) or said.kind is AnswerKind.ACCEPTED, said
        assert [401, said_ok(one, action)] == [entry.http for entry in one.asked(action)]
        assert (0 if action is Action.LOOK else 1) == sum(entry.effect for entry in one.asked(action))


def said_ok(one: Bench, action: Action) -> int | None:
    """Return the status of the last request, which must be a success."""
    http = one.asked(action)[-1].http
    assert http is not None
    assert http < 300
    return http


@pytest.mark.parametrize(("dialect", "action"), LOOKS_AND_CHANGES)
async def test_a_second_401_is_the_answer(dialect: Dialect, action: Action) -> None:
    async with bench(dialect, credential=StaticCredential(lambda: "t1", header="X-Auth-Token")) as one:
        job = await ready(one, action)
        one.sim.add_fault("expired_token", verb=dialect.verbs[action])
        said = await one.do(action, job)

        assert isinstance(said, Answer)
        assert (REFUSED, 401) == (said.kind, said.status)
        assert [401, 401] == [entry.http for entry in one.asked(action)]


@pytest.mark.parametrize(("dialect", "action"), CHANGES)
async def test_a_dropped_connection_that_was_kept_alive_makes_one_request(dialect: Dialect, action: Action) -> None:
    async with bench(dialect) as one:
        job = await ready(one, action)
        await one.look(job)
        one.sim.add_fault("reset", verb=dialect.verbs[action], times=1)
        said = await one.call(action, job)

        assert (UNANSWERED, 1) == (said.kind, len(one.asked(action)))


@pytest.mark.parametrize(("dialect", "action"), CHANGES)
async def test_a_padded_answer_within_the_limit_counts(dialect: Dialect, action: Action) -> None:
    async with bench(dialect) as one:
        job = await ready(one, action)
        one.sim.add_fault("big_body", verb=dialect.verbs[action], size=MAX_REPLY)
        said = await one.call(action, job)

        assert AnswerKind.ACCEPTED is said.kind, said


@pytest.mark.parametrize(("dialect", "action"), CHANGES)
async def test_a_backend_that_is_down_leaves_a_call_unanswered(dialect: Dialect, action: Action) -> None:
    async with bench(dialect) as one:
        job = await ready(one, action)
        await one.sim.stop()
        said = await one.call(action, job)

        assert (UNANSWERED, 0) == (said.kind, len(one.asked(action)))
