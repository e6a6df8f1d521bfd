"""Commands that one worker leaves to another: none is lost, taken in twice, or rejected too soon."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs
from support.commands import INTAKE, RULES, command, names

from worker.domain.errors import StoreUnavailable
from worker.intake.admission import Admission
from worker.intake.handover import Arrived, Handover
from worker.protocol.envelope import BARE
from worker.store.serving import GRACE, LIFE, Serving
from worker.store.store import Store
from worker.store.transitions import Acceptance, Rejection


def cancel(job_id: str = "1", backend: str = "ess", **fields: Any) -> Arrived:
    return Arrived.of({"verb": "cancel", "backend": backend, "job_id": job_id, **fields}, f"c-{job_id}", BARE)


@dataclass
class Desk:
    """A worker that takes in what it serves, and rejects the rest; its clock is the test's."""

    store: Store
    mine: Collection[str]
    now: float = 0.0
    fails: Sequence[Exception] = ()
    taken: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.serving = Serving(self.mine, lambda: self.now)
        admission = Admission(dict.fromkeys(self.mine, RULES))
        self.handover = Handover(self.store, admission, self.serving, self.take, self.reject)

    async def take(self, arrived: Sequence[Arrived]) -> frozenset[str]:
        if self.fails:
            self.fails, error = self.fails[1:], self.fails[0]
            raise error
        here, left = await self.handover.sort(arrived)
        for one in here:
            if one.backend in self.mine:
                acceptance = INTAKE.take(one.content, one.command_id)
                assert isinstance(acceptance, Acceptance)
                verdict = (await self.store.accept(acceptance)).verdict
                self.taken.append(f"{one.command_id} {verdict}")
                if verdict == "newer":
                    left |= await self.handover.leave([one])
            else:
                self.rejected.append(one.command_id)
        return left

    async def reject(self, rejection: Rejection, _: str | None) -> None:
        self.rejected.append(f"{rejection.command_id} {rejection.reason}")

    async def hear(self, *backends: str, seconds: float = 0.0) -> None:
        """Look as often as a worker does; first, send a beat that announces these backends."""
        if backends:
            await self.store.beat("w1", 60.0, backends)
        for _ in range(int(seconds) + 1):
            self.serving.see(await self.store.peers.announced())
            self.now += 1.0


@pytest.fixture
def knowing(store: Store) -> Desk:
    return Desk(store, {"ess", "oml"})


@pytest.fixture
def other(store: Store) -> Desk:
    return Desk(store, {"oml"})


async def test_a_command_for_a_backend_that_another_worker_serves_is_left_to_it(
    store: Store, knowing: Desk, other: Desk
) -> None:
    await other.hear("ess")
    assert len(await other.take([cancel("1"), cancel("2", "oml")])) == 1
    assert (other.taken, other.rejected) == (["c-2 accepted"], [])

    await knowing.handover.look()
    assert (knowing.taken, await store.peers.left()) == (["c-1 accepted"], {})


async def test_a_worker_that_has_just_announced_a_backend_is_heard_of_in_time(store: Store, other: Desk) -> None:
    await other.hear("oml")
    await store.beat("w1", 60.0, ["ess"])
    assert len(await other.take([cancel()])) == 1


async def test_a_command_that_nobody_can_take_in_is_rejected_at_once(store: Store, other: Desk) -> None:
    await other.hear("oml")
    assert not await other.take([cancel("1", "nowhere"), cancel("2", "")])
    assert (other.rejected, await store.peers.left()) == (["c-1", "c-2"], {})


async def test_a_command_is_left_for_a_worker_that_may_be_on_its_way_back(
    store: Store, knowing: Desk, other: Desk
) -> None:
    await other.hear("ess", seconds=GRACE - 2)
    await other.take([cancel()])
    await other.handover.look()
    assert (other.rejected, other.serving.known) == ([], {"oml"})

    await knowing.handover.look()
    assert (knowing.taken, await store.peers.left()) == (["c-1 accepted"], {})


async def test_a_left_command_is_rejected_once_nobody_serves_its_backend(store: Store, other: Desk) -> None:
    await other.hear("ess")
    await other.take([cancel()])
    await other.hear(seconds=GRACE)
    await other.handover.look()

    assert (other.rejected, await store.peers.left()) == (["c-1"], {})


async def test_a_left_command_stays_if_a_worker_is_back_that_was_not_seen_yet(store: Store, other: Desk) -> None:
    await other.hear("ess")
    await other.take([cancel()])
    await other.hear(seconds=GRACE)
    await store.beat("w1", 60.0, ["ess"])
    await other.handover.look()

    assert (other.rejected, await store.peers.left()) == ([], {"ess": 1})


async def test_the_backends_that_others_serve_are_known_for_a_worker_s_life(other: Desk) -> None:
    await other.hear("ess", seconds=LIFE - 2)
    assert other.serving.known == {"ess", "oml"}


async def test_a_command_that_comes_again_is_left_once_and_taken_in_once(
    store: Store, knowing: Desk, other: Desk
) -> None:
    await other.hear("ess")
    await other.take([cancel(), cancel()])
    await knowing.handover.look()
    await other.take([cancel()])
    await knowing.handover.look()

    assert knowing.taken == ["c-1 accepted", "c-1 same"]
    assert await names(store) == ["accepted"]


async def test_two_workers_that_take_in_one_command_at_once_open_one_cancellation(
    store: Store, knowing: Desk, other: Desk
) -> None:
    second = Desk(store, {"ess"})
    await other.hear("ess")
    await other.take([cancel(str(number)) for number in range(300)])
    async for page in store.peers.handed_over("ess"):
        await second.handover._take_page("oml", page)  # the worker then fails to remove the page
    await knowing.handover.look()

    assert (await names(store)).count("accepted") == len(await names(store)) == 300
    assert await store.peers.left() == {}


async def test_a_command_that_could_not_be_stored_is_taken_in_later(knowing: Desk, other: Desk) -> None:
    await other.hear("ess")
    await other.take([cancel()])
    knowing.fails = [StoreUnavailable("away")]
    with pytest.raises(StoreUnavailable):
        await knowing.handover.look()
    await knowing.handover.look()

    assert knowing.taken == ["c-1 accepted"]


async def test_a_command_that_fails_by_itself_stops_no_other(store: Store, knowing: Desk, other: Desk) -> None:
    await other.hear("ess")
    await other.take([cancel("1"), cancel("2")])
    knowing.fails = [LookupError("a bug"), LookupError("a bug")]
    with capture_logs():
        await knowing.handover.look()

    assert [rejected.partition(" ")[2] for rejected in knowing.rejected] == [
        "message: LookupError while it was taken in"
    ]
    assert (len(knowing.taken), await store.peers.left()) == (1, {})


async def test_an_unreadable_entry_is_dropped_with_a_log_line(store: Store, knowing: Desk, redis: Redis) -> None:
    await store.peers.hand_over({"ess": {"x": b"{", "y": b"[]", "z": b'[{}, "c", "noon", null, null]'}})
    with capture_logs() as lines:
        await knowing.handover.look()

    assert ([line["event"] for line in lines], await redis.exists("{canceller}:handover:ess")) == (
        ["handover.unreadable"] * 3,
        0,
    )


async def test_nothing_is_taken_in_while_redis_has_no_room(knowing: Desk, other: Desk, redis: Redis) -> None:
    await other.hear("ess")
    await other.take([cancel()])
    used = int((await redis.info("memory"))["used_memory"])
    await redis.config_set("maxmemory", int(used * 1.05))
    try:
        await knowing.handover.look()
    finally:
        await redis.config_set("maxmemory", 0)
    assert knowing.taken == []


async def test_a_join_of_a_newer_record_is_tried_ever_more_rarely(store: Store, knowing: Desk, redis: Redis) -> None:
    found = (await store.accept(command("1", "c-0"))).cancellation_id
    hot = await redis.get(f"{{canceller}}:hot:{found}")
    assert hot is not None
    await redis.set(f"{{canceller}}:hot:{found}", hot.replace(b'"f":1', b'"f":9'))
    await knowing.take([cancel()])
    for _ in range(50):
        await knowing.handover.look()
    assert (knowing.taken, len(knowing.handover._later)) == (["c-1 newer"] * 2, 1)

    await redis.set(f"{{canceller}}:hot:{found}", hot)
    knowing.handover._later.clear()
    await knowing.handover.look()
    assert (knowing.taken[-1], await store.peers.left()) == ("c-1 joined", {})
