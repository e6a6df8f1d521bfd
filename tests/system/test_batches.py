"""Batches as services use them, with real workers: they end correctly, even if workers die, and stop when told to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from support.batches import cancels, check_sums
from support.cell import Cell, cell
from support.guarded import guarded_cell

from worker.client import Batch, BatchCounts, BatchState, BatchStatus, Client, Event, Rejected, UnknownBatch
from worker.settings.environment import Settings

WHY = {"by": "ann", "reason": "wait for the auditors"}
CHANGING = {"cancel", "force", "delete"}
BACKENDS = """
[backends.ess]
kind = "oracle-ess"
base_url = "{ess}"
auth = { type = "none" }
force = "auto"
force_after = "1s"
poll = { first = "100ms", max = "500ms" }
timeout = "2s"
"""
KNOBS = {"ess": {"cancel_delay": 0.2, "force_window": 1.0}}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Cell]:
    with cell(tmp_path, BACKENDS, knobs=KNOBS) as one:
        yield one


@pytest.fixture
def client(place: Cell) -> Iterator[Client]:
    with Client(Settings.load(place.env)) as one:
        yield one


def until(cell: Cell, batch: Batch, reached: Callable[[BatchStatus], bool], seconds: float = 60) -> None:
    """Read events until a batch has the wanted state."""

    def is_reached() -> bool:
        with suppress(UnknownBatch):  # no worker has taken it in yet
            return reached(batch.status())
        return False

    cell.wait_until(is_reached, seconds)


def batch_events(cell: Cell, batch: Batch) -> list[Event]:
    cell.catch_up()
    found = [event for event in cell.events if event["type"].startswith("canceller.batch.")]
    return [Event(**event) for event in found if event["subject"] == batch.id]


def test_batches_end_right_whatever_their_members_are(place: Cell, client: Client) -> None:
    for _ in range(2):
        place.start_worker()
    lives = ["runs"] * 80 + ["finished"] * 10
    for index, life in enumerate(lives, 1):
        place.simulator.add_job("ess", index, life)
    place.simulator.add_job("ess", 500, "runs")
    alone = client.cancel("ess", 500)
    batch = client.batch([*cancels(95, 1), {**cancels(1, 1)[0], "job_id": "500"}], canary=5, stop_at="50%")
    other = client.batch(cancels(20, 1), rate=100)
    plan = client.batch(cancels(95, 1, dry_run=True))
    ends = [one.wait(60) for one in (batch, other, plan)]

    assert [end.state for end in ends] == [BatchState.FINISHED] * 3
    outcomes = Counter(one.outcome for one in batch.report())
    assert outcomes["not_found"] == 5
    assert outcomes["cancelled"] + outcomes["already_finished"] == 91
    assert len(list(batch.report())) == 96
    assert Counter(one.outcome for one in plan.report()) == {"planned": 95}
    assert {one.plan["would"] for one in plan.report() if one.plan} <= {"cancel", "nothing"}
    assert alone.wait(60).outcome == "cancelled"
    for index in range(21, 81):  # the other jobs may have been cancelled for either batch
        assert len(place.simulator.log("ess", index, "cancel")) == 1
    for one in (batch, other, plan):
        events = batch_events(place, one)
        check_sums(events)
        assert [event.name for event in events][-2:] == ["progress", "finished"]
    place.check_sequences()
    assert {one.id for one in client.batches()} == {batch.id, other.id, plan.id}


def test_a_client_knows_the_batch_that_it_has_sent_before_a_worker_does(place: Cell, client: Client) -> None:
    batch = client.batch(cancels(3, 1), rate=5)
    seen = batch.status()

    assert (seen.state, seen.counts, seen.parts, seen.received) == (BatchState.RECEIVING, BatchCounts(), 1, 0)
    assert seen.options.rate == 5
    with pytest.raises(UnknownBatch):
        client.batch_by_id(batch.id).status()
    with ThreadPoolExecutor() as pool:
        order = pool.submit(batch.pause, **WHY)
        report = pool.submit(lambda: list(batch.report()))
        place.start_worker()
        order.result(60)
        assert len(report.result(60)) == 3
    until(place, batch, lambda now: now.state in {BatchState.PAUSED, BatchState.FINISHED})


def test_a_client_is_told_that_the_batch_it_has_sent_was_rejected(guarded: Cell) -> None:
    guarded.start_worker()
    with Client(Settings.load(guarded.env)) as stranger:
        batch = stranger.batch(cancels(3, 1))
        with pytest.raises(Rejected):
            list(batch.report())
        with pytest.raises(Rejected):
            batch.status()


def test_a_batch_ends_right_though_all_workers_are_killed_again_and_again(place: Cell, client: Client) -> None:
    count, chance = 200, Random(7)  # noqa: S311 - which workers die
    for index in range(1, count + 1):
        place.simulator.add_job("ess", index)
    workers = [place.start_worker() for _ in range(2)]
    batch = client.batch(cancels(count, 1), max_open=40)
    for share in (0.05, 0.3, 0.6):
        until(place, batch, lambda now, share=share: sum(now.counts.finished.values()) >= share * count, 120)
        for worker in chance.sample(workers, 2):
            worker.kill()
        workers = [place.start_worker() for _ in range(2)]
    end = batch.wait(120)

    assert end.counts.finished == {"cancelled": count}
    assert [one.outcome for one in batch.report()] == ["cancelled"] * count
    place.wait_finished(count)
    place.check_sequences()
    accepted = Counter(event["subject"] for event in place.of("accepted"))
    assert set(accepted.values()) == {1}
    assert len(accepted) == count
    check_sums(batch_events(place, batch))


def test_a_paused_batch_starts_nothing_and_an_aborted_one_calls_nothing(place: Cell, client: Client) -> None:
    members = 1000  # at this rate most of them wait long enough on any machine
    for index in range(1, members + 1):
        place.simulator.add_job("ess", index, "stuck")
    place.start_worker()
    batch = client.batch(cancels(members, 1), rate=50, max_open=60)
    until(place, batch, lambda now: now.counts.open >= 20)
    batch.pause(**WHY)
    until(place, batch, lambda now: now.state is BatchState.PAUSED)
    started = members - batch.status().counts.waiting
    place.wait_until(lambda: len(place.of("force_sent")) >= 5)  # open members go on
    assert members - batch.status().counts.waiting == started
    batch.pause(**WHY, hold=True)
    until(place, batch, lambda now: now.held)
    held = [entry.verb for entry in place.simulator.log("ess")]
    looks = held.count("look")
    place.wait_until(lambda: len(place.simulator.log("ess", verb="look")) > looks or not batch.status().counts.open)
    assert Counter(entry.verb for entry in place.simulator.log("ess") if entry.verb in CHANGING) == Counter(
        verb for verb in held if verb in CHANGING
    )
    batch.resume(**WHY)
    until(place, batch, lambda now: members - now.counts.waiting >= started + 10)
    batch.abort(**WHY)
    end = batch.wait(60)
    made = len(place.simulator.log("ess"))

    assert end.state is BatchState.FINISHED
    report = list(batch.report())
    assert [one.index for one in report] == list(range(members))
    assert {one.outcome for one in report} <= {"aborted", "force_cancelled", "cancelled"}
    never_started = [one for one in report if one.cancellation_id is None]
    assert never_started
    assert all(place.simulator.log("ess", one.job_id) == [] for one in never_started)
    place.wait_until(lambda: batch.status().state is BatchState.FINISHED)
    assert len(place.simulator.log("ess")) == made
    check_sums(batch_events(place, batch))


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Cell]:
    with guarded_cell(tmp_path) as one:
        yield one


def signing(one: Cell, producer: str, file: str) -> Client:
    env = {**one.env, "CANCELLER_PRODUCER": producer, "CANCELLER_KEY_FILE": str(one.directory / file)}
    return Client(Settings.load(env))


def test_the_signature_of_a_part_gives_its_members_the_rights_of_who_signed_it(guarded: Cell) -> None:
    for index in range(1, 4):
        guarded.simulator.add_job("ess", index, "stuck")
    oml = {"verb": "cancel", "backend": "oml", "job_id": "1"}
    with signing(guarded, "billing", "billing.key") as billing, signing(guarded, "chief", "chief.pem") as chief:
        batch = billing.batch([*cancels(3, 1), oml, {**cancels(1, 1)[0], "verb": "delete"}], rate=2)
        until(guarded, batch, lambda now: now.state is BatchState.RUNNING)
        refused = batch.pause(**WHY)
        chief.batch_by_id(batch.id).pause(**WHY)
        until(guarded, batch, lambda now: now.state is BatchState.PAUSED)
        with pytest.raises(Rejected, match="this producer may not do this"):
            billing.get(refused)
        chief.batch_by_id(batch.id).resume(**WHY)
        guarded.wait_until(lambda: len(guarded.of("cancel_sent")) == 3)
        for index in range(1, 4):
            guarded.simulator.add_job("ess", index, state="CANCELLED")
        end = batch.wait(60)
        with Client(Settings.load(guarded.env)) as nobody, pytest.raises(Rejected, match="not accepted"):
            nobody.batch(cancels(1, 1)).wait(60)

    guarded.catch_up()
    assert (end.counts.rejected, end.counts.finished) == (2, {"cancelled": 3})
    assert {event["data"]["signed_by"] for event in guarded.of("accepted")} == {"billing"}
    paused = next(event for event in batch_events(guarded, batch) if event.name == "paused")
    assert paused.data["signed_by"] == "chief"
