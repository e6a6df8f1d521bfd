"""Messages on a Redis broker, from any Celery client: each is taken in one step, and handled or returned."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from celery import Celery
from redis.asyncio import Redis
from redis.exceptions import RedisError

from worker.domain.errors import StoreUnavailable
from worker.intake.decoder import ActionRequest, Commands, Item, Malformed
from worker.intake.redis_consumer import RedisConsumer

COMMAND = {"backend": "ess", "job_id": "1"}
CLOCK = "commands.taken:clock"


class Desk:
    """Records what a consumer hands over; raises each of `fail` once."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.fail: list[Exception] = []
        self.came = asyncio.Event()

    async def handle(self, items: Sequence[Item]) -> None:
        if self.fail:
            raise self.fail.pop(0)
        self.items += items
        self.came.set()

    async def wait_for(self, count: int) -> list[Item]:
        async with asyncio.timeout(60):
            while len(self.items) < count:
                self.came.clear()
                await self.came.wait()
        return self.items


async def roomy() -> float:
    """Return how full a store without a limit is."""
    return 0.0


@pytest.fixture
def sender(redis_url: str) -> Iterator[Celery]:
    app = Celery(broker=redis_url.replace("unix://", "redis+socket://"))
    yield app
    app.close()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def consumer(redis: Redis, desk: Desk) -> AsyncIterator[RedisConsumer]:
    one = RedisConsumer(Redis(connection_pool=redis.connection_pool), "commands", "w1", desk.handle, roomy)
    yield one
    ending = asyncio.create_task(one.stop())
    with suppress(RedisError):
        await redis.lpush("commands", b"")  # type: ignore[misc]  # ends the consumer's wait for a message
    await ending


async def send(app: Celery, name: str, **options: Any) -> str:
    result = await asyncio.to_thread(app.send_task, name, queue="commands", **options)
    return str(result.id)


SHAPES: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "compressed": {"compression": "zlib"},
    "with a priority": {"priority": 9},
    "in protocol 1": {"protocol": 1},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
async def test_reads_what_a_celery_client_sends(
    consumer: RedisConsumer, desk: Desk, sender: Celery, shape: dict[str, Any]
) -> None:
    sender.conf.task_protocol = shape.get("protocol", 2)
    options = {name: value for name, value in shape.items() if name != "protocol"}
    message_id = await send(sender, "worker.cancel", kwargs=COMMAND, **options)
    await consumer.start()

    assert await desk.wait_for(1) == [Commands((({**COMMAND, "verb": "cancel"}, message_id),))]


ROUTES: dict[str, dict[str, Any]] = {
    "ten steps": {"priority_steps": list(range(10))},
    "ten steps and another separator": {"priority_steps": list(range(10)), "sep": ":"},
    "another separator": {"sep": ":"},
    "steps of its own": {"priority_steps": [0, 2, 4, 8]},
}


@pytest.mark.parametrize("options", ROUTES.values(), ids=ROUTES.keys())
async def test_takes_every_priority_however_its_producer_writes_it(
    consumer: RedisConsumer, desk: Desk, sender: Celery, options: dict[str, Any]
) -> None:
    sender.conf.broker_transport_options = options
    sent = {await send(sender, "worker.cancel", kwargs=COMMAND, priority=priority) for priority in range(10)}
    await consumer.start()
    items = await desk.wait_for(10)

    assert {item.contents[0][1] for item in items if isinstance(item, Commands)} == sent


@pytest.mark.parametrize("name", ["commands:3", "commands\x06\x165"])
async def test_a_foreign_key_under_a_spelling_of_the_queue_stops_nothing(
    consumer: RedisConsumer, desk: Desk, sender: Celery, redis: Redis, name: str
) -> None:
    await redis.set(name, "a stranger's")
    await send(sender, "worker.cancel", kwargs=COMMAND)
    await send(sender, "worker.cancel", kwargs=COMMAND, priority=9)
    await consumer.start()

    assert len(await desk.wait_for(2)) == 2
    assert await redis.get(name) == b"a stranger's"


async def test_reads_every_task(consumer: RedisConsumer, desk: Desk, sender: Celery) -> None:
    await send(sender, "worker.delete", kwargs=COMMAND)
    await send(sender, "worker.submit", kwargs={"commands": [COMMAND, COMMAND]})
    await send(sender, "worker.abort", kwargs={"id": "c-1", "by": "ops", "reason": "not wanted"})
    await send(sender, "worker.unheard_of", kwargs={})
    await consumer.start()

    assert [type(item) for item in await desk.wait_for(4)] == [Commands, Commands, ActionRequest, Malformed]


def envelope(body: bytes, **headers: str) -> bytes:
    """Return a message as kombu writes it."""
    encoded = base64.b64encode(body).decode()
    properties = {"body_encoding": "base64"}
    return json.dumps(
        {"body": encoded, "content-type": "application/json", "headers": headers, "properties": properties}
    ).encode()


GARBAGE = {
    "no JSON": b"\xff\xfe garbage",
    "JSON of another shape": b'{"x": 1}',
    "a bare number": b"7",
    "a body that is no base64": b'{"body": "!", "content-type": "application/json", "headers": {}, "properties": {}}',
    "pickle": b'{"body": "gA==", "content-type": "application/x-python-serialize", "headers": {}, "properties": {}}',
    "deep nesting": b"[" * 100_000,
    "a body that is not what its compression says": envelope(b"no gzip", compression="application/x-gzip"),
    "a compression that nobody knows": envelope(b"{}", compression="application/x-unheard-of"),
    "an id that is half a character": envelope(b'[[], {"backend": "ess"}, {}]', task="worker.x", id="\ud800"),
}


@pytest.mark.parametrize("raw", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_is_rejected_and_stops_nothing(
    consumer: RedisConsumer, desk: Desk, sender: Celery, redis: Redis, raw: bytes
) -> None:
    await redis.lpush("commands", raw)  # type: ignore[misc]
    await send(sender, "worker.cancel", kwargs=COMMAND)
    await consumer.start()

    assert [type(item) for item in await desk.wait_for(2)] == [Malformed, Commands]


async def test_a_handled_message_leaves_the_list(
    consumer: RedisConsumer, desk: Desk, sender: Celery, redis: Redis
) -> None:
    await send(sender, "worker.cancel", kwargs=COMMAND)
    await consumer.start()
    await desk.wait_for(1)
    await consumer.stop()

    assert await redis.llen("commands") == 0  # type: ignore[misc]
    assert await redis.llen("commands.taken:w1") == 0  # type: ignore[misc]


async def test_a_message_that_could_not_be_stored_is_tried_again(
    consumer: RedisConsumer, desk: Desk, sender: Celery
) -> None:
    desk.fail = [StoreUnavailable("Redis is away")]
    await send(sender, "worker.cancel", kwargs=COMMAND)
    await consumer.start()

    assert len(await desk.wait_for(1)) == 1


async def test_a_message_that_fails_is_rejected_and_the_rest_of_its_chunk_is_not(
    consumer: RedisConsumer, desk: Desk, sender: Celery
) -> None:
    desk.fail = [RuntimeError("the batch"), RuntimeError("the first message")]
    await send(sender, "worker.cancel", kwargs=COMMAND)
    await send(sender, "worker.delete", kwargs=COMMAND)
    await consumer.start()

    assert [type(item) for item in await desk.wait_for(2)] == [Malformed, Commands]


async def test_messages_of_a_dead_worker_go_back_to_the_queue(
    redis: Redis, redis_url: str, desk: Desk, sender: Celery, consumer: RedisConsumer
) -> None:
    message_id = await send(sender, "worker.cancel", kwargs=COMMAND)
    dead = RedisConsumer(Redis.from_url(redis_url), "commands", "dead", desk.handle, roomy)
    await dead._beat()
    await dead._take(
        keys=["commands.taken:dead", "commands.taken:takers", "commands"], args=["dead", 10, 10_000, CLOCK]
    )
    await redis.zrem("commands.taken:beats", "dead")
    await dead._redis.aclose()
    await consumer.start()

    assert await desk.wait_for(1) == [Commands((({**COMMAND, "verb": "cancel"}, message_id),))]


async def test_messages_of_a_living_worker_stay_its_own(
    redis: Redis, redis_url: str, desk: Desk, sender: Celery
) -> None:
    await send(sender, "worker.cancel", kwargs=COMMAND)
    first, second = (
        RedisConsumer(Redis.from_url(redis_url), "commands", name, desk.handle, roomy) for name in ("w1", "w2")
    )
    await first._beat()
    await first._take(keys=["commands.taken:w1", "commands.taken:takers", "commands"], args=["w1", 10, 10_000, CLOCK])
    await second._beat()

    assert await redis.llen("commands.taken:w1") == 1  # type: ignore[misc]
    assert await redis.llen("commands") == 0  # type: ignore[misc]
    await first._redis.aclose()
    await second._redis.aclose()


async def test_takes_nothing_while_the_store_is_nearly_full(redis: Redis, desk: Desk, sender: Celery) -> None:
    fullness = [0.95]

    async def used() -> float:
        return fullness[0]

    one = RedisConsumer(Redis(connection_pool=redis.connection_pool), "commands", "w1", desk.handle, used)
    await one._backpressure.look()
    await one.start()
    await send(sender, "worker.cancel", kwargs=COMMAND)
    await one._beat()
    assert await redis.llen("commands") == 1  # type: ignore[misc]

    fullness[0] = 0.5
    assert len(await desk.wait_for(1)) == 1
    await one.stop()


async def test_a_message_that_came_after_the_handled_chunk_stays(redis: Redis, desk: Desk, sender: Celery) -> None:
    one = RedisConsumer(Redis(connection_pool=redis.connection_pool), "commands", "w1", desk.handle, roomy)
    await send(sender, "worker.cancel", kwargs=COMMAND)

    async def cut_off(items: Sequence[Item]) -> None:
        await redis.lpush("commands.taken:w1", b"a wait that was cut off brought this")  # type: ignore[misc]
        await desk.handle(items)

    one._handle = cut_off
    await one._take_some()
    await one._let_go()

    assert len(desk.items) == 1
    assert await redis.llen("commands.taken:w1") == 1  # type: ignore[misc]


async def test_a_handled_chunk_leaves_the_list_with_the_next_take(redis: Redis, desk: Desk, sender: Celery) -> None:
    one = RedisConsumer(Redis(connection_pool=redis.connection_pool), "commands", "w1", desk.handle, roomy)
    await send(sender, "worker.cancel", kwargs=COMMAND)
    await one._take_some()

    await one._take_some()
    assert await redis.llen("commands.taken:w1") == 0  # type: ignore[misc]
    assert len(desk.items) == 1


async def test_a_worker_that_dies_before_its_first_beat_is_known(redis: Redis, desk: Desk, sender: Celery) -> None:
    message_id = await send(sender, "worker.cancel", kwargs=COMMAND)
    dead = RedisConsumer(Redis(connection_pool=redis.connection_pool), "commands", "dead", desk.handle, roomy)
    await dead._take(
        keys=["commands.taken:dead", "commands.taken:takers", "commands"], args=["dead", 10, 10_000, CLOCK]
    )
    other = RedisConsumer(Redis(connection_pool=redis.connection_pool), "commands", "w1", desk.handle, roomy)
    await other.start()

    assert await desk.wait_for(1) == [Commands((({**COMMAND, "verb": "cancel"}, message_id),))]
    await other.stop()
