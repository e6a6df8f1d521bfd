"""Selecting from a backend's lists over real HTTP: every page, and no job that was not meant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from conformance.kit import START

from worker.backends.registry import TABLES
from worker.cli.batch.listing import ListingError, listed, where_problems
from worker.domain.errors import CallUnanswered
from worker.settings.backends_file.backend_table import BackendConfig
from worker.simulator import Clock, Simulator

HOUR = 3600.0


@asynccontextmanager
async def ess(**knobs: object) -> AsyncIterator[tuple[Simulator, BackendConfig]]:
    """Start an ESS with a few requests, three on a page."""
    async with Simulator(clock=Clock(0, start=START), knobs={"ess": {"page_size": 3, **knobs}}) as sim:
        for number in range(1, 9):
            sim.add_job("ess", 300_100 + number, submitter="ann" if number % 2 else "bob", age=number * HOUR)
        sim.add_job("ess", 300_200, "waits", submitter="ann")
        table = {"kind": "oracle-ess", "base_url": sim.base_url("ess"), "auth": {"type": "none"}}
        yield sim, TABLES["oracle-ess"].model_validate(table)


async def numbers(config: BackendConfig, **where: str) -> list[int]:
    """Return the last digits of the requests that are listed."""
    found = [page async for page in listed(config, {key.replace("_", "-"): value for key, value in where.items()})]
    return [int(job_id) % 1000 for page in found for job_id in page]


@pytest.mark.parametrize("times", ["utc", "naive"])
async def test_all_must_hold_on_every_page(times: str) -> None:
    async with ess(times=times) as (_, config):
        assert await numbers(config, state="RUNNING") == [101, 102, 103, 104, 105, 106, 107, 108]
        assert await numbers(config, submitter="ann") == [101, 103, 105, 107, 200]
        assert await numbers(config, state="RUNNING", submitter="ann", older_than="4h") == [105, 107]
        assert await numbers(config, state="HOLD") == []


async def test_a_request_that_leaves_the_list_moves_no_other_one() -> None:
    async with ess() as (sim, config):
        pages = listed(config, {"state": "RUNNING"})
        first = await anext(pages)
        sim.add_job("ess", 300_101, "finished")
        rest = [job_id for page in [page async for page in pages] for job_id in page]

    assert [int(job_id) % 1000 for job_id in (*first, *rest)] == [101, 102, 103, 104, 105, 106, 107, 108]


async def test_a_server_that_heeds_no_filter_selects_nothing() -> None:
    async with ess(heeds_q=False) as (_, config):
        with pytest.raises(ListingError, match=r"it shows request 300102, whose submitter is not what was asked for"):
            await numbers(config, submitter="ann")


async def test_a_call_without_an_answer_selects_nothing() -> None:
    async with ess() as (sim, config):
        sim.add_fault("reset", system="ess", verb="list")
        with pytest.raises(CallUnanswered):
            await numbers(config, submitter="ann")


async def test_an_error_names_the_backend_and_what_it_said() -> None:
    async with ess() as (sim, config):
        sim.add_fault("error", system="ess", verb="list", http=403)
        with pytest.raises(ListingError, match=rf"^{config.base_url}: the list of requests can't be read"):
            await numbers(config, submitter="ann")


async def test_a_key_that_is_none_is_told_with_those_that_are() -> None:
    async with ess() as (_, config):
        (text,) = where_problems(config, "ess", {"sate": "RUNNING"})

    assert text == "ess (oracle-ess) can't list by 'sate', only by state, older-than or submitter; did you mean state?"


def test_a_backend_that_can_not_list_says_who_can() -> None:
    table = {"kind": "oracle-ml", "base_url": "https://oml.example.com", "auth": {"type": "none"}}
    (text,) = where_problems(TABLES["oracle-ml"].model_validate(table), "oml", {"state": "RUNNING"})

    assert text.startswith("oml (oracle-ml) can't list its jobs by any key; oracle-ess: state (")
    assert text.endswith("Give ids in a file")
