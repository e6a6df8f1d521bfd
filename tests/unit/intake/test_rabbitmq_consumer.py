"""Which RabbitMQ messages are handled, acknowledged or returned; the connection here only takes notes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from worker.domain.errors import BrokerUnavailable, StoreUnavailable
from worker.intake.decoder import Commands, Item, Malformed, RawMessage
from worker.intake.rabbitmq_consumer import HOLD, RETURNS, Delivery, RabbitMQConsumer


class Notes:
    """A connection and a handler that take notes; the handler raises each of `fail` once."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.acknowledged: list[str] = []
        self.again: list[str] = []
        self.wanted = True
        self.fail: list[Exception] = []
        self.lost = False
        self.fullness = 0.0
        self._changed = asyncio.Event()

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self.acknowledged += [one.tag for one in deliveries]
        self._changed.set()

    def consume(self, *, wanted: bool) -> None:
        self.wanted = wanted
        self._changed.set()

    async def send_again(self, delivery: Delivery) -> None:
        if self.lost:
            raise BrokerUnavailable("gone")
        self.again.append(delivery.tag)

    async def handle(self, items: Sequence[Item]) -> None:
        if self.fail:
            raise self.fail.pop(0)
        self.items += items

    async def used(self) -> float:
        if self.fullness < 0:
            raise StoreUnavailable("away")
        return self.fullness

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not done():
                self._changed.clear()
                await self._changed.wait()

    def delivery(self, tag: str, returns: int = 0) -> Delivery:
        body = json.dumps([[], {"backend": "ess", "job_id": tag}, {}]).encode()
        received = RawMessage(body, {"task": "worker.cancel", "id": tag}, "application/json", "utf-8")
        return Delivery(self, tag, received, returns)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
async def receiver(notes: Notes) -> AsyncIterator[RabbitMQConsumer]:
    one = RabbitMQConsumer(notes.handle, notes.used)
    await one.start()
    one.connect(notes)
    yield one
    await one.stop()


async def test_acknowledges_what_is_stored(receiver: RabbitMQConsumer, notes: Notes) -> None:
    tags = [str(number) for number in range(500)]
    for tag in tags:
        receiver.put(notes.delivery(tag))
    await notes.until(lambda: len(notes.acknowledged) == 500)

    assert notes.acknowledged == tags
    assert len(notes.items) == 500


async def test_keeps_a_message_that_the_store_does_not_take(receiver: RabbitMQConsumer, notes: Notes) -> None:
    notes.fail = [StoreUnavailable("away"), StoreUnavailable("away")]
    receiver.put(notes.delivery("1"))
    await notes.until(lambda: notes.acknowledged == ["1"])

    assert len(notes.items) == 1
    assert not notes.again


@pytest.mark.parametrize("fullness", [0.95, -1.0], ids=["full", "away"])
async def test_consumes_nothing_while_the_store_is_full_or_away(
    receiver: RabbitMQConsumer, notes: Notes, fullness: float
) -> None:
    notes.fullness = fullness
    await notes.until(lambda: not notes.wanted)
    receiver.put(notes.delivery("1"))
    notes.fullness = 0.5
    await notes.until(lambda: notes.acknowledged == ["1"])

    assert notes.wanted


async def test_rejects_a_message_that_fails_by_itself(receiver: RabbitMQConsumer, notes: Notes) -> None:
    notes.fail = [RuntimeError("a bug"), RuntimeError("a bug")]
    receiver.put(notes.delivery("1"))
    await notes.until(lambda: notes.acknowledged == ["1"])
    (rejected,) = notes.items

    assert isinstance(rejected, Malformed)
    assert "RuntimeError" in rejected.reason


async def test_sends_again_a_message_that_was_returned_too_often(receiver: RabbitMQConsumer, notes: Notes) -> None:
    receiver.put(notes.delivery("1", returns=RETURNS))
    receiver.put(notes.delivery("2", returns=RETURNS - 1))
    await notes.until(lambda: sorted(notes.acknowledged) == ["1", "2"])

    assert notes.again == ["1"]
    assert len(notes.items) == 1


async def test_handles_a_message_that_it_cannot_send_again(receiver: RabbitMQConsumer, notes: Notes) -> None:
    notes.lost = True
    receiver.put(notes.delivery("1", returns=RETURNS))
    await notes.until(lambda: notes.acknowledged == ["1"])

    assert isinstance(notes.items[0], Commands)


async def test_sends_again_a_message_that_it_has_kept_for_too_long(receiver: RabbitMQConsumer, notes: Notes) -> None:
    notes.fullness = -1.0
    await notes.until(lambda: not notes.wanted)
    delivery = notes.delivery("1")
    receiver.put(delivery)
    delivery.at -= HOLD + 1
    await notes.until(lambda: notes.acknowledged == ["1"])

    assert (notes.again, notes.items) == (["1"], [])


async def test_a_new_connection_drops_the_messages_of_the_old_one(receiver: RabbitMQConsumer, notes: Notes) -> None:
    notes.fullness = -1.0
    await notes.until(lambda: not notes.wanted)
    receiver.put(notes.delivery("old"))
    other = Notes()
    receiver.connect(other)
    receiver.put(notes.delivery("late"))
    receiver.put(other.delivery("new"))
    assert not other.wanted
    notes.fullness = 0.0
    await other.until(lambda: other.acknowledged == ["new"])

    assert len(notes.items) == 1
    assert not notes.acknowledged


async def test_without_a_connection_it_takes_nothing_in(receiver: RabbitMQConsumer, notes: Notes) -> None:
    before = RabbitMQConsumer(notes.handle, notes.used).problem
    notes.lost = True

    assert (before, receiver.problem) == ("there is no connection to RabbitMQ",) * 2


async def test_at_work_it_has_no_problem(receiver: RabbitMQConsumer) -> None:
    assert receiver.problem == ""


@pytest.mark.parametrize(
    ("fullness", "problem"),
    [(0.95, "nothing new is taken in: over 90% of Redis's maxmemory is in use"), (-1.0, "Redis does not answer")],
    ids=["full", "away"],
)
async def test_while_it_may_store_nothing_it_says_why(
    receiver: RabbitMQConsumer, notes: Notes, fullness: float, problem: str
) -> None:
    notes.fullness = fullness
    await notes.until(lambda: not notes.wanted)

    assert receiver.problem == problem
