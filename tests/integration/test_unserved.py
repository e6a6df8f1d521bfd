"""Cancellations on a backend that no living worker serves still end at their deadline, or by an abort."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from structlog.testing import capture_logs
from support.commands import LATER, LIMITS, claim, claim_one, command, commit, names

from worker.domain import evolve
from worker.domain.decision import Send
from worker.domain.model import Action
from worker.engine.unserved import Unserved
from worker.observability.outage import Outage
from worker.protocol.messages import Event
from worker.store.serving import GRACE, LIFE, Serving
from worker.store.store import Store

PATIENCE = 60.0


@dataclass
class Witness:
    """A worker that serves another backend; it looks by a clock that the test sets."""

    store: Store
    now: float = 0.0
    serves: tuple[str, ...] = ("oml",)
    unserved: Unserved = field(init=False)

    def __post_init__(self) -> None:
        serving = Serving(clock=lambda: self.now)
        self.unserved = Unserved(self.store, "w9", self.serves, serving, Outage("x", "y"))

    async def look_for(self, seconds: float) -> None:
        """Look once a second."""
        for _ in range(int(seconds) + 1):
            await self.unserved.look()
            self.now += 1.0


@pytest.fixture
def witness(store: Store) -> Witness:
    return Witness(store)


async def over(store: Store, cancellation_id: str) -> None:
    """Wait until a cancellation's deadline has passed."""
    at = (await store.get(cancellation_id)).record.cancellation.spec.give_up_at
    async with asyncio.timeout(PATIENCE):
        while (await store.times())[0] <= at:
            pass


async def accept(store: Store, **fields: Any) -> str:
    return (await store.accept(command(**fields))).cancellation_id


async def the_end(store: Store) -> Event:
    (one,) = [event for _, event in await store.events("0-0") if event.name == "finished"]
    return one


async def test_what_is_withdrawn_ends_without_a_call(store: Store, witness: Witness) -> None:
    await store.act("abort", await accept(store), "ops", "gone")
    await witness.look_for(LIFE)
    ended = await the_end(store)

    assert (ended.outcome, ended.data["evidence"], ended.data["calls"]) == ("aborted", "none", {})
    assert ended.data["detail"].startswith(
        "withdrawn by ops: gone; it was ended without a call: no living worker knows"
    )


async def test_what_is_past_its_deadline_is_given_up_without_a_call(store: Store, witness: Witness) -> None:
    await over(store, await accept(store, give_up_after=0.001))
    await witness.look_for(GRACE)
    ended = await the_end(store)

    assert (ended.outcome, ended.data["safe_to_rerun"], ended.data["calls"]) == ("timed_out", False, {})
    assert "the job was never seen; nothing was sent; it was ended without a call" in ended.data["detail"]


@pytest.mark.parametrize(
    ("withdrawn", "silence"),
    [pytest.param(True, LIFE - 2, id="an-abort"), pytest.param(False, GRACE - 2, id="a-deadline")],
)
async def test_nothing_ends_while_a_worker_may_serve_it(
    store: Store,
    witness: Witness,
    withdrawn: bool,  # noqa: FBT001 - a table's column
    silence: float,
) -> None:
    found = await accept(store, give_up_after=0.001)
    if withdrawn:
        await store.act("abort", found, "ops", "gone")
    else:
        await over(store, found)
    await witness.look_for(silence)

    assert await names(store) == ["accepted"]


async def test_what_is_held_is_given_up_once_it_is_released(store: Store, witness: Witness) -> None:
    found = await accept(store, give_up_after=0.1)
    await store.act("hold", found, "ann", "audit")
    await over(store, found)
    await witness.look_for(GRACE)
    held = await names(store)
    await store.act("release", found, "ann", "go on")
    await over(store, found)
    await witness.look_for(GRACE)

    assert held == ["accepted", "held"]
    assert (await the_end(store)).outcome == "timed_out"


async def test_a_hold_ends_by_itself_where_nobody_serves_it(store: Store, witness: Witness) -> None:
    found = await accept(store)
    await store.act("hold", found, "ann", "audit", more={"for": 1})
    await witness.look_for(GRACE)

    assert await names(store) == ["accepted", "held", "released"]


@pytest.mark.parametrize("serves", [("ess",), ("oml",)], ids=["this-worker", "another"])
async def test_nothing_ends_while_a_worker_serves_it(store: Store, serves: tuple[str, ...]) -> None:
    witness = Witness(store, serves=serves)
    await store.act("abort", await accept(store), "ops", "gone")
    for _ in range(3):
        await store.beat("w1", 60.0, ["ess"])
        await witness.look_for(LIFE - 2)

    assert await names(store) == ["accepted"]


async def test_a_beat_that_this_worker_has_not_seen_keeps_it(store: Store, witness: Witness) -> None:
    await store.act("abort", await accept(store), "ops", "gone")
    await witness.look_for(LIFE - 2)
    witness.unserved._serving.see({"ess": 0.0})
    witness.now += GRACE
    await store.beat("w1", 60.0, ["ess"])
    await witness.unserved._end("ess")

    assert await names(store) == ["accepted"]


async def test_only_what_is_withdrawn_ends_before_the_grace_is_over(store: Store, witness: Witness) -> None:
    await over(store, await accept(store, give_up_after=0.001))
    await store.act("abort", await accept(store, job_id="2", command_id="c-2"), "ops", "gone")
    await witness.look_for(LIFE)

    assert [(event.subject, event.outcome) for _, event in await store.events("0-0") if event.outcome] == [
        ("2", "aborted")
    ]


async def test_what_is_overdue_is_reported_once(store: Store, witness: Witness) -> None:
    await store.accept(replace(command(), warn_after=0.0))
    await witness.look_for(2 * GRACE)

    assert await names(store) == ["accepted", "overdue"]
    (_, told) = (await store.events("0-0"))[1]
    assert told.data["warn_after"] == 0.0


async def test_what_must_not_begin_yet_ends_on_a_word_alone(store: Store, witness: Witness) -> None:
    found = (await store.accept(replace(command(), not_before=LATER))).cancellation_id
    await witness.look_for(GRACE)
    before = await names(store)
    await store.act("abort", found, "ops", "gone")
    await witness.look_for(1)

    assert (before, (await the_end(store)).outcome) == (["accepted"], "aborted")


async def test_it_is_due_at_once_when_a_worker_serves_it_again(store: Store, witness: Witness) -> None:
    await store.accept(replace(command(), warn_after=0.0))
    await accept(store, job_id="2", command_id="c-2")
    await witness.look_for(GRACE)

    assert {one.record.cancellation.job_id for one in (await claim(store)).claims} == {"1", "2"}


async def test_what_a_dead_worker_held_ends_too(store: Store, witness: Witness) -> None:
    found = await accept(store)
    await claim_one(store)
    await store.act("abort", found, "ops", "gone")
    await witness.look_for(LIFE)

    assert (await the_end(store)).outcome == "aborted"


async def test_a_call_that_a_dead_worker_left_open_is_told_as_unanswered(store: Store, witness: Witness) -> None:
    found = await accept(store)
    one = (await claim(store, limits=replace(LIMITS, lease=0.001))).claims[0]
    cancellation = evolve.intended(one.record.cancellation, Send(Action.CANCEL, "1"), (await store.times())[0])
    await store.commit(commit(one, "intent", progress=cancellation.progress))
    await store.act("abort", found, "ops", "gone")
    await witness.look_for(LIFE)

    assert await names(store) == ["accepted", "cancel_sent", "finished"]
    assert (await the_end(store)).data["calls"] == {"cancel": 1}


async def test_more_than_one_claim_takes_ends_in_one_look(store: Store, witness: Witness) -> None:
    await store.accept_all([command(str(number), f"c-{number}") for number in range(250)])
    for number in range(250):
        await store.act("abort", await store.open_id("ess", str(number)), "ops", "gone")
    await witness.look_for(LIFE)

    assert (await names(store)).count("finished") == 250


async def test_records_that_cannot_be_read_stop_no_other(store: Store, witness: Witness, redis: Redis) -> None:
    for name, value in {"newer": b'{"f": 99, "b": "ess", "l": "i"}\n', "strange": b"{"}.items():
        await redis.set(f"{{canceller}}:hot:{await accept(store, job_id=name, command_id=name)}", value)
    await store.act("abort", await accept(store), "ops", "gone")
    await witness.look_for(LIFE)

    assert (await the_end(store)).subject == "1"


async def test_it_is_told_in_the_log_once_in_a_while(store: Store, witness: Witness) -> None:
    await accept(store)
    with capture_logs() as lines:
        await witness.look_for(GRACE)

    assert [(line["event"], line["backend"]) for line in lines] == [("backend.unserved", "ess")]
