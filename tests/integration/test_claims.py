"""Claims against a real Redis: who may work on what, when it comes due again, and what a paused backend holds up."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis
from support.commands import FINISHED, LATER, claim, claim_one, command, commit, names

from worker.domain.cancellation import Intent, Progress
from worker.domain.model import Action
from worker.store.store import Store
from worker.store.transitions import Limits


async def test_two_workers_never_claim_the_same_record(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}") for index in range(50)])
    limits = Limits(30, 40.0, 100, 0.0, 75)
    first, second = await asyncio.gather(claim(store, "w1", limits=limits), claim(store, "w2", limits=limits))
    ids = [one.record.cancellation.id for one in (*first.claims, *second.claims)]

    assert 50 == len(ids) == len(set(ids))


async def test_claims_never_exceed_what_may_be_in_flight(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}") for index in range(10)])
    limits = Limits(10, 40.0, 4, 0.0, 3)

    assert 4 == len((await claim(store, "w1", limits=limits)).claims)
    assert 0 == len((await claim(store, "w2", limits=limits)).claims)


async def test_a_rate_bounds_claims(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}") for index in range(10)])
    limits = Limits(10, 40.0, 100, 5.0, 75)
    claims = await claim(store, limits=limits)

    assert 1 == len(claims.claims)
    assert claims.next_due is not None


async def test_interactive_records_go_before_batch_ones(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}", lane="batch") for index in range(20)])
    await store.accept(command("urgent", "c-urgent"))
    claims = await claim(store, limits=Limits(1, 40.0, 100, 0.0, 75))

    assert ["urgent"] == [one.record.cancellation.job_id for one in claims.claims]


async def test_the_batch_lane_leaves_slots_free(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}", lane="batch") for index in range(20)])
    limits = Limits(8, 40.0, 8, 0.0, 6)

    assert 6 == len((await claim(store, limits=limits)).claims)
    await store.accept(command("urgent", "c-urgent"))
    assert 1 == len((await claim(store, limits=limits)).claims)


async def test_what_a_dead_worker_held_comes_back_with_the_next_beat(store: Store) -> None:
    await store.accept(command())
    await store.beat("w1", 5.0, ["ess"])
    await claim_one(store, "w1")
    await store.beat("w2", 5.0, ["ess"])
    assert () == (await claim(store, "w2")).claims

    await store.leave("w1")
    await store.beat("w2", 5.0, ["ess"])
    assert 1 == len((await claim(store, "w2")).claims)


async def test_an_open_intent_keeps_its_whole_lease(store: Store) -> None:
    await store.accept(command())
    one = await claim_one(store, "w1")
    progress = Progress(intent=Intent(Action.CANCEL, "1", one.record.cancellation.accepted_at))
    await store.commit(commit(one, "intent", progress=progress))
    await store.beat("w2", 5.0, ["ess"])

    assert () == (await claim(store, "w2")).claims


async def test_a_claim_that_lost_its_lease_is_fenced(store: Store) -> None:
    await store.accept(command())
    one = (await claim(store, "w1", limits=Limits(1, 0.0, 100, 0.0, 75))).claims[0]
    other = await claim_one(store, "w2")

    assert -1 == await store.commit(commit(one, "finish", facts=FINISHED))
    assert 1 == await store.commit(commit(other, "finish", facts=FINISHED))


async def test_a_backend_that_fails_too_often_is_paused_and_said_so(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}") for index in range(4)])
    claims = await claim(store)
    for one in claims.claims[:2]:
        await store.commit(commit(one, "wait", due=claims.now, matters=LATER, verdict="bad:2:60000", calls=1))
    paused = await claim(store)

    assert (True, ()) == (paused.paused, paused.claims)
    assert "paused" == (await names(store))[-1]
    assert not (await claim(store, backend="oml")).paused


async def test_what_matters_without_a_call_goes_on_while_paused(store: Store) -> None:
    accepted = await store.accept(command())
    one = await claim_one(store)
    await store.commit(commit(one, "wait", due=LATER, matters=LATER, verdict="bad:1:60000", calls=1))
    await store.act("abort", accepted.cancellation_id, "ops", "not wanted")
    paused = await claim(store)

    assert paused.paused
    assert [accepted.cancellation_id] == [one.record.cancellation.id for one in paused.claims]


async def test_work_returns_after_a_pause(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}") for index in range(3)])
    claims = await claim(store)
    for one in claims.claims:
        await store.commit(commit(one, "wait", due=claims.now, matters=LATER, verdict="bad:3:0", calls=1))
    probe = await claim(store)
    assert 1 == len(probe.claims)
    await store.commit(commit(probe.claims[0], "wait", due=LATER, matters=LATER, verdict="ok", calls=1))

    assert "resumed" == (await names(store))[-1]
    assert 2 == len((await claim(store)).claims)


async def test_a_server_that_we_do_not_know_makes_old_records_suspect(store: Store, redis: Redis) -> None:
    await store.accept(command())
    assert (await claim(store)).lost_at is None
    await redis.hset("{canceller}:server", "run_id", "another")  # type: ignore[misc]

    suspect = await claim(store)
    assert suspect.lost_at == suspect.now


async def test_a_record_of_a_newer_format_is_left_alone(store: Store, redis: Redis) -> None:
    accepted = await store.accept(command())
    key = f"{{canceller}}:hot:{accepted.cancellation_id}"
    hot = await redis.get(key)
    await redis.set(key, hot.replace(b'"f":1', b'"f":9'))

    assert () == (await claim(store)).claims
    assert b'"f":9' in await redis.get(key)


async def test_what_a_dead_worker_held_goes_before_the_backlog(store: Store) -> None:
    await store.accept(command("held", "c-held"))
    await claim_one(store, "dead")
    await store.accept_all([command(str(index), f"c-{index}") for index in range(20)])
    await store.beat("w1", 5.0, ["ess"])
    claims = await claim(store, "w1", limits=Limits(1, 40.0, 100, 0.0, 75))

    assert [one.record.cancellation.job_id for one in claims.claims] == ["held"]


async def test_a_dead_workers_open_intent_holds_no_permit(store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}") for index in range(2)])
    limits = Limits(1, 40.0, 1, 0.0, 1)
    (one,) = (await claim(store, "dead", limits=limits)).claims
    progress = Progress(intent=Intent(Action.CANCEL, "1", one.record.cancellation.accepted_at))
    await store.commit(commit(one, "intent", progress=progress))
    assert not (await claim(store, "w1", limits=limits)).claims

    await store.beat("w1", 5.0, ["ess"])
    claims = await claim(store, "w1", limits=limits)

    assert len(claims.claims) == 1
    assert claims.claims[0].record.cancellation.id != one.record.cancellation.id


async def test_a_record_that_cannot_be_read_stops_no_other(redis: Redis, store: Store) -> None:
    taken = await store.accept_all([command(str(index), f"c-{index}") for index in range(3)])
    await redis.set(f"{{canceller}}:hot:{taken[1].cancellation_id}", "no record\n")
    claims = await claim(store)

    assert ["0", "2"] == sorted(one.record.cancellation.job_id for one in claims.claims)
    assert 1 == await redis.zcard("{canceller}:due:ess:if")


async def test_progress_that_cannot_be_read_stops_no_other(redis: Redis, store: Store) -> None:
    taken = await store.accept_all([command(str(index), f"c-{index}") for index in range(3)])
    name = f"{{canceller}}:hot:{taken[1].cancellation_id}"
    await redis.set(name, await redis.get(name) + b"no progress")
    claims = await claim(store)

    assert ["0", "2"] == sorted(one.record.cancellation.job_id for one in claims.claims)


async def test_any_number_can_be_claimed_at_once(redis: Redis, store: Store) -> None:
    await store.accept_all([command(str(index), f"c-{index}") for index in range(4200)])
    claims = await claim(store, limits=Limits(5000, 40.0, 5000, 0.0, 5000))

    assert 4200 == len(claims.claims)
    assert 4200 == await redis.zcard("{canceller}:lease:ess:i") == await redis.hlen("{canceller}:claims:ess")


async def test_a_spoiled_event_part_stops_no_other_commit(redis: Redis, store: Store) -> None:
    taken = await store.accept_all([command(str(index), f"c-{index}") for index in range(3)])
    await redis.set(f"{{canceller}}:cold:{taken[1].cancellation_id}", "spoiled")
    claims = (await claim(store)).claims
    done = await asyncio.gather(*(store.commit(commit(one, "finish", facts=FINISHED)) for one in claims))

    assert [1, 1, 1] == done
    assert 3 == (await names(store)).count("finished")


async def test_a_worker_knows_by_its_beats_whether_it_is_alone(store: Store) -> None:
    known = []
    for beat in (store.beat("w1", 60.0, ["ess"]), store.beat("w2", 60.0, ["oml"]), store.beat("w1", 60.0, ["ess"])):
        await beat
        known.append(store.alone)
    await store.leave("w2")
    await store.beat("w1", 60.0, ["ess"])

    assert [*known, store.alone] == [True, False, False, True]
