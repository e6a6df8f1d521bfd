"""What a claim says about how late it is."""

from __future__ import annotations

from datetime import timedelta

from support.commands import claim, command, commit

from worker.store.store import Store


async def test_a_claim_says_for_how_long_its_record_was_due(store: Store) -> None:
    await store.accept(command())
    first = await claim(store)
    due = first.now - timedelta(seconds=7)
    await store.commit(commit(first.claims[0], "wait", due=due))
    (one,) = (again := await claim(store)).claims

    assert one.late == (again.now - due).total_seconds()


async def test_a_first_pass_is_late_since_its_command(store: Store) -> None:
    await store.accept(command())
    (one,) = (found := await claim(store)).claims

    assert one.late == (found.now - one.record.cancellation.accepted_at).total_seconds()


async def test_nobody_knows_how_late_a_poll_is_that_a_dead_worker_had_claimed(store: Store) -> None:
    await store.beat("w1", 60.0, ["ess"])
    await store.accept(command())
    first = await claim(store)
    await store.commit(commit(first.claims[0], "wait", due=first.now))
    assert (await claim(store)).claims
    await store.leave("w1")
    await store.beat("w2", 60.0, ["ess"])
    (one,) = (await claim(store, "w2")).claims

    assert one.late is None
