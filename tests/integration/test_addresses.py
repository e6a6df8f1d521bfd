"""What addresses a job besides its id: one id at two addresses means two jobs, and each is found."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis
from support.commands import FINISHED, claim, claim_one, command, commit, names

from worker.domain.errors import SeveralOpen
from worker.store.store import Store

HERE, THERE = {"params": {"cluster_id": "a"}}, {"params": {"cluster_id": "b"}}


async def opened(store: Store, job_id: str = "1", command_id: str = "c-1", **fields: Any) -> str:
    accepted = await store.accept(command(job_id, command_id, **fields))
    assert accepted.verdict == "accepted"
    return accepted.cancellation_id


async def test_jobs_with_one_id_at_two_addresses_are_cancelled_apart(store: Store) -> None:
    await opened(store, **HERE)
    await opened(store, command_id="c-2", **THERE)
    await opened(store, command_id="c-3")

    params = [one.record.cancellation.params for one in (await claim(store)).claims]
    assert ["", "a", "b"] == sorted(one.get("cluster_id", "") for one in params)


async def test_a_command_for_the_same_address_joins(store: Store) -> None:
    first = await opened(store, **HERE)
    second = await store.accept(command(command_id="c-2", **HERE))

    assert ("joined", first) == (second.verdict, second.cancellation_id)


async def test_the_end_of_one_leaves_the_other_open(store: Store) -> None:
    await opened(store, **HERE)
    one = await claim_one(store)
    other = await opened(store, command_id="c-2", **THERE)
    await store.commit(commit(one, "finish", facts=FINISHED))

    assert other == await store.open_id("ess", "1")
    assert "accepted" == (await store.accept(command(command_id="c-3", **HERE))).verdict


async def test_an_entry_that_outlived_its_cancellation_is_not_joined(store: Store, redis: Redis) -> None:
    first = await opened(store)
    await store.commit(commit(await claim_one(store), "finish", facts=FINISHED))
    await redis.hset("{canceller}:open:ess", "1", first)  # type: ignore[misc]  # redis-py's own types

    assert first != await opened(store, command_id="c-2")
    assert ["accepted", "finished", "accepted"] == await names(store)


async def test_the_job_that_its_id_alone_addresses_goes_first(store: Store) -> None:
    await opened(store, **HERE)
    plain = await opened(store, command_id="c-2")

    assert plain == await store.open_id("ess", "1")


async def test_the_only_open_one_of_an_id_is_found_without_its_address(store: Store) -> None:
    found = await opened(store, **HERE)
    await opened(store, "12", "c-2", **HERE)

    assert found == await store.open_id("ess", "1")


async def test_several_of_an_id_are_named(store: Store) -> None:
    ids = sorted([await opened(store, **HERE), await opened(store, command_id="c-2", **THERE)])

    with pytest.raises(SeveralOpen, match=rf"name one by its cancellation id: {', '.join(ids)}"):
        await store.open_id("ess", "1")


@pytest.mark.parametrize("job_id", ["*", "?", "[1]", "\\", "1*", "[^x]"])
async def test_an_id_that_reads_like_a_pattern_means_itself(store: Store, job_id: str) -> None:
    await opened(store, **HERE)
    assert "" == await store.open_id("ess", job_id)
    found = await opened(store, job_id, "c-2", **HERE)

    assert found == await store.open_id("ess", job_id)
