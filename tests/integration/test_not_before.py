"""Commands that may not be acted on yet, against a real Redis: when they come due, and how joins change that."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from support.commands import INTAKE, LIMITS, claim, claim_one, command, commit

from worker.domain.cancellation import Progress
from worker.store.codec import Snapshot
from worker.store.store import Store
from worker.store.transitions import Acceptance, ToClaim

HOUR = timedelta(hours=1)


async def scheduled(store: Store, hours: float = 1.0, command_id: str = "c-1", **fields: Any) -> Acceptance:
    now = (await store.times())[0]
    text = (now + hours * HOUR).isoformat()
    content = {"verb": "cancel", "backend": "ess", "job_id": "1", "not_before": text, **fields}
    taken = INTAKE.take(content, command_id, now)
    assert isinstance(taken, Acceptance), taken
    return taken


async def opened(store: Store, **fields: Any) -> Snapshot:
    accepted = await store.accept(await scheduled(store, **fields))
    return await store.get(accepted.cancellation_id)


def patience(seen: Snapshot) -> timedelta:
    """The time from `not_before` to `give_up_at`."""
    spec = seen.record.cancellation.spec
    assert spec.not_before
    return spec.give_up_at - spec.not_before


async def test_it_comes_due_at_its_time_and_is_given_up_after_that(store: Store) -> None:
    seen = await opened(store, give_up_after=60)
    ((_, event),) = await store.events("0-0")

    assert seen.due_at == seen.record.cancellation.spec.not_before
    assert patience(seen) == timedelta(seconds=60)
    assert not (await claim(store)).claims
    assert event.data["not_before"]


async def test_a_time_that_has_passed_is_due_at_once(store: Store) -> None:
    await store.accept(await scheduled(store, hours=-1))
    assert (await claim_one(store)).record.cancellation.spec.not_before is None


async def test_no_intent_is_noted_with_a_claim_that_comes_too_early(store: Store) -> None:
    seen = await opened(store)
    await store.act("attest", seen.record.cancellation.id, "ann", "it is gone")
    (one,) = (await store.claim(ToClaim("ess", "w1", LIMITS, unseen=True))).claims

    assert not one.noted
    assert one.record.cancellation.progress.intent is None


async def test_a_pass_that_came_too_early_leaves_the_first_one_ahead(store: Store) -> None:
    seen = await opened(store)
    await store.act("attest", seen.record.cancellation.id, "ann", "it is gone")
    early = await claim_one(store)
    at = seen.record.cancellation.spec.not_before
    await store.commit(commit(early, "wait", due=at, progress=Progress(next="begin")))
    after = await store.get(seen.record.cancellation.id)

    assert after.due_at == at
    assert not after.record.polled


async def test_a_later_command_without_a_time_makes_it_due_at_once(store: Store) -> None:
    first = await opened(store, give_up_after=60)
    await store.accept(command(command_id="c-2", give_up_after=1))
    seen = await store.get(first.record.cancellation.id)
    (*_, (_, joined)) = await store.events("0-0")

    assert (await claim(store)).claims
    assert seen.record.cancellation.spec.revision == 1
    assert seen.record.cancellation.spec.not_before <= (await store.times())[0]
    assert patience(seen) == timedelta(seconds=60)
    assert joined.name == "joined"
    assert joined.data["not_before"] < first.record.cancellation.spec.not_before.isoformat()


@pytest.mark.parametrize(("first", "second"), [(2.0, 1.0), (1.0, 2.0)], ids=["an earlier one", "a later one"])
async def test_of_two_times_the_earlier_one_holds(store: Store, first: float, second: float) -> None:
    one = await opened(store, hours=first)
    await store.accept(await scheduled(store, hours=second, command_id="c-2"))
    spec = (await store.get(one.record.cancellation.id)).record.cancellation.spec
    left = spec.not_before - (await store.times())[0]

    assert HOUR - timedelta(minutes=5) < left <= HOUR
    assert spec.revision == int(second < first)


async def test_a_longer_wait_for_the_end_counts_from_the_time(store: Store) -> None:
    one = await opened(store, give_up_after=60)
    await store.accept(await scheduled(store, command_id="c-2", give_up_after=600))

    assert patience(await store.get(one.record.cancellation.id)) == timedelta(seconds=600)


async def test_one_that_has_begun_is_not_put_off(store: Store) -> None:
    first = await store.accept(command())
    await store.accept(await scheduled(store, command_id="c-2"))

    assert (await claim_one(store)).record.cancellation.spec.not_before is None
    assert (await store.get(first.cancellation_id)).record.cancellation.spec.revision == 0


async def test_its_command_id_is_known_until_its_time_and_longer(store: Store, redis: Redis) -> None:
    await store.accept(await scheduled(store, hours=29 * 24))
    (slot,) = [name async for name in redis.scan_iter("{canceller}:cmd:*")]

    assert await store.find_command("c-1")
    assert await redis.ttl(slot) > 31 * 86400
    assert (await store.accept(await scheduled(store, hours=29 * 24))).verdict in {"same", "conflict"}
