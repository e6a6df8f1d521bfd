"""Every dialect's lists over real HTTP: they show what a look at the job alone shows, or leave the job out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from conformance.crowd import params_of
from conformance.dialect import Dialect
from conformance.dialects import DIALECTS, habitual
from conformance.kit import Bench, bench, drive
from conformance.replies.mrs import MRS_V2, MRS_V11
from conformance.replies.oracle_ess import ESS
from conformance.replies.sahara import SAHARA_V2, SAHARA_V11
from msgspec.structs import replace

from worker.domain.model import Action, Answer, Job, Observation

LISTED = [one for one in DIALECTS if next(one.adapter.look_many([Job("1", {"cluster_id": "c1"})] * 10), None)]
LEFT_OUT: Mapping[str, frozenset[str]] = {
    "ess": frozenset({"PAUSED"}),
    "oml": frozenset({"succeeded", "failed"}),
}
"""The states whose jobs are looked at alone: a parent's, and those that end differently than the list says."""

each_listed = pytest.mark.parametrize("dialect", LISTED, ids=lambda dialect: dialect.name)


async def survey(one: Bench, jobs: list[Job]) -> Mapping[str, Observation] | Answer:
    """Look at jobs with a list."""
    exchange: Any = one.dialect.adapter.look_many([replace(job, params=params_of(one.dialect)) for job in jobs])
    seen: Any = await drive(one.http, exchange)
    return seen  # type: ignore[no-any-return]


def crowded(one: Bench, first: int = 100, count: int = 10) -> list[Job]:
    """Create some running jobs, so that a list is worth reading."""
    return [one.add(job_id=str(number)) for number in range(first, first + count)]


async def differing(dialect: Dialect) -> set[str]:
    """Return the states whose jobs a list leaves out; check that it shows the others as a look does."""
    async with bench(dialect) as one:
        fillers = crowded(one)
        jobs = {state: one.add(state=state, job_id=str(number)) for number, state in enumerate(dialect.states, 1)}
        one.sim.clock.advance(100)
        seen = await survey(one, [*jobs.values(), *fillers])
        assert isinstance(seen, Mapping), seen
        for job in (*jobs.values(), *fillers):
            assert job.id not in seen or seen[job.id] == await one.look(job)
        assert not any(entry.effect for entry in one.sim.log())
        return {state for state, job in jobs.items() if job.id not in seen}


def test_all_have_a_list_but_sahara_v11() -> None:
    assert {one.name for one in DIALECTS} - {one.name for one in LISTED} == {SAHARA_V11.name}


@each_listed
async def test_a_list_shows_each_state_as_a_look_does_or_not_at_all(dialect: Dialect) -> None:
    assert await differing(dialect) == LEFT_OUT.get(dialect.system, frozenset())


@pytest.mark.parametrize(
    "dialect",
    [one for one in habitual() if one.name.partition("-")[0] != "sahara" or one.adapter == SAHARA_V2.adapter],
    ids=lambda dialect: dialect.name,
)
async def test_and_so_in_each_reading_of_the_vendors_pages(dialect: Dialect) -> None:
    await differing(dialect)


@each_listed
async def test_a_job_that_is_not_there_is_left_out(dialect: Dialect) -> None:
    async with bench(dialect) as one:
        seen = await survey(one, [*crowded(one), Job("404404")])

        assert isinstance(seen, Mapping)
        assert "404404" not in seen


@each_listed
async def test_a_list_takes_a_tenth_of_the_calls_or_fewer(dialect: Dialect) -> None:
    async with bench(dialect) as one:
        jobs = crowded(one, count=150)
        seen = await survey(one, jobs)

        assert isinstance(seen, Mapping)
        assert set(seen) == {job.id for job in jobs}
        assert len(one.sim.log()) <= 3


@each_listed
async def test_a_list_that_no_longer_pays_is_not_read_on(dialect: Dialect) -> None:
    """Jobs that are far down in a long list are looked at alone."""
    async with bench(dialect) as one:
        crowded(one, first=100, count=450)
        seen = await survey(one, [one.add(job_id=f"9{number}") for number in range(100, 130)])

        assert isinstance(seen, Mapping)
        assert len(one.sim.log()) <= 3


async def test_a_parent_is_looked_at_alone_and_a_child_is_not() -> None:
    async with bench(ESS) as one:
        jobs = crowded(one)
        one.sim.add_job("ess", 1, children=[{"id": 2}])
        seen = await survey(one, [*jobs, Job("1"), Job("2")])

        assert isinstance(seen, Mapping)
        assert seen.keys() - {job.id for job in jobs} == {"2"}
        assert seen["2"] == await one.look(Job("2"))
        assert seen["2"].undeletable


@pytest.mark.parametrize("size", [7, 10, 20, 100])
async def test_ess_pages_may_be_of_any_size(size: int) -> None:
    async with bench(ESS.with_knobs("small", **{"ess.page_size": size})) as one:
        jobs = crowded(one, count=100)
        seen = await survey(one, jobs)

        assert isinstance(seen, Mapping)
        assert len(seen) == min(100, 10 * size)


async def test_an_ess_that_knows_no_or_says_so() -> None:
    async with bench(ESS.with_knobs("and", **{"ess.or_in_q": False})) as one:
        said = await survey(one, crowded(one))

    assert isinstance(said, Answer)
    assert (said.status, "or" in said.detail) == (400, True)


async def test_mrs_v2_finds_all_whatever_its_offset_counts() -> None:
    async with bench(MRS_V2.with_knobs("jobs", **{"mrs.offset_counts": "jobs"})) as one:
        jobs = crowded(one, count=250)
        seen = await survey(one, jobs)

        assert isinstance(seen, Mapping)
        assert len(seen) == 250


async def test_jobs_of_another_cluster_are_left_out() -> None:
    async with bench(MRS_V11) as one:
        jobs = crowded(one)
        one.sim.add_job("mrs", "x", project="p1", cluster="another")
        seen = await survey(one, [*jobs, Job("x")])

        assert isinstance(seen, Mapping)
        assert "x" not in seen


@each_listed
@pytest.mark.parametrize("fault", ["error", "expired_token", "html", "throttled", "truncated", "reset"])
async def test_a_list_that_fails_is_no_list(dialect: Dialect, fault: str) -> None:
    async with bench(dialect) as one:
        jobs = crowded(one)
        one.sim.add_fault(fault, verb="list")

        assert isinstance(await survey(one, jobs), Answer)


@each_listed
async def test_a_list_shows_a_stop_on_its_way_and_at_its_end(dialect: Dialect) -> None:
    async with bench(dialect) as one:
        jobs = crowded(one)
        for job in jobs:
            await one.call(Action.CANCEL, job)
        for seconds in (1, 60):
            one.sim.clock.advance(seconds)
            seen = await survey(one, jobs)
            assert isinstance(seen, Mapping)
            assert seen == {job_id: await one.look(Job(job_id)) for job_id in seen}
            assert len(seen) == (0 if dialect.adapter.steps.cancel_removes else len(jobs))
